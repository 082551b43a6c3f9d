"""A decoded picture of any kind → upright RGB pixels, band by band, so that there is never a second copy of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from spiralage.image_io import formats
from spiralage.image_io.arrays import Array, to_8_bits
from spiralage.image_io.orientation import TURNS, UPRIGHT
from spiralage.types import Pixels

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

    def _bands(self, factor: int) -> Iterator[Image.Image]:
        """The picture from above in 8 bits, some rows at a time: a multiple of ``factor``."""
        rows = -(-max(1, _BAND_PIXELS // self.size[0]) // factor) * factor
        if isinstance(self.stored, Image.Image) and not is_wide(self.stored):
            yield from self._parts(rows)
            return
        convert = to_8_bits(map(np.asarray, self._parts(rows)))
        for part in self._parts(rows):
            yield Image.fromarray(_squeezed(convert(np.asarray(part))))

    def _parts(self, rows: int) -> Iterator[Any]:
        """So many rows of what is stored, and so on."""
        width, height = self.size
        for at in range(0, height, rows):
            if isinstance(self.stored, Image.Image):
                yield self.stored.crop((0, at, width, min(height, at + rows)))
            else:
                yield self.stored[at : at + rows]

    def with_alpha(self) -> Image.Image:
        """The picture as one upright RGBA image; for small pictures.

        Raises:
            ValueError: values that can't be a picture's.
        """
        (image,) = self._bands(self.size[1])
        image = image.convert(_STRAIGHT.get(image.mode, image.mode)).convert("RGBA")
        return image.transpose(TURNS[self.orientation]) if self.orientation in TURNS else image


def on_white(image: Image.Image) -> Image.Image:
    """An 8-bit image of any mode as RGB, what is transparent laid on white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    image = image.convert(_STRAIGHT.get(image.mode, image.mode))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def is_wide(image: Image.Image) -> bool:
    """True for modes of more than 8 bits, which Pillow's own conversion would clip at 255."""
    return image.mode == "F" or image.mode.startswith("I")


def _squeezed(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def _upright(bands: Iterable[Image.Image], size: tuple[int, int], orientation: int) -> Pixels:
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
