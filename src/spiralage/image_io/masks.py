"""A mask picture → what is painted in it.

    transparent anywhere    a layer that was painted on: what is transparent isn't painted. Of the rest white is; if
                            nothing in it is white, as with a black or red brush, all of it is
    opaque everywhere       white is painted, black isn't

White is what is at least half as bright as white can be. Values that are nothing but 0 and 1 count as black and
white, whatever their type.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from spiralage.errors import PhotoError
from spiralage.image_io.decode import damaged, decode
from spiralage.image_io.opening import Guarded, check_size, opened, short
from spiralage.types import CROP_SIZE, Mask

_HALF = 128


def load_mask(source: str | Path | bytes, *, name: str | None = None) -> Mask:
    """Read a picture of what is hidden in an aligned crop.

    Args:
        source: a path, or the bytes of an encoded picture of 256×256 pixels.
        name: how messages call it; the path by default.

    Returns:
        (256, 256) bool, True where it is painted: hidden.

    Raises:
        PhotoError: it can't be read, or isn't 256×256 pixels.
    """
    called = short(name or ("mask" if isinstance(source, bytes) else str(source)))
    if isinstance(source, bytes):
        check_size(len(source), called)
        return _painted(Guarded(io.BytesIO(source), len(source)), called)
    with opened(Path(source), called) as (file, size):
        return _painted(Guarded(file, size), called)


def _painted(file: Guarded, name: str) -> Mask:
    raster = decode(file, name)
    width, height = raster.size
    if (width, height) != (CROP_SIZE, CROP_SIZE):
        raise PhotoError(f"{name}: {width}×{height} pixels; a mask must have {CROP_SIZE}×{CROP_SIZE}, as a crop")
    try:
        image = raster.with_alpha()
    except Exception as error:  # values that can't be a picture's
        raise damaged(name, error) from error
    return painted(image)


def painted(image: Image.Image) -> Mask:
    """What is painted in an RGBA image, (height, width) bool; see the rules above.

    >>> layer = Image.new("RGBA", (2, 1), (0, 0, 0, 0)); layer.putpixel((0, 0), (255, 255, 255, 255))
    >>> painted(layer).tolist()
    [[True, False]]
    """
    values = np.asarray(image)
    grays, opaque = values[..., :3].mean(axis=2), values[..., 3] >= _HALF
    if grays.max() == 1 and set(np.unique(values[..., :3])) <= {0, 1}:
        grays = grays * 255
    white: Mask = grays >= _HALF
    if opaque.all():
        return white
    return opaque & white if (opaque & white).any() else opaque
