"""Face → landmarks. One interface; dlib's 68 points by default, FAN's as an extra."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from spiralage.faces.dlib_faces import DlibLandmarker
from spiralage.types import Face, Landmarks, Photo

LandmarkerName: TypeAlias = Literal["dlib", "detector", "fan"]


class Landmarker(Protocol):
    """Finds the landmarks of a face that a detector has found."""

    name: str

    def locate(self, photo: Photo, face: Face) -> Landmarks | None:
        """Landmarks in photo pixels; None where this landmarker has nothing to go by."""
        ...


class DetectorLandmarks:
    """Keeps what the detector gave: YuNet's five points, nothing for other detectors."""

    name = "detector"

    def locate(self, photo: Photo, face: Face) -> Landmarks | None:
        return face.landmarks


def make_landmarker(name: LandmarkerName = "dlib") -> Landmarker:
    """The landmarker of that name; raises MissingExtraError for "fan" without its extra."""
    if name == "detector":
        return DetectorLandmarks()
    if name == "fan":
        from spiralage.faces.fan import FanLandmarker

        return FanLandmarker()
    return DlibLandmarker()
