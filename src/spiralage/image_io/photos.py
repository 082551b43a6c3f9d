"""Whatever a user holds → an upright 8-bit RGB photo."""

from __future__ import annotations

import io
import logging
import os
import sys
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from spiralage.errors import PhotoError
from spiralage.image_io import formats
from spiralage.image_io.arrays import check_array
from spiralage.image_io.decode import damaged, decode
from spiralage.image_io.opening import Guarded, check_size, opened, read_stream, reason, short
from spiralage.image_io.orientation import orientation_of, own_orientation, valid
from spiralage.image_io.quiet import quiet
from spiralage.image_io.raster import Raster
from spiralage.types import Photo

PhotoLike: TypeAlias = (
    "Photo | str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | npt.NDArray[Any] | Image.Image"
)

RAW_SUFFIXES = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".pef", ".raf", ".srw")
"""Cameras' raw files: many are TIFF by their first bytes, with nothing but a thumbnail that can be decoded."""

log = logging.getLogger("spiralage")


def as_photo(source: PhotoLike, *, name: str | None = None) -> Photo:
    """What the user holds in hand, as a Photo.

    Args:
        source: one of

            - a ``Photo``, which comes back as it is;
            - a path (``str`` or path-like);
            - an encoded picture: ``bytes``, ``bytearray``, ``memoryview``, or a file opened as binary, read from
              its start;
            - an array, or what NumPy takes as one: (height, width) or (height, width, 1) gray, (…, 2) gray and
              alpha, (…, 3) RGB, (…, 4) RGBA; bool, integers or floats, see ``image_io.arrays`` for their ranges;
            - a PIL image of any mode.
        name: how reports call it; the path, the file's name, or "photo" by default.

    Raises:
        PhotoError: it is none of these, or can't be read.

    Example:
        >>> as_photo(np.array([[0.0, 1.0]])).pixels.tolist()
        [[[0, 0, 0], [255, 255, 255]]]
    """
    try:
        return _as_photo(source, name)
    except PhotoError:
        raise
    except Exception as error:  # an object of the user's may raise anything, wherever it is asked
        what = f"{type(error).__name__}: {reason(error)}"
        raise PhotoError(
            f"{short(name or 'photo')}: a {type(source).__name__} can't be used ({what}); "
            "give a path, bytes, an array or a PIL image"
        ) from error


def _as_photo(source: Any, name: str | None) -> Photo:
    if isinstance(source, Photo):
        return source
    if isinstance(source, str | os.PathLike):
        return _from_path(source, name)
    if isinstance(source, Image.Image):
        return photo_from_image(source, name or "photo")
    if isinstance(source, memoryview) and (source.ndim > 1 or source.format not in ("B", "b", "c")):
        source = np.asarray(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source), name or "photo")
    if hasattr(source, "read"):
        return _from_stream(source, name)
    if hasattr(source, "__array__") or hasattr(source, "__array_interface__"):
        return _from_array(source, name or "photo")
    raise _no_picture(source, name or "photo")


def load_photo(source: str | Path | bytes, *, name: str | None = None) -> Photo:
    """Read a picture file, or its bytes, as an upright 8-bit RGB photo.

    EXIF rotation is applied. Gray, palette, CMYK, 16-bit and float pictures are converted; transparent ones
    are laid on white; of an animation the first frame counts. Over 100 megapixels are read reduced: JPEG by its
    own scaling, others as far as memory allows.

    Args:
        source: a path, or the bytes of an encoded picture.
        name: how reports call it; the path by default.

    Raises:
        PhotoError: missing, empty, truncated, not a picture, or it would take over 1 GB or 10 seconds.
    """
    return as_photo(source, name=name)


def photo_from_image(image: Image.Image, name: str = "photo") -> Photo:
    """A PIL image as an upright 8-bit RGB photo.

    Raises:
        PhotoError: no pixels, closed, over 100 megapixels, or its pixels can't be decoded.
    """
    width, height = image.size
    if width * height > formats.MAX_PIXELS:
        limit = formats.MAX_PIXELS // 1_000_000
        raise formats.too_large(name, width, height, f"is over the limit of {limit} megapixels")
    if width < 1 or height < 1:
        raise PhotoError(f"{name}: {width}×{height} pixels are no picture; give one with pixels")
    try:
        image.load()
        return _photo(Raster(image, _orientation_in_hand(image)), name)
    except Exception as error:  # a damaged file behind it, a closed one, values that aren't a picture's
        raise PhotoError(f"{name}: the image can't be used ({reason(error)}); open it anew") from error


STDIN = Path("-")
"""What stands for standard input where paths are given."""


def read_stdin_photo(name: str = "-") -> Photo:
    """The encoded picture that comes on standard input, as a Photo.

    Raises:
        PhotoError: nothing comes, too much, or no picture.
    """
    stdin = sys.stdin
    if stdin is None or stdin.closed:
        raise PhotoError(f"{name}: standard input is closed; give a path")
    if stdin.isatty():
        raise PhotoError(f"{name}: no picture comes on standard input; write: … < photo.jpg")
    data = read_stream(_Forward(getattr(stdin, "buffer", stdin)), name)
    return _from_bytes(data, name)


class _Forward:
    """A stream that is read from where it stands: what was read before on a shell's input is another's."""

    def __init__(self, stream: Any) -> None:
        self.read = stream.read


def _photo(raster: Raster, name: str) -> Photo:
    photo = Photo(raster.rgb(), name)
    formats.tell_reduced(name, raster.size, photo.size)
    return photo


def _orientation_in_hand(image: Image.Image) -> int:
    """Of an image whose EXIF its owner may have changed."""
    try:
        with quiet:
            return valid(own_orientation(image))
    except Exception:  # a tag of a wrong type, or damage
        return orientation_of(image.info)


def _decoded(file: IO[bytes], size: int, name: str, called: str) -> Photo:
    raster = decode(Guarded(file, size), called)
    try:
        return _photo(raster, name)
    except Exception as error:  # values that can't be a picture's, or a conversion that Pillow doesn't have
        raise damaged(called, error) from error


def _from_path(path: str | os.PathLike[str], name: str | None) -> Photo:
    path = Path(path)
    name = name or str(path)
    called = short(name)
    with opened(path, called) as (file, size):
        if path.suffix.lower() in RAW_SUFFIXES:
            raise PhotoError(f"{called}: a camera's raw file, which can't be read; save it as JPEG")
        return _decoded(file, size, name, called)


def _from_bytes(data: bytes, name: str) -> Photo:
    check_size(len(data), short(name))
    return _decoded(io.BytesIO(data), len(data), name, short(name))


def _from_stream(stream: Any, name: str | None) -> Photo:
    own = getattr(stream, "name", None)
    name = name or (own if isinstance(own, str) and own else "photo")
    return _from_bytes(read_stream(stream, short(name)), name)


def _from_array(source: Any, name: str) -> Photo:
    try:
        array = np.asarray(source)
        check_array(array)
        if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3:
            return Photo(np.ascontiguousarray(array), name)
        return _photo(Raster(array), name)
    except Exception as error:  # an object that claims to be an array may raise anything
        raise PhotoError(f"{short(name)}: {reason(error)}") from error


def _no_picture(source: object, name: str) -> PhotoError:
    what = "None" if source is None else f"a {type(source).__name__}"
    hint = "; cv2.imread gives None where a file can't be read: check its path" if source is None else ""
    return PhotoError(f"{short(name)}: {what} is no picture; give a path, bytes, an array or a PIL image{hint}")
