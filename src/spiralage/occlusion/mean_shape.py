"""Where the 68 landmarks of an aligned face are when fewer of them are known: the mean face's, fitted."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from safetensors.numpy import load

from spiralage import weights
from spiralage.faces.align import similarity, transform
from spiralage.types import AlignedFace, Doubles, Landmarks


@lru_cache(maxsize=1)
def mean_landmarks() -> Doubles:
    """The mean of the training faces' 68 landmarks in the aligned frame, (68, 2) float64, (x, y) in crop pixels."""
    points = load(weights.read("mean-face"))["landmarks"].astype(np.float64)
    points.flags.writeable = False  # everybody gets the same array
    return points


def full_landmarks(face: AlignedFace) -> Doubles:
    """68 points of an aligned face: its own, or the mean face's fitted to its five, or the mean face's.

    Returns:
        (68, 2) float64, (x, y) in crop pixels.
    """
    mean = mean_landmarks()
    if face.landmarks is None:
        return mean
    if len(face.landmarks.points) == 68:
        return face.landmarks.points
    return transform(mean, similarity(Landmarks(mean, "given").five(), face.landmarks.five()))
