"""What a distribution over the ages 0…100 says: mean, standard deviation, interval, P(age ≥ t).

Every function takes probabilities of shape (..., 101) and works on the last axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

MAX_AGE = 100
"""The oldest age class in years; classes are the whole years 0…100."""

Floats: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]

AGES = np.arange(MAX_AGE + 1, dtype=np.float64)


def expected_age(probabilities: Floats | Doubles) -> Doubles:
    """m = Σ j·p_j in years; the estimate of Pan et al. 2018.

    >>> p = np.zeros(101); p[[20, 30]] = 0.5
    >>> float(expected_age(p))
    25.0
    """
    return np.asarray(probabilities, dtype=np.float64) @ AGES


def age_std(probabilities: Floats | Doubles) -> Doubles:
    """√v with v = Σ p_j (j − m)², in years.

    >>> p = np.zeros(101); p[[20, 30]] = 0.5
    >>> float(age_std(p))
    5.0
    """
    mean = expected_age(probabilities)[..., None]
    variance = (np.asarray(probabilities, dtype=np.float64) * (AGES - mean) ** 2).sum(axis=-1)
    std: Doubles = np.sqrt(variance)
    return std


def central_interval(probabilities: Floats | Doubles, level: float = 0.9) -> tuple[Doubles, Doubles]:
    """The interval between the (1−level)/2 and (1+level)/2 quantiles, in years.

    The probability of the whole year j is spread evenly over [j − ½, j + ½], so the ends are
    continuous; they are cut to [0, 100].

    Raises:
        ValueError: ``level`` isn't strictly between 0 and 1.

    Example:
        >>> low, high = central_interval(np.full(101, 1 / 101), 0.9)
        >>> round(float(low), 2), round(float(high), 2)
        (4.55, 95.45)
    """
    if not 0 < level < 1:
        raise ValueError(f"the level of an interval must be between 0 and 1, got {level}")
    tail = (1 - level) / 2
    return _quantile(probabilities, tail), _quantile(probabilities, 1 - tail)


def _quantile(probabilities: Floats | Doubles, q: float) -> Doubles:
    p = np.asarray(probabilities, dtype=np.float64)
    cumulative = p.cumsum(axis=-1)
    target = q * cumulative[..., -1:]
    year = (cumulative < target).sum(axis=-1, keepdims=True).clip(max=MAX_AGE)
    inside_year = np.take_along_axis(p, year, axis=-1)
    below = np.take_along_axis(cumulative, year, axis=-1) - inside_year
    share = (target - below) / np.where(inside_year > 0, inside_year, 1.0)
    age: Doubles = np.clip((year - 0.5 + share)[..., 0], 0, MAX_AGE)
    return age


def p_at_least(probabilities: Floats | Doubles, age: float) -> Doubles:
    """P(age ≥ ``age``): the mass of the classes from ``age`` years on.

    A class j means "j years old", so the mass of every whole year ≥ ``age`` counts.

    >>> p = np.zeros(101); p[[17, 18]] = 0.25, 0.75
    >>> float(p_at_least(p, 18))
    0.75
    """
    mass: Doubles = np.asarray(probabilities, dtype=np.float64)[..., age <= AGES].sum(axis=-1)
    return mass


@dataclass(frozen=True, eq=False)
class CalibratedAge:
    """What is to be believed of a person's age, once a network was held against faces whose ages are known.

    See ``age.calibrate``, which finds it.

    Args:
        levels: (L,) float64, rising, in (0, 1).
        low, high: (L,) float64, the intervals' ends at these levels, years.
        at_least: (101,) float64, P(age ≥ t) for t = 0…100 years.
    """

    levels: Doubles
    low: Doubles
    high: Doubles
    at_least: Doubles

    def interval(self, level: float = 0.9) -> tuple[float, float]:
        """(low, high) in years; between the levels that were found, and 0 and 1, ends are interpolated.

        Raises:
            ValueError: ``level`` isn't strictly between 0 and 1.

        Example:
            >>> at_least = np.linspace(1, 0, 101)
            >>> answer = CalibratedAge(np.array([0.5, 0.9]), np.array([30.0, 20.0]), np.array([40.0, 60.0]), at_least)
            >>> answer.interval(0.9), answer.interval(0.7)
            ((20.0, 60.0), (25.0, 50.0))
        """
        if not 0 < level < 1:
            raise ValueError(f"the level of an interval must be between 0 and 1, got {level}")
        middle = (self.low[0] + self.high[0]) / 2
        levels = np.array([0, *self.levels, 1])
        low, high = (
            float(np.interp(level, levels, [middle, *ends, last]))
            for ends, last in ((self.low, 0.0), (self.high, float(MAX_AGE)))
        )
        return low, high

    def p_at_least(self, age: float) -> float:
        """P(age ≥ ``age`` years), in [0, 1]; as for ``distribution.p_at_least`` whole years count."""
        year = int(np.clip(np.ceil(age), 0, MAX_AGE + 1))
        return 0.0 if year > MAX_AGE else float(self.at_least[year])
