"""Occluders in training: what a recipe's shares hide in a step's faces."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from spiralage.mean_face import mean_landmarks
from spiralage.occlusion.occluders import OCCLUDERS, Cover, OccluderName
from spiralage.types import Mask, Pixels

Shares = Mapping[OccluderName, float]


def draw_cover(shares: Shares, rng: np.random.Generator) -> Cover:
    """A random occluder, its kind drawn by its share, on the mean face: aligned faces are nearly there.

    Args:
        shares: how often each kind comes, in proportion; at least one is above 0. Their order doesn't matter.
        rng: draws the kind, then the occluder.
    """
    names = [name for name in OCCLUDERS if name in shares]
    weights = np.array([shares[name] for name in names])
    name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    return OCCLUDERS[name](mean_landmarks(), rng)


def draw_masks(count: int, shares: Shares, rng: np.random.Generator) -> Mask:
    """What random occluders hide: (count, 256, 256) bool, True = hidden."""
    return np.stack([draw_cover(shares, rng).mask for _ in range(count)])


def cover_faces(faces: Pixels, shares: Shares, rng: np.random.Generator) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """Put occluders on some faces, as they look.

    Args:
        faces: (N, 256, 256, 3) uint8 RGB.
        shares: the part of the faces that gets each kind, in [0, 1] in all.
        rng: draws who gets one, and the occluders.

    Returns:
        The faces, and which of them have one, (N,) bool.
    """
    total = sum(shares.values())
    if total == 0:
        return faces, np.zeros(len(faces), np.bool_)
    chosen = rng.random(len(faces)) < total
    covered = faces.copy()
    for index in np.flatnonzero(chosen):
        covered[index] = draw_cover(shares, rng).over(faces[index])
    return covered, chosen
