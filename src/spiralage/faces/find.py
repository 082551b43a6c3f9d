"""Photo → found faces: detect → landmarks → align, written once.

    photo → detector: boxes → landmarker: points → align: 256×256 crops

Scans and chat programs lose the note of which side of a photo is up. Detectors find faces that lie on their
side or head, with points as if they were upright and lower scores than upright ones get; so where the best
score leaves a doubt, the photo is searched in the other three directions too.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from spiralage.errors import OptionError
from spiralage.faces.align import align
from spiralage.faces.detect import Detector, DetectorName, GivenBox, KnowsUp, check_detector, make_detector
from spiralage.faces.landmarks import (
    DEFAULT_LANDMARKER,
    DetectorLandmarks,
    Landmarker,
    LandmarkerName,
    check_landmarker,
    make_landmarker,
)
from spiralage.faces.turn import TURNS, aligned_as_given, around, face_as_given, face_as_turned, scaled, shifted, turned
from spiralage.image_io import resized
from spiralage.types import AlignedFace, Box, Face, Photo

LONGEST_TURNED = 1280
"""Larger photos are turned at this many pixels a side."""
LONGEST_SOUGHT = 640
"""At most so many, while which way is up is sought."""
FACE_SOUGHT = 140
"""And at most so many that the surest face is of this size: no detector needs more to tell which way is up."""
BETTER = 0.03
"""By how much the best score must be higher in a turned photo: noise moves it by less."""

log = logging.getLogger("spiralage")


@dataclass(frozen=True, eq=False)
class FoundFace:
    """A face in a photo and its crop.

    Args:
        face: box, score and landmarks, in pixels of the photo as it was given.
        aligned: the face in the common 256×256 frame.
    """

    face: Face
    aligned: AlignedFace


class View(NamedTuple):
    """A photo turned upright, and its faces in the turned photo's pixels."""

    turn: int
    faces: tuple[Face, ...]


class FaceFinder:
    """Finds the faces of a photo and brings each into the common frame. Threads may share it.

    Args:
        detector: finds boxes.
        landmarker: finds the points in them.
        up: tells which way is up in a box that the user gave; without one it is taken as it stands.

    Example:
        >>> import numpy as np
        >>> finder = FaceFinder(GivenBox(), DetectorLandmarks())
        >>> (found,) = finder.find(Photo(np.full((40, 40, 3), 9, np.uint8)), most=10)
        >>> found.aligned.pixels.shape
        (256, 256, 3)
    """

    def __init__(self, detector: Detector, landmarker: Landmarker, *, up: Detector | None = None) -> None:
        self.detector = detector
        self.landmarker = landmarker
        self._up = None if up is None else FaceFinder(up, landmarker)

    def find(self, photo: Photo, *, most: int) -> tuple[FoundFace, ...]:
        """The faces of a photo, the detector's surest first.

        Args:
            photo: (height, width, 3) uint8 RGB.
            most: no more faces than these are cut out; a note says so when some are left out.

        Returns:
            An empty tuple if there is no face.

        Raises:
            InputError: where a face was said to be, there can't be one.
        """
        turn, faces = self._look(photo)
        if len(faces) > most:
            log.warning("%s: %d faces found, the surest %d are read", photo.name, len(faces), most)
        # The first face that was found decided how the photo stands; another may lie where that one stands.
        known = faces[:1] if self._up is None else ()
        stands = [*((turn, face) for face in known)]
        stands += [self._own_turn(photo, turn, face) for face in faces[len(known) : most]]
        return tuple(self._cut_out(photo, own, face) for own, face in stands)

    def find_one(
        self, photo: Photo, *, prefer: Callable[[Face], float] | None = None, mirror: bool = False
    ) -> FoundFace | None:
        """One face of a photo; None if there is none.

        Args:
            photo: (height, width, 3) uint8 RGB.
            prefer: the face for which this is largest; by default the detector's surest.
            mirror: see ``align``.
        """
        turn, faces = self._look(photo)
        if not faces:
            return None
        if prefer is None:
            return self._cut_out(photo, turn, faces[0], mirror=mirror)
        chosen = max(faces, key=lambda face: prefer(face_as_given(face, photo, turn)))
        return self._cut_out(photo, turn, chosen, mirror=mirror)

    def _look(self, photo: Photo) -> View:
        """Find the faces, and which way is up."""
        given = View(0, self.detector.detect(photo))
        if not isinstance(self.detector, KnowsUp) or _score(given) >= self.detector.sure:
            return given
        # Most photos that leave a doubt stand upright: what is likely is found out on a small copy.
        small = _at_most(photo, _longest_sought(photo, given))
        likely = max((View(turn, self.detector.detect(turned(small, turn))) for turn in TURNS), key=_score)
        if _score(likely) < max(self.detector.convincing, _score(given)):
            return given
        found = self._turn(photo, likely.turn)
        return found if _score(found) >= max(self.detector.convincing, _score(given) + BETTER) else given

    def _turn(self, photo: Photo, turn: int) -> View:
        """The faces of a photo that is turned."""
        upright, small = turned(photo, turn), turned(_at_most(photo, LONGEST_TURNED), turn)
        return View(turn, tuple(scaled(face, upright.size, small.size) for face in self.detector.detect(small)))

    def _own_turn(self, photo: Photo, turn: int, face: Face) -> tuple[int, Face]:
        """The turn in which a face that leaves a doubt stands upright, sought round it alone, and the face there."""
        if self._up is not None:
            own = self._up._look(around(photo, face.box)[0]).turn
            return own, face_as_turned(dataclasses.replace(face, turn=own), photo, own)
        if not isinstance(self.detector, KnowsUp) or face.score >= self.detector.sure:
            return turn, face
        given = face_as_given(face, photo, turn)
        place, corner = around(photo, given.box)
        own, faces = self._look(place)
        if own == turn or not faces:
            return turn, face
        found = shifted(face_as_given(faces[0], place, own), corner)
        (x, y), (own_x, own_y) = given.box.centre, found.box.centre
        if max(abs(x - own_x), abs(y - own_y)) > max(given.box.width, given.box.height) / 2:
            return turn, face  # somebody else
        return own, face_as_turned(found, photo, own)

    def _cut_out(self, photo: Photo, turn: int, face: Face, *, mirror: bool = False) -> FoundFace:
        """Mark and align a face in the turned photo, and tell where that is in the given one."""
        upright = turned(photo, turn)
        face = dataclasses.replace(face, landmarks=self.landmarker.locate(upright, face))
        aligned = align(upright, face, mirror=mirror)
        return FoundFace(face_as_given(face, photo, turn), aligned_as_given(aligned, photo, turn))


def _longest_sought(photo: Photo, given: View) -> float:
    """How many pixels a side are enough to tell which way is up."""
    if not given.faces:
        return LONGEST_SOUGHT
    box = given.faces[0].box
    return min(LONGEST_SOUGHT, max(photo.size) * FACE_SOUGHT / max(box.width, box.height))


def _at_most(photo: Photo, longest: float) -> Photo:
    """The photo, with so many pixels a side at most."""
    scale = min(1.0, longest / max(photo.size))
    return Photo(resized(photo.pixels, scale), photo.name)


def _score(view: View) -> float:
    return view.faces[0].score if view.faces else -float("inf")


def make_finder(
    detector: DetectorName | Detector = "auto",
    landmarks: LandmarkerName | Landmarker = DEFAULT_LANDMARKER,
    *,
    box: Box | None = None,
    yunet: Path | None = None,
    threads: int | None = None,
) -> FaceFinder:
    """The finder of these names.

    Args:
        detector: see ``make_detector``; or a detector.
        landmarks: see ``make_landmarker``; or a landmarker.
        box: where the face is, in photo pixels; ``detector`` then only tells which way is up in it.
        yunet: YuNet's ONNX file.
        threads: see ``make_landmarker``.

    Raises:
        ModelFileError: a file is missing or isn't the pinned one.
        OptionError: a name that isn't known, what isn't a box, or landmarks "detector" with a detector that gives none.
        MissingExtraError: landmarks "fan" without its extra.
    """
    # Also where they are not made: whoever mistypes a name is told.
    if isinstance(detector, str):
        check_detector(detector)
    if isinstance(landmarks, str):
        check_landmarker(landmarks)
    up = None
    if box is not None:
        chosen: Detector = GivenBox(box)
        if detector != "none":
            up = make_detector(detector, yunet=yunet) if isinstance(detector, str) else detector
    else:
        chosen = make_detector(detector, yunet=yunet) if isinstance(detector, str) else detector
    # A picture that *is* a face is taken as already normalised: it has no landmarks.
    whole_picture = isinstance(chosen, GivenBox) and chosen.box is None
    if landmarks == "detector" and not whole_picture and not chosen.gives_landmarks:
        raise OptionError(f"the detector {chosen.name} gives no landmarks; use landmarks dlib, heatmap or fan")
    if whole_picture:
        return FaceFinder(chosen, DetectorLandmarks())
    landmarker = make_landmarker(landmarks, threads=threads) if isinstance(landmarks, str) else landmarks
    return FaceFinder(chosen, landmarker, up=up)
