"""The measures, against numbers computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spiralage.evaluation.metrics import (
    bootstrap_mae,
    cumulative_probability,
    cumulative_score,
    interval_coverage,
    mae_by_person,
    mean_absolute_error,
)

ESTIMATES = np.array([20.0, 31.5, 44.0, 70.0])
AGES = np.array([25.0, 30.0, 38.0, 70.0])  # off by 5, 1.5, 6 and 0


def test_mean_absolute_error_by_hand() -> None:
    assert mean_absolute_error(ESTIMATES, AGES) == 12.5 / 4
    assert mean_absolute_error(AGES, ESTIMATES) == 12.5 / 4


def test_cumulative_score_counts_the_limit_itself() -> None:
    assert cumulative_score(ESTIMATES, AGES) == 0.75
    assert cumulative_score(ESTIMATES, AGES, 4.9) == 0.5
    assert cumulative_score(ESTIMATES, AGES, 0) == 0.25
    assert cumulative_score(ESTIMATES, AGES, 6) == 1


def test_interval_coverage_by_hand() -> None:
    # Evenly on the years 30…39: mass on [29.5, 39.5], its central 80 % on [30.5, 38.5].
    probabilities = np.zeros((5, 101), np.float32)
    probabilities[:, 30:40] = 0.1
    ages = np.array([29.0, 30.0, 38.0, 39.0, 40.0])
    # The year 30 is [29.5, 30.5] and touches the interval; 39 is [38.5, 39.5]; 29 and 40 are outside.
    assert interval_coverage(probabilities, ages, 0.79) == pytest.approx(1 / 5)  # [30.55, 38.45]: 38 alone
    assert interval_coverage(probabilities, ages, 0.81) == pytest.approx(3 / 5)  # [30.45, 38.55]: 30, 38, 39


def test_interval_coverage_is_the_level_for_an_honest_network() -> None:
    rng = np.random.default_rng(0)
    years = np.arange(101)
    centres = rng.uniform(30, 70, 2000)
    probabilities = np.exp(-(((years - centres[:, None]) / 12) ** 2) / 2)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    ages = np.array([rng.choice(years, p=p) for p in probabilities], dtype=np.float64)
    # A year that is covered in part counts, so honest coverage lies a little above the level.
    coverage = interval_coverage(probabilities.astype(np.float32), ages, 0.8)
    assert 0.78 < coverage < 0.85


def test_mae_by_person_counts_every_person_the_same() -> None:
    errors = np.array([1.0, 9.0, 2.0, 3.0, 6.0])
    assert mae_by_person(errors, ["a", "b", "a", "a", "c"]) == pytest.approx((2 + 9 + 6) / 3)
    assert mae_by_person(errors, ["a"] * 5) == pytest.approx(errors.mean())
    assert mae_by_person(errors, list("abcde")) == pytest.approx(errors.mean())


def test_the_bootstrap_of_two_persons_by_hand() -> None:
    # Two draws of {a: one picture off by 0, b: three off by 4}: a a, a b, b a, b b → 0, 3, 3, 4 years.
    errors, persons = np.array([4.0, 0.0, 4.0, 4.0]), ["b", "a", "b", "b"]
    assert bootstrap_mae(errors, persons, level=0.4) == pytest.approx((3, 3))  # between 30 % and 70 %
    assert bootstrap_mae(errors, persons) == pytest.approx((0, 4))


def test_the_bootstrap_is_a_function_of_its_seed() -> None:
    errors = np.random.default_rng(0).exponential(5, 60)
    persons = [f"{index % 12:02}" for index in range(60)]
    low, high = bootstrap_mae(errors, persons, draws=500)
    assert low < errors.mean() < high
    assert bootstrap_mae(errors, persons, draws=500) == (low, high)
    assert bootstrap_mae(errors, persons, draws=500, seed=1) != (low, high)
    narrow = bootstrap_mae(errors, persons, draws=500, level=0.5)
    assert low < narrow[0] < narrow[1] < high


def test_one_person_says_nothing_about_others() -> None:
    assert bootstrap_mae(np.array([1.0, 2.0, 6.0]), ["a"] * 3) == (3, 3)


def test_persons_are_the_units_of_the_bootstrap() -> None:
    # Ten pictures of each of ten persons, all as wrong as each other: ten independent numbers, not a hundred.
    errors = np.repeat(np.random.default_rng(0).exponential(5, 10), 10)
    by_person = bootstrap_mae(errors, [f"{index // 10}" for index in range(100)])
    by_image = bootstrap_mae(errors, [f"{index:02}" for index in range(100)])
    ratio = (by_person[1] - by_person[0]) / (by_image[1] - by_image[0])
    assert ratio == pytest.approx(np.sqrt(10), rel=0.15)


def test_the_sign_of_a_difference_is_kept() -> None:
    low, high = bootstrap_mae(np.array([-3.0, -1.0, -2.0, -2.0]), list("abcd"))
    assert -3 <= low < high < 0


def test_cumulative_probability_by_hand() -> None:
    p = np.zeros((4, 101), np.float32)
    p[:, [0, 20, 100]] = 0.25, 0.5, 0.25
    ages = np.array([0.0, 20.0, 50.0, 100.0])
    assert cumulative_probability(p, ages) == pytest.approx([0.125, 0.5, 0.75, 0.875])
    assert cumulative_probability(p[:2], np.array([-3.0, 116.0])) == pytest.approx([0.125, 0.875])  # as 0 and 100


def test_cumulative_probability_is_uniform_for_an_honest_network() -> None:
    rng = np.random.default_rng(0)
    years = np.arange(101)
    p = np.exp(-(((years - rng.uniform(30, 70, (2000, 1))) / 12) ** 2) / 2)
    p /= p.sum(axis=1, keepdims=True)
    ages = np.array([rng.choice(years, p=one) for one in p], dtype=np.float64)
    found = np.sort(cumulative_probability(p.astype(np.float32), ages))
    np.testing.assert_allclose(found, (np.arange(2000) + 0.5) / 2000, atol=0.04)


@pytest.mark.parametrize(("age", "covered"), [(19.0, 0), (20.0, 1), (25.0, 1), (31.0, 1), (32.0, 0)])
def test_a_year_that_only_touches_the_interval_is_covered(age: float, covered: float) -> None:
    p = np.zeros((1, 101), np.float32)
    p[0, [20, 30, 40]] = 0.25, 0.5, 0.25  # its middle half is [20.5, 30.5]
    assert interval_coverage(p, np.array([age]), level=0.5) == covered
