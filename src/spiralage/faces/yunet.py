"""YuNet (Wu, Peng, Yu 2023) through OpenCV: boxes and five landmarks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from spiralage.image_io import resized
from spiralage.model_files import YUNET, model_path
from spiralage.native import PerThread
from spiralage.types import Box, Face, Landmarks, Photo


class YuNetDetector:
    """Finds faces and their five points; scores lie in [0, 1].

    A photo is searched at its own size, at most ``LONGEST`` pixels a side; if nothing is found there, at
    double size, which finds small faces. Threads may share it: each has a network of its own.

    Args:
        model: the ONNX file; by default looked up as ``model_files.model_path`` says.

    Raises:
        ModelFileError: the file can't be had.
    """

    name = "yunet"
    gives_landmarks = True
    sure = 0.92  # 85 % of FG-NET's photos score more, none does on its side
    convincing = 0.75  # upright photos that are noisy or empty reach 0.74 on their side
    LONGEST = 1280  # pixels; above it, time grows and recall on whole-face photos does not
    SCORE = 0.6
    OVERLAP = 0.3
    MOST_FACES = 5000

    def __init__(self, model: Path | None = None) -> None:
        self._path = str(model_path(YUNET, model))
        self._nets = PerThread(self._load)
        self._nets.get()  # a file that can't be used says so now

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        scale = min(1.0, self.LONGEST / max(photo.size))
        return self._search(photo, scale) or self._search(photo, min(2 * scale, 2 * self.LONGEST / max(photo.size)))

    def _load(self) -> cv2.FaceDetectorYN:
        with _quiet_opencv():
            return cv2.FaceDetectorYN.create(self._path, "", (320, 320), self.SCORE, self.OVERLAP, self.MOST_FACES)

    def _search(self, photo: Photo, scale: float) -> tuple[Face, ...]:
        net = self._nets.get()
        pixels = resized(photo.pixels, scale)
        height, width = pixels.shape[:2]
        net.setInputSize((width, height))
        _, rows = net.detect(np.ascontiguousarray(pixels[..., ::-1]))  # OpenCV's nets take BGR
        if rows is None:
            return ()
        factor = np.array([photo.size[0] / width, photo.size[1] / height])
        return tuple(_face(row, factor) for row in rows if row[2] > 0 and row[3] > 0)


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Hold back OpenCV's warning that its new engine has no targets to choose from."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def _face(row: np.ndarray, factor: np.ndarray) -> Face:
    x, y, width, height = (row[:4].reshape(2, 2) * factor).ravel().tolist()
    # YuNet's points: right eye, left eye, nose, right and left mouth corner *of the person*, which is
    # our order, by side of the picture.
    points = (row[4:14].reshape(5, 2) * factor).astype(np.float64)
    return Face(Box(x, y, width, height), float(row[14]), Landmarks(points, "yunet"), YuNetDetector.name)
