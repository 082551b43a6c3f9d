"""Pictures as the bytes of PNG files."""

from __future__ import annotations

from pathlib import Path

from spiralage.image_io import encode_picture
from spiralage.types import Pixels


def encode_png(pixels: Pixels) -> bytes:
    """A picture (height, width, 3) uint8 RGB."""
    return encode_picture(pixels, Path("picture.png"))
