"""Measures of age estimates, in years."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spiralage.distribution import central_interval

Numbers = npt.NDArray[np.float64]


def mean_absolute_error(estimates: Numbers, ages: Numbers) -> float:
    """MAE over images, in years.

    >>> mean_absolute_error(np.array([10.0, 20.0]), np.array([12.0, 19.0]))
    1.5
    """
    return float(np.abs(estimates - ages).mean())


def cumulative_score(estimates: Numbers, ages: Numbers, years: float = 5) -> float:
    """CS@5: the part of images with an absolute error of at most ``years``, in [0, 1].

    >>> cumulative_score(np.array([10.0, 20.0]), np.array([15.0, 26.0]))
    0.5
    """
    return float((np.abs(estimates - ages) <= years).mean())


def mae_by_person(errors: Numbers, persons: Sequence[str]) -> float:
    """The mean of the persons' own mean absolute errors, in years: every person counts the same.

    >>> mae_by_person(np.array([1.0, 3.0, 8.0]), ["a", "a", "b"])
    5.0
    """
    sums, counts = _person_sums(errors, persons)
    return float((sums / counts).mean())


def bootstrap_mae(
    errors: Numbers, persons: Sequence[str], *, level: float = 0.95, draws: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """A percentile interval of the MAE over images, in years: persons are drawn with replacement.

    A person's pictures resemble each other, so persons are the independent units, not pictures.

    Args:
        errors: one per image, years; absolute, or the differences of two methods' absolute errors.
        persons: whose picture it is.
        level: of the interval.
        draws: how many samples of persons.
        seed: of the draws.

    Example:
        >>> bootstrap_mae(np.array([2.0, 2.0, 2.0]), ["a", "b", "b"])
        (2.0, 2.0)
    """
    sums, counts = _person_sums(errors, persons)
    chosen = np.random.default_rng(seed).integers(0, len(sums), (draws, len(sums)))
    means = sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _person_sums(errors: Numbers, persons: Sequence[str]) -> tuple[Numbers, Numbers]:
    numbers = np.unique(np.asarray(persons), return_inverse=True)[1]
    sums: Numbers = np.bincount(numbers, weights=errors).astype(np.float64)
    return sums, np.bincount(numbers).astype(np.float64)


def cumulative_probability(probabilities: npt.NDArray[np.float32], ages: Numbers) -> Numbers:
    """P(age < true age), the true year counted half; uniform over images if the distributions are honest.

    >>> p = np.zeros((1, 101), np.float32); p[0, [20, 30]] = 0.5
    >>> cumulative_probability(p, np.array([30.0]))
    array([0.75])
    """
    exact = np.asarray(probabilities, np.float64)
    years = np.clip(ages, 0, exact.shape[1] - 1).astype(np.int64)[:, None]
    below: Numbers = np.take_along_axis(exact.cumsum(axis=1), years, axis=1)[:, 0]
    return below - np.take_along_axis(exact, years, axis=1)[:, 0] / 2


def interval_coverage(probabilities: npt.NDArray[np.float32], ages: Numbers, level: float = 0.9) -> float:
    """The part of images whose true age lies in the central interval; ``level`` if it is honest.

    An age is the whole year [j − ½, j + ½]; it is covered if any of it is.
    """
    low, high = central_interval(probabilities, level)
    return float(((ages + 0.5 >= low) & (ages - 0.5 <= high)).mean())


def calibration_error(said: Numbers, was: npt.NDArray[np.bool_], bins: int = 10) -> float:
    """ECE, the expected calibration error of probabilities (Naeini et al. 2015), in [0, 1].

    Probabilities are sorted into bins of equal width; the difference between what was said on average and how often it
    came true is averaged over bins, each weighted by what is in it.

    >>> calibration_error(np.array([0.75, 0.75, 0.75, 0.75]), np.array([True, True, True, False]))
    0.0
    >>> calibration_error(np.array([0.9, 0.1]), np.array([False, False]))
    0.5
    """
    number = np.clip((said * bins).astype(np.int64), 0, bins - 1)
    off = np.bincount(number, weights=said - was, minlength=bins)
    return float(np.abs(off).sum() / len(said))


def bootstrap_rate(came: npt.NDArray[np.bool_], persons: Sequence[str], *, draws: int = 1000) -> tuple[float, float]:
    """The 95 % interval of a rate: a bootstrap over persons, see ``bootstrap_mae``.

    Where nothing or all came true, draws can't tell how far the rate may be from 0 or 1: the end is then the exact one
    of the binomial distribution (Clopper and Pearson 1934), each person counting once.

    >>> low, high = bootstrap_rate(np.zeros(100, bool), [str(i) for i in range(100)])
    >>> low, round(high, 4)
    (0.0, 0.0362)
    """
    low, high = bootstrap_mae(came.astype(np.float64), persons, draws=draws)
    end = float(0.025 ** (1 / len(set(persons))))
    return (low if not came.all() else end), (high if came.any() else 1 - end)
