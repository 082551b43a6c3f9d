"""How sure: intervals that hold and probabilities that come true, whatever the network believes of itself.

A network's distribution over ages is a claim. Here it is held against faces whose ages are known (split conformal
prediction), and corrected by what is found. What is compared is the *position* of the true age in the distribution, as
log-odds; see ``positions``. Two things are read off the positions of the known faces:

- **Intervals**, conditioned on the *true* age (label-conditional, Vovk 2012): for every age y the positions between
  which 90 % of people of about that age lie. An interval is all ages y at which the face's own position is one of
  these. So it holds for 90 % of the children, of the adults and of the old alike, not only on average. The scores are
  those of distributional conformal prediction (Chernozhukov, Wüthrich and Zhu 2021, PNAS 118).
- **P(age ≥ t)**, conditioned on the *estimated* age: the distribution of positions among faces that were read as about
  so old turns a position into a probability (Mondrian conformal predictive distributions, Boström et al. 2021;
  calibrated regression, Kuleshov et al. 2018).

Both are found apart for each *cell*: whether something covers the face, and how much of it is hidden. Within a cell,
ages near the one that is asked for count by their nearness (localised conformal prediction, Guan 2023), over as many
years as it takes to count enough faces. A cell with too few faces takes all faces of its side, covered or not; a side
with too few takes all there are.

A calibration is for one network and one way of filling hidden pixels. It stands as JSON in the metadata of the
network's ONNX file, so it travels with the weights, is pinned by their SHA-256, and is gone when they are replaced.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from spiralage.distribution import AGES, MAX_AGE, CalibratedAge, age_std, expected_age
from spiralage.errors import InputError, ModelFileError
from spiralage.types import AgeEstimate, Doubles, Floats, Mask, Occlusion, Restoration

METADATA = "calibration"
"""What it is called in the metadata of an ONNX file."""

LEVELS = (0.25, 0.5, 0.68, 0.8, 0.9, 0.95, 0.99)
"""Levels of the intervals that are found; those between are interpolated."""
TAILS = np.array([0.0025, 0.005, 0.01, 0.02, 0.035, *np.arange(0.05, 0.96, 0.05), 0.965, 0.98, 0.99, 0.995, 0.9975])
"""At which probabilities the distributions of positions are kept."""
KNOTS = np.array([0, 2, 4, 7, 10, 13, 16, 18, 20, 23, 26, *range(30, 101, 5)], np.float64)
"""Ages in years at which both are found; between them they are interpolated."""
EDGES: tuple[tuple[float, ...], ...] = ((0, 0.1, 0.3, 1), (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1))
"""The hidden parts at which one cell ends and the next begins: where nothing covers the face, and where something does.

Where nothing does, what is hidden lies beyond the photo's edge.
"""
CELLS = tuple((covered, low, high) for covered, edges in enumerate(EDGES) for low, high in pairwise(edges))
"""(covered, least and greatest hidden part) of every cell."""

CHOSEN = "auto"
"""The way of a restorer that is chosen face by face; see ``restoration.restore.Chooser``."""
FEWEST = 100
"""From fewer faces nothing is learned."""
ENOUGH = 150
"""Faces, counted by their weights (Kish's effective number), that a cell needs, and that each of its knots asks."""
REACHES = (3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 101.0)
"""How many years away a face may be to count, the fewest that bring enough."""
BLUR = 0.02
"""How much of a logistic distribution is blended into the network's, so that no age is impossible."""
ASKED = np.arange(0, MAX_AGE + 0.125, 0.25)
"""The ages that an interval's ends can be, years; every whole year is one."""

Integers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Calibration:
    """What was found of a network.

    Args:
        low, high: (cells, knots, levels) float64, the positions between which a level's part of the people lies.
        predictive: (cells, knots, tails) float64, quantiles of the positions.
        faces: how many faces each cell had of its own.
        restorer: who filled what was hidden; "none" where nobody did, "auto" where one was chosen for each face.
        data: which faces, for readers.
        commit: of the code that found it.

    Raises:
        ValueError: shapes that don't fit, NaN, or quantiles that fall.
    """

    low: Doubles
    high: Doubles
    predictive: Doubles
    faces: tuple[int, ...]
    restorer: str = "none"
    data: str = ""
    commit: str = ""

    def __post_init__(self) -> None:
        start = len(CELLS), len(KNOTS)
        for name, last in (("low", len(LEVELS)), ("high", len(LEVELS)), ("predictive", len(TAILS))):
            array = getattr(self, name)
            if array.shape != (*start, last) or not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite of shape {(*start, last)}, got {array.shape}")
        if (np.diff(self.predictive, axis=2) < 0).any() or (self.low > self.high).any():
            raise ValueError("quantiles must not fall")
        if len(self.faces) != len(CELLS):
            raise ValueError(f"faces must count {len(CELLS)} cells, got {len(self.faces)}")

    def holds_for(self, occlusion: Occlusion, restoration: Restoration) -> bool:
        """Whether a face was read in the way that this is for: nothing was hidden, or it was filled by the same.

        A restoration whose restorer was chosen for the face has a reason; it is of the way "auto".
        """
        way = CHOSEN if restoration.reason else restoration.restorer
        return not occlusion.mask.any() or way == self.restorer

    def apply(self, probabilities: Floats | Doubles, hidden: Doubles, covered: Mask) -> tuple[CalibratedAge, ...]:
        """Calibrated answers.

        Args:
            probabilities: (N, 101), the network's.
            hidden: (N,), the hidden part of each crop, in [0, 1].
            covered: (N,) bool, whether something covers the face; see ``covers``.

        Example:
            >>> p = np.full((1, 101), 1 / 101)
            >>> (answer,) = uncorrected().apply(p, np.zeros(1), np.zeros(1, bool))
            >>> low, high = answer.interval(0.9)
            >>> abs(low - 5) < 2 and abs(high - 95) < 2
            True
        """
        if len(probabilities) == 0:
            return ()
        p = np.asarray(probabilities, np.float64)
        cells, means = cell_of(hidden, covered), expected_age(p)
        low, high = self._ends(p, cells, means)
        at_least = self._at_least(p, cells, means)
        levels = np.array(LEVELS)
        return tuple(CalibratedAge(levels, *each) for each in zip(low, high, at_least, strict=True))

    def _ends(self, p: Doubles, cells: Integers, means: Doubles) -> tuple[Doubles, Doubles]:
        """The intervals' ends in years, (N, levels) each; each interval holds the estimate, and all narrower ones."""
        asked = positions(p, np.broadcast_to(ASKED, (len(p), len(ASKED))))[..., None]  # (N, ages, 1)
        least, most = (_between_knots(bounds, ASKED)[cells] for bounds in (self.low, self.high))  # (N, ages, levels)
        inside = (asked >= least) & (asked <= most)
        some = inside.any(axis=1)
        first = np.where(some, ASKED[inside.argmax(axis=1)], means[:, None])
        last = np.where(some, ASKED[len(ASKED) - 1 - inside[:, ::-1].argmax(axis=1)], means[:, None])
        low = np.minimum.accumulate(np.minimum(first, means[:, None]), axis=1)
        high = np.maximum.accumulate(np.maximum(last, means[:, None]), axis=1)
        return low, high

    def _at_least(self, p: Doubles, cells: Integers, means: Doubles) -> Doubles:
        """P(age ≥ t) for t = 0…100, (N, 101); it falls with t, and is 1 for t = 0."""
        asked = positions(p, np.broadcast_to(AGES - 0.5, p.shape))  # the year t begins at t − ½
        odds, answers = _log_odds(TAILS), np.empty_like(p)
        for i, (cell, mean) in enumerate(zip(cells, means, strict=True)):
            quantiles = _between_knots(self.predictive[cell][None], np.array([mean]))[0, 0]
            younger = _through(asked[i], quantiles, odds)
            answers[i] = 1 / (1 + np.exp(np.clip(younger, -500, 500)))
        answers[:, 0] = 1
        return answers

    def to_json(self) -> str:
        """As it stands in a file."""
        arrays = {name: np.round(getattr(self, name), 4).tolist() for name in ("low", "high", "predictive")}
        facts = {"faces": self.faces, "restorer": self.restorer, "data": self.data, "commit": self.commit}
        return json.dumps({"version": 1, **arrays, **facts}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """What ``to_json`` wrote.

        Raises:
            ModelFileError: it isn't that.

        Example:
            >>> Calibration.from_json(uncorrected().to_json()).restorer
            'none'
            >>> Calibration.from_json("{}")
            Traceback (most recent call last):
            ...
            spiralage.errors.ModelFileError: its calibration is damaged ('version'); run: spiralage calibrate NETWORK
        """
        try:
            values: dict[str, Any] = json.loads(text)
            if values["version"] != 1:
                raise ValueError(f"version {values['version']!r:.20}")
            low, high, predictive = (np.array(values[name], np.float64) for name in ("low", "high", "predictive"))
            restorer, data, commit = (str(values[name]) for name in ("restorer", "data", "commit"))
            return cls(low, high, predictive, tuple(map(int, values["faces"])), restorer, data, commit)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            reason = (str(error).splitlines() or ["?"])[0][:100]
            raise ModelFileError(f"its calibration is damaged ({reason}); run: spiralage calibrate NETWORK") from error


def uncorrected() -> Calibration:
    """The calibration of a network that knows how sure it is: it changes next to nothing."""
    shape = len(CELLS), len(KNOTS), 1
    tails = (1 - np.array(LEVELS)) / 2
    low, high = np.tile(_log_odds(tails), shape), np.tile(_log_odds(1 - tails), shape)
    return Calibration(low, high, np.tile(_log_odds(TAILS), shape), (0,) * len(CELLS))


def covers(occlusion: Occlusion) -> bool:
    """Whether something is in front of the face, not only the photo's edge beside it."""
    return occlusion.kind not in ("none", "frame") and bool(occlusion.mask.any())


def calibrated(
    calibration: Calibration | None,
    ages: Sequence[AgeEstimate],
    occlusions: Sequence[Occlusion],
    restorations: Sequence[Restoration],
) -> tuple[AgeEstimate, ...]:
    """The estimates, calibrated as far as the calibration is for the way in which they were made.

    Args:
        calibration: the network's; None leaves all as they are.
        ages, occlusions, restorations: of the same faces.
    """
    if calibration is None or not ages:
        return tuple(ages)
    answers = calibration.apply(
        np.stack([age.probabilities for age in ages]),
        np.array([occlusion.fraction for occlusion in occlusions]),
        np.array([covers(occlusion) for occlusion in occlusions]),
    )
    return tuple(
        replace(age, calibrated=answer) if calibration.holds_for(occlusion, restoration) else age
        for age, answer, occlusion, restoration in zip(ages, answers, occlusions, restorations, strict=True)
    )


def positions(probabilities: Floats | Doubles, ages: Doubles) -> Doubles:
    """Where ages lie in distributions, as the log-odds of being younger.

    The probability of the whole year j is spread evenly over [j − ½, j + ½], as in ``central_interval``. A logistic
    distribution of the same mean, and a variance greater by one, is blended in: a network that is sure and wrong gives
    a position that is far out, not an infinite one.

    Args:
        probabilities: (N, 101).
        ages: (N, M), years.

    Returns:
        (N, M) float64; it rises with the age.

    >>> p = np.zeros((1, 101)); p[0, [20, 30]] = 0.5
    >>> positions(p, np.array([[10.0, 25.0, 40.0]])).round(1).tolist()
    [[-9.3, 0.0, 9.3]]
    """
    p = np.asarray(probabilities, np.float64)
    p = p / p.sum(axis=1, keepdims=True)
    year = np.clip(np.floor(ages + 0.5), 0, MAX_AGE).astype(np.int64)
    share = np.clip(ages + 0.5 - year, 0, 1) * np.take_along_axis(p, year, axis=1)
    below = np.take_along_axis(np.cumsum(p, axis=1) - p, year, axis=1) + share
    scale = np.sqrt(age_std(p) ** 2 + 1) * np.sqrt(3) / np.pi
    far = (ages - expected_age(p)[:, None]) / scale[:, None]
    younger = (1 - BLUR) * np.clip(below, 0, 1) + BLUR / (1 + np.exp(-far))
    older = (1 - BLUR) * np.clip(1 - below, 0, 1) + BLUR / (1 + np.exp(far))
    found: Doubles = np.log(younger) - np.log(older)
    return found


def cell_of(hidden: Doubles, covered: Mask) -> Integers:
    """The cell of every face: (N,) int64, positions in ``CELLS``.

    >>> cell_of(np.array([0.0, 0.2, 1.0, 0.05, 1.0]), np.array([False, False, False, True, True])).tolist()
    [0, 1, 2, 3, 10]
    """
    plain, under = (np.digitize(hidden, edges[1:-1]) for edges in EDGES)
    return np.where(covered, len(EDGES[0]) - 1 + under, plain).astype(np.int64)


def fit(
    probabilities: Floats | Doubles,
    ages: Doubles,
    hidden: Doubles,
    covered: Mask,
    *,
    restorer: str = "none",
    data: str = "",
    commit: str = "",
) -> Calibration:
    """Find a network's calibration on faces that it has not learned from, and that no choice was made by but this one.

    Args:
        probabilities: (N, 101), the network's answers.
        ages: (N,), true, years; over 100 counts as 100.
        hidden, covered: see ``Calibration.apply``.
        restorer, data, commit: see ``Calibration``.

    Raises:
        InputError: fewer than ``FEWEST`` faces.
    """
    if len(ages) < FEWEST:
        raise InputError(f"{len(ages)} faces are too few to calibrate by; give at least {FEWEST}, better thousands")
    truth = np.clip(ages, 0, MAX_AGE)
    where = positions(probabilities, truth[:, None])[:, 0]
    means, cells = expected_age(probabilities), cell_of(hidden, covered)
    low, high, predictive = [], [], []
    for number in range(len(CELLS)):
        mine = _members(number, cells)
        by_truth = [_weights(truth[mine], knot) for knot in KNOTS]
        by_estimate = [_weights(means[mine], knot) for knot in KNOTS]
        low.append([[-_upper(-where[mine], w, (1 + level) / 2) for level in LEVELS] for w in by_truth])
        high.append([[_upper(where[mine], w, (1 + level) / 2) for level in LEVELS] for w in by_truth])
        predictive.append([_quantiles(where[mine], w) for w in by_estimate])
    counts = tuple(np.bincount(cells, minlength=len(CELLS)).tolist())
    return Calibration(np.array(low), np.array(high), np.array(predictive), counts, restorer, data, commit)


def _members(cell: int, cells: Integers) -> Integers:
    """Which faces a cell is told by: its own, else those of its side, else all."""
    own = np.flatnonzero(cells == cell)
    if len(own) >= ENOUGH:
        return own
    first = len(EDGES[0]) - 1
    side = np.flatnonzero((cells >= first) == bool(CELLS[cell][0]))
    return side if len(side) >= ENOUGH else np.arange(len(cells))


def _weights(ages: Doubles, knot: float) -> Doubles:
    """How much each face counts at a knot: less with every year between, over as few years as bring enough faces."""
    for reach in REACHES:
        weights = np.clip(1 - np.abs(ages - knot) / reach, 0, None)
        if weights.sum() ** 2 >= ENOUGH * (weights**2).sum() > 0:
            return weights
    return weights


def _upper(where: Doubles, weights: Doubles, part: float) -> float:
    """The conformal quantile: a further face of this kind lies beyond it with a probability of at most 1 − part.

    The further face counts as one of those that are known, and may lie beyond them all; with so few faces that it must,
    the farthest known position is taken.
    """
    order = np.argsort(where)
    reached = np.cumsum(weights[order]) >= part * (weights.sum() + 1) - 1e-9
    return float(where[order][reached.argmax() if reached.any() else np.flatnonzero(weights[order])[-1]])


def _quantiles(where: Doubles, weights: Doubles) -> Doubles:
    """The positions' quantiles at ``TAILS``, interpolated between the known ones."""
    kept = weights > 0
    order = np.argsort(where[kept])
    ranks = np.cumsum(weights[kept][order]) - weights[kept][order] / 2
    found: Doubles = np.interp(TAILS, ranks / weights.sum(), where[kept][order])
    return found


def _log_odds(part: Doubles) -> Doubles:
    odds: Doubles = np.log(part) - np.log1p(-part)
    return odds


def _between_knots(tables: Doubles, ages: Doubles) -> Doubles:
    """Tables at the knots, (cells, knots, columns), read at other ages: (cells, ages, columns)."""
    at = np.clip(np.searchsorted(KNOTS, ages, side="right") - 1, 0, len(KNOTS) - 2)
    share = np.clip((ages - KNOTS[at]) / (KNOTS[at + 1] - KNOTS[at]), 0, 1)[None, :, None]
    between: Doubles = tables[:, at] * (1 - share) + tables[:, at + 1] * share
    return between


def _through(x: Doubles, known: Doubles, values: Doubles) -> Doubles:
    """A rising line through known points; beyond them it goes on with slope 1."""
    inside = np.interp(x, known + 1e-9 * np.arange(len(known)), values)
    beyond: Doubles = inside + np.minimum(x - known[0], 0) + np.maximum(x - known[-1], 0)
    return beyond
