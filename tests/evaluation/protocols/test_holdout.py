"""Faces kept back: rows by hand, from networks whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import age_recipe, write_crops
from torch import Tensor, nn

from spiralage.datasets.crops import Crops
from spiralage.evaluation.conditions import all_conditions
from spiralage.evaluation.protocols import holdout
from spiralage.evaluation.protocols.holdout import evaluate_holdout, renewed
from spiralage.evaluation.results import ConditionKey, ConditionName, HoldoutRow
from spiralage.types import Pixels

ORIGINAL = ConditionKey("original")


class Sure(nn.Module):
    """Knows the ages of some pictures by heart, and answers all under a condition with years too many.

    Args:
        crops: whose ages.
        years: how many too many.
        sure: how much of the probability is on that year; the rest is on the year 100.
    """

    def __init__(self, crops: Crops, years: int = 0, sure: float = 1.0) -> None:
        super().__init__()
        self.crops, self.years, self.sure = crops, years, sure

    def forward(self, pictures: Tensor) -> Tensor:
        known = self.crops.take(np.arange(len(self.crops)))
        shown = [int(np.abs(known.astype(int) - one.numpy()).mean(axis=(1, 2, 3)).argmin()) for one in pictures]
        p = torch.zeros(len(shown), 101)
        p[:, 100] = 1 - self.sure
        p[range(len(shown)), [int(self.crops.ages[i]) + self.years for i in shown]] = self.sure
        return p


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Crops:
    return write_crops(tmp_path_factory.mktemp("holdout") / "crops")


def rows_of(
    monkeypatch: pytest.MonkeyPatch, crops: Crops, *networks: nn.Module, occluders: Sequence[str] = ("paper",)
) -> list[HoldoutRow]:
    runs = {Path(str(index)): (age_recipe(name=f"try-{index}"), one) for index, one in enumerate(networks)}
    monkeypatch.setattr(holdout, "load_age_network", runs.__getitem__)
    return evaluate_holdout(list(runs), [crops], occluders=occluders)  # type: ignore[arg-type]


def test_a_constant_predictor_is_measured_by_hand(crops: Crops, monkeypatch: pytest.MonkeyPatch) -> None:
    (constant,) = rows_of(monkeypatch, crops)
    train, test = crops.ages[crops.indices("train")], crops.ages[crops.indices("test")]
    assert constant.mae == np.abs(np.median(train) - test).mean()
    assert constant.network == f"constant {np.median(train):g} years"
    assert constant.coverage90 is None
    assert (constant.key, constant.recipe, constant.seed) == (ConditionKey("any"), "", 0)
    assert constant.images == len(test)


def test_who_knows_the_ages_has_no_error_and_who_is_off_is_off(crops: Crops, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row for row in rows_of(monkeypatch, crops, Sure(crops), Sure(crops, 3)) if row.key == ORIGINAL]
    assert [row.recipe for row in rows] == ["try-0", "try-1"]
    assert [row.mae for row in rows] == pytest.approx([0, 3], abs=1e-5)
    assert [row.cs5 for row in rows] == [1, 1]
    assert rows[1].coverage90 == 0


@pytest.mark.parametrize(("sure", "covered"), [(0.06, 1), (0.04, 0)])
def test_coverage_is_of_the_90_percent_interval(
    crops: Crops, monkeypatch: pytest.MonkeyPatch, sure: float, covered: float
) -> None:
    # The truth has this much of the probability and 100 years the rest: 5 % are left out on either side.
    row = next(row for row in rows_of(monkeypatch, crops, Sure(crops, 0, sure)) if row.key == ORIGINAL)
    assert row.coverage90 == covered


def test_every_condition_is_shown_to_every_network(crops: Crops, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Pixels] = []

    class Watching(Sure):
        def forward(self, pictures: Tensor) -> Tensor:
            seen.append(pictures.numpy())
            return super().forward(pictures)

    rows = rows_of(monkeypatch, crops, Watching(crops), Sure(crops), occluders=("scarf",))
    conditions = all_conditions(occluders=("scarf",))
    assert [row.key for row in rows[1:]] == [c.key for c in conditions for _ in range(2)]
    test = crops.indices("test")
    for condition, pictures in zip(conditions, seen, strict=True):
        np.testing.assert_array_equal(pictures, condition.apply(crops.take(test), test))


def test_every_set_has_its_own_rows(crops: Crops, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = write_crops(tmp_path / "aaf", "aaf")
    monkeypatch.setattr(holdout, "load_age_network", lambda run: (age_recipe(name=str(run)), Sure(crops, 3)))
    told: list[tuple[int, int]] = []
    rows = evaluate_holdout([Path("a")], [crops, other], progress=lambda *done: told.append(done))
    half = len(rows) // 2
    assert [row.data for row in rows] == ["utkface"] * half + ["aaf"] * half
    assert [row.key for row in rows[:half]] == [row.key for row in rows[half:]]
    assert told[-1][0] == told[-1][1]


def test_a_network_that_is_measured_anew_keeps_no_former_row() -> None:
    def row(data: str, recipe: str, condition: ConditionName, mae: float) -> HoldoutRow:
        return HoldoutRow(
            data=data,
            network="n",
            condition=condition,
            recipe=recipe,
            mae=mae,
            cs5=0,
            images=1,
            seed=0,
            commit="c",
            hardware="h",
        )

    former = [row("utkface", "a", "original", 1), row("utkface", "a", "masked", 2), row("aaf", "a", "original", 3)]
    other = row("utkface", "b", "original", 4)
    new = row("utkface", "a", "original", 5)
    assert renewed([*former, other], [new]) == [new, former[2], other]
