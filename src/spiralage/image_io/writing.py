"""Pixels → picture files, whole or not at all; and pictures scaled."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from spiralage.errors import OptionError, OutputError
from spiralage.files import write_bytes
from spiralage.types import Pixels

OUTPUT_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".ppm": "PPM",
}
"""What pictures are written as, by ending."""
OUTPUT_SETTINGS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}


def resized(pixels: Pixels, scale: float) -> Pixels:
    """A picture scaled by a factor, area-averaged when it shrinks; at least one pixel a side."""
    if scale == 1:
        return pixels
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=how))


def output_format(path: Path) -> str:
    """The format that a picture file's ending asks for, in Pillow's words; PNG for a device, which has no ending.

    Raises:
        OptionError: an ending that isn't known.

    >>> output_format(Path("face.jpg"))
    'JPEG'
    """
    suffix = path.suffix.lower()
    if suffix in OUTPUT_FORMATS:
        return OUTPUT_FORMATS[suffix]
    if not suffix and path.exists() and not path.is_file():
        return "PNG"
    raise OptionError(f"{path}: no picture format is known by this ending; use one of {', '.join(OUTPUT_FORMATS)}")


def encode_picture(pixels: Pixels, path: Path) -> bytes:
    """A picture (height, width, 3) uint8 RGB as the bytes of a file in the format that the path's ending asks for.

    JPEG loses a little, all others nothing.

    Raises:
        OptionError: an ending that isn't known.
        OutputError: the format can't hold the picture, as WebP over 16383 pixels a side.
    """
    name, buffer = output_format(path), io.BytesIO()
    try:
        Image.fromarray(pixels).save(buffer, format=name, **OUTPUT_SETTINGS.get(name, {}))
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: can't be written as {name} ({error}); give it the ending .png") from error
    return buffer.getvalue()


def save_picture(path: Path, pixels: Pixels) -> None:
    """Write a picture in the format that the path's ending asks for, whole or not at all.

    Raises:
        OptionError: an ending that isn't known.
        OutputError: it can't be written.
    """
    write_bytes(path, encode_picture(pixels, path))
