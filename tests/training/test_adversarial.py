"""What adversarial trainings share: a generator that paints one face for all is noticed, and samples are shown."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor

from spiralage.training.adversarial import COLLAPSED, SHOWN, as_column, diversity, look_for_collapse


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def look(painted: Tensor, real: Tensor, caplog: pytest.LogCaptureFixture) -> tuple[dict[str, float], list[str]]:
    """What is logged, and what is warned of."""
    with caplog.at_level(logging.WARNING, logger="spiralage"):
        values = look_for_collapse(painted, real, "tiny, step 7")
    return values, [record.getMessage() for record in caplog.records]


def test_equal_pictures_have_collapsed(caplog: pytest.LogCaptureFixture) -> None:
    real = torch.rand(4, 3, 8, 8)
    values, warnings = look(torch.rand(1, 3, 8, 8).expand(4, 3, 8, 8), real, caplog)
    assert values == {"diversity": 0, "real_diversity": pytest.approx(diversity(real)), "collapsed": 1}
    (warning,) = warnings
    assert warning.startswith("tiny, step 7: ")
    assert f"{diversity(real):.4f}" in warning


def test_lively_pictures_have_not(caplog: pytest.LogCaptureFixture) -> None:
    values, warnings = look(torch.rand(4, 3, 8, 8), torch.rand(4, 3, 8, 8), caplog)
    assert values["collapsed"] == 0
    assert values["diversity"] > 0
    assert not warnings


@pytest.mark.parametrize(("part", "collapsed"), [(COLLAPSED * 0.9, 1), (COLLAPSED * 1.1, 0)])
def test_pictures_are_compared_with_what_real_ones_do(
    part: float, collapsed: int, caplog: pytest.LogCaptureFixture
) -> None:
    real = torch.rand(4, 3, 8, 8)
    values, warnings = look(real * part, real, caplog)
    assert values["collapsed"] == collapsed
    assert len(warnings) == collapsed


def test_what_is_not_a_number_has_collapsed(caplog: pytest.LogCaptureFixture) -> None:
    painted = torch.rand(4, 3, 8, 8)
    painted[2, 1, 3, 3] = torch.nan
    values, warnings = look(painted, torch.rand(4, 3, 8, 8), caplog)
    assert values["collapsed"] == 1
    assert len(warnings) == 1


@pytest.mark.parametrize("value", [0.0, 0.5, float("nan")])
def test_a_batch_of_one_never_collapses(value: float, caplog: pytest.LogCaptureFixture) -> None:
    values, warnings = look(torch.full((1, 3, 8, 8), value), torch.rand(1, 3, 8, 8), caplog)
    assert values["collapsed"] == 0
    assert not warnings


def test_gradients_and_half_precision_are_no_hindrance(caplog: pytest.LogCaptureFixture) -> None:
    painted = torch.rand(4, 3, 8, 8, dtype=torch.bfloat16, requires_grad=True)
    values, _ = look(painted, torch.rand(4, 3, 8, 8), caplog)
    assert values["collapsed"] == 0
    assert all(type(value) is float for value in values.values())


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (SHOWN, SHOWN), (SHOWN + 3, SHOWN)])
def test_a_column_shows_the_first_pictures(count: int, shown: int) -> None:
    pictures = torch.rand(count, 3, 5, 15)
    column = as_column(pictures)
    assert column.shape == (3, shown * 5, 15)
    for index in range(shown):
        assert torch.equal(column[:, 5 * index : 5 * index + 5], pictures[index])


def test_a_column_is_a_picture() -> None:
    column = as_column(torch.randn(2, 3, 4, 12, dtype=torch.bfloat16, requires_grad=True) * 3)
    assert column.dtype == torch.float32
    assert not column.requires_grad
    assert (column.min().item(), column.max().item()) == (0, 1)
