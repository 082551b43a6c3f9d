"""The distribution over ages: what is read from it holds for any distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spiralage.distribution import AGES, age_std, central_interval, expected_age, p_at_least

Probabilities = np.ndarray

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy


def normalised(weights: np.ndarray) -> Probabilities:
    return np.asarray(weights / weights.sum())


@st.composite
def any_distribution(draw: st.DrawFn) -> Probabilities:
    """Anything that sums to 1, zeros included."""
    weights = draw(st.lists(st.floats(0, 1), min_size=101, max_size=101).filter(lambda values: sum(values) > 1e-3))
    return normalised(np.array(weights))


@st.composite
def smooth_distribution(draw: st.DrawFn) -> Probabilities:
    """A mixture of two bells, nowhere 0, in part cut off at 0 or 100 years."""
    shapes = draw(st.lists(st.tuples(st.floats(0, 100), st.floats(2, 30)), min_size=1, max_size=2))
    bells = [normalised(np.exp(-(((AGES - centre) / width) ** 2) / 2)) for centre, width in shapes]
    return normalised(np.sum(bells, axis=0) + 1e-6)


def mass_between(probabilities: Probabilities, low: float, high: float) -> float:
    """The mass of [low, high] with each year's spread over ±½; 0 and 100 stand for the outer halves too."""
    low = -0.5 if low == 0 else low
    high = 100.5 if high == 100 else high
    shares = np.clip(np.minimum(AGES + 0.5, high) - np.maximum(AGES - 0.5, low), 0, 1)
    return float(probabilities @ shares)


@unhurried
@given(any_distribution(), st.floats(0.01, 0.99))
def test_interval_ends_are_ordered_and_are_ages(probabilities: Probabilities, level: float) -> None:
    low, high = central_interval(probabilities, level)
    assert 0 <= low <= high <= 100


@unhurried
@given(smooth_distribution(), st.floats(0.01, 0.99))
def test_interval_holds_the_stated_mass(probabilities: Probabilities, level: float) -> None:
    low, high = (float(end) for end in central_interval(probabilities, level))
    mass = mass_between(probabilities, low, high)
    assert mass >= level - 1e-9
    if low > 0 and high < 100:
        assert mass == pytest.approx(level, abs=1e-9)


@unhurried
@given(smooth_distribution(), st.floats(0.01, 0.99))
def test_both_tails_of_the_interval_weigh_the_same(probabilities: Probabilities, level: float) -> None:
    low, high = (float(end) for end in central_interval(probabilities, level))
    tail = (1 - level) / 2
    if low > 0:
        assert mass_between(probabilities, 0, low) == pytest.approx(tail, abs=1e-9)
    if high < 100:
        assert mass_between(probabilities, high, 100) == pytest.approx(tail, abs=1e-9)


@unhurried
@given(smooth_distribution(), st.floats(0.02, 0.5), st.floats(0.5, 0.98))
def test_a_higher_level_gives_a_wider_interval(probabilities: Probabilities, less: float, more: float) -> None:
    inner, outer = central_interval(probabilities, less), central_interval(probabilities, more)
    assert outer[0] <= inner[0]
    assert inner[1] <= outer[1]


def test_interval_of_two_years_by_hand() -> None:
    probabilities = np.zeros(101)
    probabilities[[20, 21]] = 0.5
    # The mass lies evenly on [19.5, 21.5]; a twentieth of it, 0.1 years, goes at each end.
    low, high = central_interval(probabilities, 0.9)
    assert (float(low), float(high)) == pytest.approx((19.6, 21.4))


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 2.0])
def test_interval_refuses_a_level_that_is_no_share(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        central_interval(np.full(101, 1 / 101), level)


@unhurried
@given(any_distribution())
def test_p_at_least_falls_from_one(probabilities: Probabilities) -> None:
    values = [float(p_at_least(probabilities, age)) for age in np.arange(0, 102, 0.5)]
    assert values[0] == pytest.approx(1)
    assert np.diff(values).max() <= 1e-12
    assert values[-1] == 0  # at 101.5, beyond the oldest class


@unhurried
@given(any_distribution(), st.integers(0, 99))
def test_p_at_least_counts_whole_years_only(probabilities: Probabilities, age: int) -> None:
    assert p_at_least(probabilities, age + 0.25) == p_at_least(probabilities, age + 1)
    assert float(p_at_least(probabilities, age)) == pytest.approx(probabilities[age:].sum())


@unhurried
@given(any_distribution())
def test_mean_and_std_are_numpys(probabilities: Probabilities) -> None:
    mean = np.average(AGES, weights=probabilities)
    std = np.sqrt(np.average((AGES - mean) ** 2, weights=probabilities))
    assert float(expected_age(probabilities)) == pytest.approx(mean)
    assert float(age_std(probabilities)) == pytest.approx(std, abs=1e-6)


def test_a_batch_gives_what_each_row_gives() -> None:
    rows = np.random.default_rng(0).dirichlet(np.ones(101), size=5).astype(np.float32)
    low, high = central_interval(rows, 0.8)
    assert expected_age(rows).tolist() == pytest.approx([float(expected_age(row)) for row in rows])
    assert age_std(rows).tolist() == pytest.approx([float(age_std(row)) for row in rows])
    assert p_at_least(rows, 18).tolist() == pytest.approx([float(p_at_least(row, 18)) for row in rows])
    assert list(zip(low, high, strict=True)) == [central_interval(row, 0.8) for row in rows]
