"""The measures, against numbers computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spiralage.evaluation.metrics import cumulative_score, interval_coverage, mean_absolute_error

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
