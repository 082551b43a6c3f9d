"""Occluders in training: what a recipe's shares hide in a step's faces."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from spiralage.occlusion.occluders import OCCLUDERS, Cover, OccluderName
from spiralage.types import Doubles, Mask, Pixels

Shares = Mapping[OccluderName, float]


def draw_cover(landmarks: Doubles, shares: Shares, rng: np.random.Generator) -> Cover:
    """A random occluder on a face, its kind drawn by its share.

    Args:
        landmarks: the face's, (68, 2) float64, (x, y) in crop pixels.
        shares: how often each kind comes, in proportion; at least one is above 0. Their order doesn't matter.
        rng: draws the kind, then the occluder.
    """
    names = [name for name in OCCLUDERS if name in shares]
    weights = np.array([shares[name] for name in names])
    name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    return OCCLUDERS[name](landmarks, rng)


def draw_masks(landmarks: Doubles, shares: Shares, rng: np.random.Generator) -> Mask:
    """What random occluders hide of faces with these landmarks, (N, 68, 2): (N, 256, 256) bool, True = hidden."""
    return np.stack([draw_cover(points, shares, rng).mask for points in landmarks])


def cover_faces(
    faces: Pixels, landmarks: Doubles, shares: Shares, rng: np.random.Generator
) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """Put occluders on some faces, as they look.

    Args:
        faces: (N, 256, 256, 3) uint8 RGB.
        landmarks: theirs, (N, 68, 2) float64, (x, y) in crop pixels.
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
        covered[index] = draw_cover(landmarks[index], shares, rng).over(faces[index])
    return covered, chosen
