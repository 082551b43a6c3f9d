"""Crops → ages, through the exported network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from spiralage.age.calibrate import METADATA, Calibration
from spiralage.errors import ModelFileError, NetworkError
from spiralage.runtime import check_signature, open_session
from spiralage.store import StoredNetwork, resolve
from spiralage.types import CROP_SIZE, AgeEstimate, Floats, Mask, Pixels

DEFAULT_NETWORK = "best"


class Estimator(Protocol):
    """Reads ages off aligned crops.

    One with a true attribute ``told_mask`` is told what is hidden: the second argument of its ``estimate`` is
    (N, 256, 256) bool masks, True = hidden.
    """

    def estimate(self, crops: Pixels) -> tuple[AgeEstimate, ...]:
        """One estimate per crop, for (N, 256, 256, 3) uint8 RGB."""
        ...


class AgeEstimator:
    """Reads the age off aligned crops.

    ``calibration`` is the network's, see ``calibrate``; None where its file has none. ``told_mask`` says whether the
    network is told what is hidden.

    Args:
        network: a shipped age network, or a user's: see ``store``. Size and colours of pictures are prepared inside
            the file; it must take ``crops`` (N, 256, 256, 3) uint8 and give ``probabilities`` (N, 101) float32.
            It may take ``hidden`` (N, 256, 256) uint8, 1 = hidden, besides.
        threads: see ``threads.thread_count``.

    Raises:
        ModelFileError: unknown network, its file isn't the pinned one, or it takes or gives something else.

    Example:
        >>> gray = np.full((1, 256, 256, 3), 128, np.uint8)
        >>> 0 <= AgeEstimator().estimate(gray)[0].mean <= 100
        True
    """

    def __init__(self, network: str | Path | StoredNetwork = DEFAULT_NETWORK, *, threads: int | None = None) -> None:
        found = network if isinstance(network, StoredNetwork) else resolve(network, "age")
        self.network = found.name
        (file,) = found.files
        self._session = open_session(file, threads)
        check_signature(self._session, "age", found.name)
        self.told_mask = "hidden" in self._session.inputs
        self.calibration = _calibration(found.name, self._session.metadata)
        if not file.shipped:
            self._try_out()

    def _try_out(self) -> None:
        """Find out before the first photo that a user's network ends in something else than probabilities."""
        gray: Pixels = np.full((2, CROP_SIZE, CROP_SIZE, 3), 128, np.uint8)
        try:
            self.estimate(gray)
        except Exception as error:  # onnxruntime's exceptions share no base but Exception
            reason = str(error).splitlines()[0]
            raise ModelFileError(
                f"{self.network}: no age network ({reason}); it must give probabilities of the ages 0 to 100"
            ) from error

    def estimate(self, crops: Pixels, masks: Mask | None = None) -> tuple[AgeEstimate, ...]:
        """One estimate per crop.

        Args:
            crops: (N, 256, 256, 3) uint8 RGB, aligned.
            masks: (N, 256, 256) bool, True = hidden; None = nothing is. A network that isn't told goes without.

        Raises:
            NetworkError: the network answers with NaN, infinity or what is no probability.
        """
        return tuple(map(self._one, self.probabilities(crops, masks)))

    def _one(self, probabilities: Floats) -> AgeEstimate:
        try:
            return AgeEstimate(probabilities)
        except ValueError as error:
            raise NetworkError(f"the age network {self.network} gave no answer: {error}; use another") from error

    def probabilities(self, crops: Pixels, masks: Mask | None = None) -> Floats:
        """P(age = j) for j = 0…100, (N, 101) float32; raises NetworkError for NaN or infinity. See ``estimate``."""
        if crops.ndim != 4 or crops.shape[1:] != (CROP_SIZE, CROP_SIZE, 3):
            raise ValueError(f"crops must have shape (N, {CROP_SIZE}, {CROP_SIZE}, 3), got {crops.shape}")
        if masks is not None and masks.shape != crops.shape[:3]:
            raise ValueError(f"masks must have shape {crops.shape[:3]}, got {masks.shape}")
        if len(crops) == 0:
            return np.empty((0, 101), np.float32)
        told = {}
        if self.told_mask:
            told["hidden"] = np.zeros(crops.shape[:3], np.uint8) if masks is None else masks.astype(np.uint8)
        found = self._session.run(crops=crops, **told)
        if not np.isfinite(found).all():
            raise NetworkError(f"the age network {self.network} answered with NaN or infinity; use another")
        return found


def _calibration(name: str, metadata: Mapping[str, str]) -> Calibration | None:
    try:
        return Calibration.from_json(metadata[METADATA]) if METADATA in metadata else None
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error
