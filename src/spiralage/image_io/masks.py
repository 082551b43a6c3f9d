"""A mask picture → what is painted in it.

    transparent anywhere    a layer that was painted on: what is transparent isn't painted. Of the rest white is; if
                            nothing in it is white, as with a black brush, all of it is
    opaque everywhere       white is painted, black isn't

Transparent is less than half of full opacity; but where a layer has no more than that anywhere, as a faint brush
leaves it, any opacity counts as painted. White is what is at least half as bright as white can be, and a colour is
as bright as its largest channel. A mask of 0 and a few other values, none of them over half, is one of labels: what
is at least half of its largest value counts as white.

A mask in which nothing is painted is refused.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from spiralage.errors import PhotoError
from spiralage.image_io.decode import damaged, decode
from spiralage.image_io.opening import Guarded, check_size, opened, short
from spiralage.types import CROP_SIZE, Mask

_HALF = 128
_MOST_LABELS = 8


def load_mask(source: str | Path | bytes, *, name: str | None = None) -> Mask:
    """Read a picture of what is hidden in an aligned crop.

    Args:
        source: a path, or the bytes of an encoded picture of 256×256 pixels.
        name: how messages call it; the path by default.

    Returns:
        (256, 256) bool, True where it is painted: hidden.

    Raises:
        PhotoError: it can't be read, isn't 256×256 pixels, or nothing is painted in it.
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
    mask = painted(image)
    if not mask.any():
        raise PhotoError(f"{name}: the mask hides nothing; paint white what is hidden")
    return mask


def painted(image: Image.Image) -> Mask:
    """What is painted in an RGBA image, (height, width) bool; see the rules above.

    >>> layer = Image.new("RGBA", (2, 1), (0, 0, 0, 0)); layer.putpixel((0, 0), (255, 255, 255, 255))
    >>> painted(layer).tolist()
    [[True, False]]
    """
    values = np.asarray(image)
    alpha = values[..., 3]
    white, visible = _white(values[..., :3].max(axis=2)), _visible(alpha)
    if visible.all():
        return white
    return visible & white if (visible & white).any() else visible


def _visible(alpha: npt.NDArray[np.uint8]) -> Mask:
    return alpha >= _HALF if alpha.max() >= _HALF else alpha > 0


def _white(light: npt.NDArray[np.uint8]) -> Mask:
    values = np.unique(light)
    labels = values[0] == 0 and 0 < values[-1] <= _HALF and len(values) <= _MOST_LABELS
    return light >= (values[-1] / 2 if labels else _HALF)
