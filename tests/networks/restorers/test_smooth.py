"""Pull-push: known values stay, what lies around them is smooth and as bright as they are."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spiralage.networks.restorers.smooth import pull_push

TOLERANCE = 1e-5


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.floats(0, 1))
def test_known_values_stay_and_none_is_exceeded(seed: int, share: float) -> None:
    rng = torch.Generator().manual_seed(seed)
    values = torch.rand(2, 3, 16, 16, generator=rng)
    known = (torch.rand(2, 1, 16, 16, generator=rng) < share).float()
    filled = pull_push(values, known)
    seen = known.bool().expand_as(values)
    assert torch.equal(filled[seen], values[seen])
    for one, what in zip(filled, values * known, strict=True):
        assert one.max() <= what.max() + TOLERANCE  # a mean of what is known, or 0
        assert one.min() >= -TOLERANCE


def test_what_is_not_known_has_no_say() -> None:
    values, known = torch.rand(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)
    known[..., :8] = 1
    changed = values.clone()
    changed[..., 8:] = 100
    assert torch.equal(pull_push(values, known), pull_push(changed, known))


def test_nothing_known_is_nothing() -> None:
    assert pull_push(torch.rand(1, 2, 8, 8), torch.zeros(1, 1, 8, 8)).abs().sum() == 0


def test_the_nearer_value_counts_more() -> None:
    values, known = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)
    values[..., :4], known[..., :4], known[..., -4:] = 1.0, 1, 1  # bright on the left, dark on the right
    row = pull_push(values, known)[0, 0, 8]
    assert row[5] > row[8] > row[11]
    assert float(row[8]) == pytest.approx(0.5, abs=0.2)
