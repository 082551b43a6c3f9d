"""spiralage: the age of a person from a photo when part of the face is hidden.

>>> from spiralage import AgePipeline
>>> pipeline = AgePipeline(detector="dlib")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from spiralage import telemetry
from spiralage.version import __version__

if TYPE_CHECKING:
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

telemetry.turn_off()  # before anything imports ONNX Runtime

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

_HOME = {"AgePipeline": "pipeline", "SpiralageError": "errors"}
"""The module of each public name that isn't one of ``types``."""


def __getattr__(name: str) -> Any:
    """A public name, its module imported when it is first asked for: a command loads only what it uses."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME.get(name, 'types')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
