"""Photo → found faces: detect → landmarks → align, written once.

photo → detector: boxes → landmarker: points → align: 256×256 crops
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spiralage.errors import OptionError
from spiralage.faces.align import align
from spiralage.faces.detect import Detector, DetectorName, GivenBox, make_detector
from spiralage.faces.landmarks import DetectorLandmarks, Landmarker, LandmarkerName, make_landmarker
from spiralage.types import AlignedFace, Box, Face, Photo

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


class FaceFinder:
    """Finds the faces of a photo and brings each into the common frame.

    Args:
        detector: finds boxes.
        landmarker: finds the points in them.

    Example:
        >>> import numpy as np
        >>> finder = FaceFinder(GivenBox(), DetectorLandmarks())
        >>> (found,) = finder.find(Photo(np.full((40, 40, 3), 9, np.uint8)), most=10)
        >>> found.aligned.pixels.shape
        (256, 256, 3)
    """

    def __init__(self, detector: Detector, landmarker: Landmarker) -> None:
        self.detector = detector
        self.landmarker = landmarker

    def find(self, photo: Photo, *, most: int) -> tuple[FoundFace, ...]:
        """The faces of a photo, the detector's surest first.

        Args:
            photo: (height, width, 3) uint8 RGB.
            most: no more faces than these are cut out; a note says so when some are left out.

        Returns:
            An empty tuple if there is no face.
        """
        faces = self.detector.detect(photo)
        if len(faces) > most:
            log.warning("%s: %d faces found, the surest %d are read", photo.name, len(faces), most)
        return tuple(self._aligned(photo, face) for face in faces[:most])

    def find_one(
        self, photo: Photo, *, prefer: Callable[[Face], float] | None = None, mirror: bool = False
    ) -> FoundFace | None:
        """One face of a photo; None if there is none.

        Args:
            photo: (height, width, 3) uint8 RGB.
            prefer: the face for which this is largest; by default the detector's surest.
            mirror: see ``align``.
        """
        faces = self.detector.detect(photo)
        if not faces:
            return None
        return self._aligned(photo, faces[0] if prefer is None else max(faces, key=prefer), mirror=mirror)

    def _aligned(self, photo: Photo, face: Face, *, mirror: bool = False) -> FoundFace:
        face = dataclasses.replace(face, landmarks=self.landmarker.locate(photo, face))
        return FoundFace(face, align(photo, face, mirror=mirror))


def make_finder(
    detector: DetectorName | Detector = "auto",
    landmarks: LandmarkerName | Landmarker = "dlib",
    *,
    box: Box | None = None,
    yunet: Path | None = None,
) -> FaceFinder:
    """The finder of these names.

    Args:
        detector: see ``make_detector``; or a detector.
        landmarks: see ``make_landmarker``; or a landmarker.
        box: where the face is, in photo pixels; overrules ``detector``.
        yunet: YuNet's ONNX file.

    Raises:
        ModelFileError: a file is missing or isn't the pinned one.
        OptionError: landmarks "detector" with a detector that gives none.
        MissingExtraError: landmarks "fan" without its extra.
    """
    if box is not None:
        chosen: Detector = GivenBox(box)
    else:
        chosen = make_detector(detector, yunet=yunet) if isinstance(detector, str) else detector
    # A picture that *is* a face is taken as already normalised: it has no landmarks.
    whole_picture = isinstance(chosen, GivenBox) and chosen.box is None
    if landmarks == "detector" and not whole_picture and not chosen.gives_landmarks:
        raise OptionError(f"the detector {chosen.name} gives no landmarks; use landmarks dlib or fan")
    if whole_picture:
        return FaceFinder(chosen, DetectorLandmarks())
    return FaceFinder(chosen, make_landmarker(landmarks) if isinstance(landmarks, str) else landmarks)
