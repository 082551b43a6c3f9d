"""The mean aligned face of the training pictures and where its landmarks are: one shipped file, read once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from safetensors.numpy import load

from spiralage import weights
from spiralage.types import Doubles, Floats


@lru_cache(maxsize=1)
def _mean() -> tuple[Floats, Doubles]:
    tensors = load(weights.read("mean-face"))
    pixels, landmarks = tensors["pixels"].astype(np.float32), tensors["landmarks"].astype(np.float64)
    for array in (pixels, landmarks):
        array.flags.writeable = False  # everybody gets the same ones
    return pixels, landmarks


def mean_face() -> Floats:
    """The mean aligned face, (256, 256, 3) float32 RGB in [0, 255]; not to be written to."""
    return _mean()[0]


def mean_landmarks() -> Doubles:
    """The mean of the training faces' 68 landmarks in the aligned frame, (68, 2) float64, (x, y) in crop pixels."""
    return _mean()[1]
