"""spiralage: the age of a person from a photo when part of the face is hidden.

>>> from spiralage import AgePipeline
>>> pipeline = AgePipeline(detector="dlib")
"""

from spiralage.errors import SpiralageError
from spiralage.pipeline import AgePipeline
from spiralage.types import (
    AgeEstimate,
    AlignedFace,
    Box,
    Face,
    FaceReport,
    Landmarks,
    Occlusion,
    Photo,
    PhotoReport,
    Restoration,
)
from spiralage.version import __version__

__all__ = [
    "AgeEstimate",
    "AgePipeline",
    "AlignedFace",
    "Box",
    "Face",
    "FaceReport",
    "Landmarks",
    "Occlusion",
    "Photo",
    "PhotoReport",
    "Restoration",
    "SpiralageError",
    "__version__",
]
