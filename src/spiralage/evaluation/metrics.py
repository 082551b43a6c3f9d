"""Measures of age estimates, in years."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spiralage.age.distribution import central_interval

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


def interval_coverage(probabilities: npt.NDArray[np.float32], ages: Numbers, level: float = 0.9) -> float:
    """The part of images whose true age lies in the central interval; ``level`` if it is honest.

    An age is the whole year [j − ½, j + ½]; it is covered if any of it is.
    """
    low, high = central_interval(probabilities, level)
    return float(((ages + 0.5 >= low) & (ages - 0.5 <= high)).mean())
