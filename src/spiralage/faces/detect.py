"""Photo → faces. One interface, three ways: YuNet, dlib, a given box; and the choice between them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import cv2
import numpy as np

from spiralage.errors import ModelFileError
from spiralage.faces.dlib_faces import DlibDetector
from spiralage.image_io import resized
from spiralage.model_files import YUNET, model_path
from spiralage.native import PerThread
from spiralage.types import Box, Face, Landmarks, Photo

log = logging.getLogger("spiralage")

DetectorName: TypeAlias = Literal["auto", "yunet", "dlib", "none"]


class Detector(Protocol):
    """Finds faces in a photo."""

    name: str
    gives_landmarks: bool

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        """Every face, best score first; an empty tuple where there is none."""
        ...


class YuNetDetector:
    """YuNet (Wu, Peng, Yu 2023) through OpenCV: boxes and five landmarks.

    A photo is searched at its own size, at most ``LONGEST`` pixels a side; if nothing is found there, at
    double size, which finds small faces.

    Args:
        model: the ONNX file; by default looked up as ``model_files.model_path`` says.

    Raises:
        ModelFileError: the file can't be had.
    """

    name = "yunet"
    gives_landmarks = True
    LONGEST = 1280  # pixels; above it, time grows and recall on whole-face photos does not
    SCORE = 0.6
    OVERLAP = 0.3
    MOST_FACES = 5000

    def __init__(self, model: Path | None = None) -> None:
        self._path = str(model_path(YUNET, model))
        self._nets = PerThread(self._load)  # a net remembers its picture's size, and answers one thread at a time
        self._nets.get()

    def _load(self) -> cv2.FaceDetectorYN:
        with _quiet_opencv():
            return cv2.FaceDetectorYN.create(self._path, "", (320, 320), self.SCORE, self.OVERLAP, self.MOST_FACES)

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        scale = min(1.0, self.LONGEST / max(photo.size))
        return self._search(photo, scale) or self._search(photo, min(2 * scale, 2 * self.LONGEST / max(photo.size)))

    def _search(self, photo: Photo, scale: float) -> tuple[Face, ...]:
        pixels = resized(photo.pixels, scale)
        height, width = pixels.shape[:2]
        net = self._nets.get()
        net.setInputSize((width, height))
        _, rows = net.detect(np.ascontiguousarray(pixels[..., ::-1]))  # OpenCV's nets take BGR
        if rows is None:
            return ()
        factor = np.array([photo.size[0] / width, photo.size[1] / height])
        return tuple(_yunet_face(row, factor) for row in rows if row[2] > 0 and row[3] > 0)


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Hold back OpenCV's warning that its new engine has no targets to choose from."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def _yunet_face(row: np.ndarray, factor: np.ndarray) -> Face:
    x, y, width, height = (row[:4].reshape(2, 2) * factor).ravel().tolist()
    # YuNet's points: right eye, left eye, nose, right and left mouth corner *of the person*, which is
    # our order, by side of the picture.
    points = (row[4:14].reshape(5, 2) * factor).astype(np.float64)
    return Face(Box(x, y, width, height), float(row[14]), Landmarks(points, "yunet"), YuNetDetector.name)


class GivenBox:
    """Takes the user's word for where the face is.

    Args:
        box: in photo pixels; None = the whole picture is a face.
    """

    name = "given"
    gives_landmarks = False

    def __init__(self, box: Box | None = None) -> None:
        self.box = box

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        width, height = photo.size
        return (Face(self.box or Box(0, 0, width, height), detector=self.name),)


@lru_cache(maxsize=1)
def _note_fallback(reason: str) -> None:
    """Say once why dlib is used (the cache makes it once)."""
    log.warning("using the dlib face detector: %s", reason)


def make_detector(name: DetectorName = "auto", *, yunet: Path | None = None) -> Detector:
    """The detector of that name.

    Args:
        name: "auto" is YuNet when its file is there or can be fetched, else dlib with a note said once;
            "none" means that the picture is a face.
        yunet: YuNet's ONNX file.

    Raises:
        ModelFileError: "yunet" was asked for and its file can't be had, or a given file is not it.
    """
    if name == "none":
        return GivenBox()
    if name == "dlib":
        return DlibDetector()
    try:
        return YuNetDetector(yunet)
    except ModelFileError as error:
        if name == "yunet" or yunet is not None:
            raise
        _note_fallback(str(error))
        return DlibDetector()
