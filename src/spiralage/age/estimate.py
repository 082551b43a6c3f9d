"""Crops → ages, through the exported network."""

from __future__ import annotations

import numpy as np

from spiralage.runtime import open_session
from spiralage.types import CROP_SIZE, AgeEstimate, Floats, Pixels

DEFAULT_NETWORK = "best"


class AgeEstimator:
    """Reads the age off aligned crops.

    Args:
        network: a shipped age network.
        threads: see ``runtime.open_session``.

    Raises:
        ModelFileError: unknown network, or its file isn't the pinned one.

    Example:
        >>> gray = np.full((1, 256, 256, 3), 128, np.uint8)
        >>> 0 <= AgeEstimator().estimate(gray)[0].mean <= 100
        True
    """

    def __init__(self, network: str = DEFAULT_NETWORK, *, threads: int | None = None) -> None:
        self.network = network
        self._session = open_session(network, threads)

    def estimate(self, crops: Pixels) -> tuple[AgeEstimate, ...]:
        """One estimate per crop.

        Args:
            crops: (N, 256, 256, 3) uint8 RGB, aligned.
        """
        return tuple(AgeEstimate(p) for p in self.probabilities(crops))

    def probabilities(self, crops: Pixels) -> Floats:
        """P(age = j) for j = 0…100, (N, 101) float32."""
        if crops.ndim != 4 or crops.shape[1:] != (CROP_SIZE, CROP_SIZE, 3):
            raise ValueError(f"crops must have shape (N, {CROP_SIZE}, {CROP_SIZE}, 3), got {crops.shape}")
        if len(crops) == 0:
            return np.empty((0, 101), np.float32)
        return self._session.run(crops=crops)
