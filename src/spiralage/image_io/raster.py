"""A decoded picture of any kind → upright RGB pixels, band by band, so that there is never a second copy of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL import Image

from spiralage.image_io import formats
from spiralage.image_io.arrays import Array, to_8_bits
from spiralage.image_io.orientation import TURNS, UPRIGHT
from spiralage.types import Pixels

Bands: TypeAlias = Iterator[Image.Image]

_BAND_PIXELS = 2**18
_STRAIGHT = {"La": "LA", "RGBa": "RGBA"}
"""Modes with multiplied alpha, which Pillow converts to these alone."""


@dataclass(frozen=True, eq=False)
class Raster:
    """Decoded pixels as they are stored.

    Args:
        stored: an image whose pixels are loaded; or (height, width) or (height, width, 1…4), gray or RGB, with
            or without alpha.
        orientation: EXIF's, 1…8.
    """

    stored: Image.Image | Array
    orientation: int = UPRIGHT

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as stored."""
        if isinstance(self.stored, Image.Image):
            return self.stored.size
        return self.stored.shape[1], self.stored.shape[0]

    def rgb(self) -> Pixels:
        """(height, width, 3) uint8, upright; what is transparent is laid on white.

        Of more than ``formats.MAX_PIXELS``, 2×2 (3×3, …) pixels are averaged to one.

        Raises:
            ValueError: values that can't be a picture's.
        """
        width, height = self.size
        factor = math.ceil(math.sqrt(width * height / formats.MAX_PIXELS))
        bands = (on_white(band) for band in self._bands(factor))
        if factor > 1:
            bands = (band.reduce(factor) for band in bands)
        return _upright(bands, (-(-width // factor), -(-height // factor)), self.orientation)

    def _bands(self, factor: int) -> Bands:
        """The picture from above in 8 bits, some rows at a time: a multiple of ``factor``."""
        width, height = self.size
        rows = -(-max(1, _BAND_PIXELS // width) // factor) * factor
        convert = _to_8_bit_image(self.stored)
        for at in range(0, height, rows):
            if isinstance(self.stored, Image.Image):
                yield convert(self.stored.crop((0, at, width, min(height, at + rows))))
            else:
                yield convert(self.stored[at : at + rows])


def on_white(image: Image.Image) -> Image.Image:
    """An 8-bit image of any mode as RGB, what is transparent laid on white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    image = image.convert(_STRAIGHT.get(image.mode, image.mode))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def with_alpha(raster: Raster) -> Image.Image:
    """A raster as one upright RGBA image; for small pictures.

    Raises:
        ValueError: values that can't be a picture's.
    """
    image = _to_8_bit_image(raster.stored)(raster.stored)
    image = image.convert(_STRAIGHT.get(image.mode, image.mode)).convert("RGBA")
    return image.transpose(TURNS[raster.orientation]) if raster.orientation in TURNS else image


def is_wide(image: Image.Image) -> bool:
    """True for modes of more than 8 bits, which Pillow's own conversion would clip at 255."""
    return image.mode == "F" or image.mode.startswith("I")


def _to_8_bit_image(stored: Image.Image | Array) -> Callable[..., Image.Image]:
    if not isinstance(stored, Image.Image):
        scale = to_8_bits(stored)
        return lambda part: Image.fromarray(np.ascontiguousarray(_squeezed(scale(part))))
    if not is_wide(stored):
        return lambda part: part
    scale = to_8_bits(np.asarray(stored))
    return lambda part: Image.fromarray(scale(np.asarray(part)))


def _squeezed(pixels: Pixels) -> Pixels:
    return pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels


def _upright(bands: Bands, size: tuple[int, int], orientation: int) -> Pixels:
    """Bands of a picture of this size as stored, each turned and put where it belongs."""
    width, height = size
    across = orientation >= 5  # rows become columns
    pixels = np.empty((width, height, 3) if across else (height, width, 3), np.uint8)
    at = 0
    for band in bands:
        end = at + band.height
        first, last = (height - end, height - at) if orientation in (3, 4, 6, 7) else (at, end)
        if orientation in TURNS:
            band = band.transpose(TURNS[orientation])
        if across:
            pixels[:, first:last] = np.asarray(band)
        else:
            pixels[first:last] = np.asarray(band)
        at = end
    return pixels
