"""Face → landmarks. One interface; dlib's 68 points, those of the project's own network, FAN's as an extra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from spiralage.errors import OptionError
from spiralage.faces.dlib_faces import DlibLandmarker
from spiralage.text import one_of
from spiralage.types import Face, Landmarks, Photo

LandmarkerName: TypeAlias = Literal["dlib", "heatmap", "detector", "fan"]

DEFAULT_LANDMARKER: LandmarkerName = "dlib"
"""What marks a face unless something else is asked for."""


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


def _heatmap(threads: int | None) -> Landmarker:
    from spiralage.faces.heatmap import HeatmapLandmarker  # ONNX Runtime takes longer to load than all else here

    return HeatmapLandmarker(threads=threads)


def _fan(threads: int | None) -> Landmarker:
    from spiralage.faces.fan import FanLandmarker  # its packages are an extra

    return FanLandmarker()


LANDMARKERS: dict[LandmarkerName, Callable[[int | None], Landmarker]] = {
    "dlib": lambda threads: DlibLandmarker(),
    "heatmap": _heatmap,
    "detector": lambda threads: DetectorLandmarks(),
    "fan": _fan,
}
"""What makes each, with so many threads."""


def make_landmarker(name: LandmarkerName = DEFAULT_LANDMARKER, *, threads: int | None = None) -> Landmarker:
    """The landmarker of that name.

    Args:
        name: one of ``LANDMARKERS``.
        threads: of the heat-map network, see ``threads.thread_count``.

    Raises:
        OptionError: there is none.
        ModelFileError: "heatmap" where its network isn't there.
        MissingExtraError: "fan" without its extra.

    Example:
        >>> make_landmarker("detector").name
        'detector'
    """
    check_landmarker(name)
    return LANDMARKERS[name](threads)


def check_landmarker(name: str) -> None:
    """Raises OptionError if there is no landmarker of that name."""
    if name not in LANDMARKERS:
        raise OptionError(f"there are no landmarks {name!r}; choose {one_of(LANDMARKERS)}")
