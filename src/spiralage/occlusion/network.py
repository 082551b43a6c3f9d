"""What hides a face, found by a network: the probability of every pixel, and a mask without specks."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from spiralage.errors import ModelFileError, NetworkError
from spiralage.runtime import Session, check_signature, open_session
from spiralage.store import StoredNetwork, resolve
from spiralage.types import AlignedFace, Floats, Mask, Occlusion

DEFAULT_NETWORK = "occlusion"
THRESHOLD = "threshold"
"""The metadata of a network's file that says from which probability on a pixel is hidden."""
TRAINED_WITH = "trained_with"
"""The metadata that name the occluders that were drawn in training, with a blank between them."""
SLACK = 0.01
"""How far beyond 0 and 1 an answer may be: engines' sigmoids are a rounding off, in bfloat16 a coarse one."""
SPECK = 131
"""Pixels, a 500th of the crop: what is found in smaller pieces is none."""


class NetworkFinder:
    """Finds masks, hands, sunglasses and whatever else is in front of a face, and what lies beyond the photo.

    The network's file is opened when the first face needs it, or by ``open``.

    Args:
        network: a stored network of kind "occlusion", by name or path: see ``store``.
        threshold: from which probability on a pixel is hidden; None takes the one that was chosen on validation faces
            and is kept in the file.
        threads: see ``threads.thread_count``.
    """

    def __init__(
        self,
        network: str | Path | StoredNetwork = DEFAULT_NETWORK,
        *,
        threshold: float | None = None,
        threads: int | None = None,
    ) -> None:
        self._network, self._given, self._threads = network, threshold, threads

    def open(self) -> Session:
        """Find and load the network; raises ModelFileError where there is none or it does another job."""
        found = self._found
        session = open_session(found.files[0], self._threads)
        check_signature(session, "occlusion", found.name)
        return session

    @cached_property
    def _found(self) -> StoredNetwork:
        if isinstance(self._network, StoredNetwork):
            return self._network
        try:
            return resolve(self._network, "occlusion")
        except ModelFileError as error:
            raise ModelFileError(
                f"{error}; train one with: spiralage train occlusion recipes/occlusion.toml, export it into the folder "
                "of your networks as occlusion"
            ) from error

    @property
    def name(self) -> str:
        """What tables call the network: its section in a manifest, or its file; raises ModelFileError without one."""
        return self._found.files[0].name

    @property
    def trained_by(self) -> str:
        """The recipe and seed that its manifest names; of a file without one, its name."""
        entry = self._found.files[0].entry
        return self.name if entry is None else f"{entry.recipe} (seed {entry.seed})"

    @property
    def trained_with(self) -> tuple[str, ...]:
        """The kinds of occluders that were drawn in training, as its file tells."""
        return tuple(filter(None, self.open().metadata.get(TRAINED_WITH, "").split(" ")))

    @cached_property
    def threshold(self) -> float:
        """From which probability on a pixel is hidden; raises ModelFileError where the file doesn't say."""
        if self._given is not None:
            return self._given
        text = self.open().metadata.get(THRESHOLD, "")
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 < value < 1:
            raise ModelFileError(f"{self._found.name}: its {THRESHOLD} is {text!r}; export it with spiralage")
        return value

    def probability(self, face: AlignedFace) -> Floats:
        """P(hidden) of every pixel, (256, 256) float32 in [0, 1]; raises NetworkError for what is none."""
        (found,) = self.open().run(crops=face.pixels[None])
        if not (np.isfinite(found).all() and found.min() >= -SLACK and found.max() <= 1 + SLACK):
            raise NetworkError(f"the network {self._found.name} gave no probabilities; use another --occlusion")
        return np.asarray(np.clip(found, 0, 1), np.float32)

    def __call__(self, face: AlignedFace) -> Occlusion:
        """What is hidden: kind "found" where something is in front of the face, else "frame" or "none"."""
        probability = self.probability(face)
        found = without_specks((probability >= self.threshold) & face.inside)
        mask = found | ~face.inside
        kind = "found" if found.any() else "frame" if mask.any() else "none"
        return Occlusion(mask, kind, np.where(face.inside, probability, np.float32(1)))


def without_specks(mask: Mask, least: int = SPECK) -> Mask:
    """A mask without its smallest pieces: an opening by area.

    Args:
        mask: (256, 256) bool.
        least: pixels; pieces that touch by an edge or a corner are one, and smaller ones go.

    >>> mask = np.zeros((256, 256), np.bool_)
    >>> mask[10:40, 10:40] = mask[100:105, 100:105] = True
    >>> int(mask.sum()), int(without_specks(mask).sum())
    (925, 900)
    """
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= least
    large[0] = False  # what is visible
    kept: Mask = large[pieces]
    return kept
