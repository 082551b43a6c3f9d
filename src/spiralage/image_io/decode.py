"""An opened file → its decoded pixels; refused by name where that would take too much, or fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from PIL import Image

from spiralage.errors import PhotoError
from spiralage.image_io import codecs, formats
from spiralage.image_io.opening import Guarded, TooMuchWorkError, reason
from spiralage.image_io.quiet import quiet
from spiralage.image_io.raster import Raster

_Reader: TypeAlias = Callable[[Guarded, str], Raster]


def decode(file: Guarded, name: str) -> Raster:
    """The first picture in a file.

    Raises:
        PhotoError: no format that can be read, damaged, or over the limits of ``formats``.
    """
    try:
        with quiet:
            kind = formats.format_of(file.read(formats.HEAD))
            if kind is None:
                raise not_a_picture(file, name)
            file.seek(0)
            return _READERS[kind](file, name)
    except PhotoError:
        raise
    except TooMuchWorkError as error:
        raise PhotoError(f"{name}: takes too long to read ({error}); save it anew as JPEG or PNG") from error
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{name}: it is too large to decode; scale it down") from error
    except MemoryError as error:
        raise PhotoError(f"{name}: there isn't enough memory to decode it; scale it down") from error
    except Exception as error:  # a damaged file makes Pillow raise anything: struct.error, KeyError, …
        raise damaged(name, error) from error


def damaged(name: str, error: Exception) -> PhotoError:
    """The error for a picture that can't be decoded."""
    return PhotoError(f"{name}: the picture is damaged or cut short ({reason(error)}); copy it again")


def not_a_picture(file: Guarded, name: str) -> PhotoError:
    """The error for a file that is none of the formats."""
    file.seek(0)
    other = formats.other_format_of(file.read(formats.HEAD))
    if other is not None:
        return PhotoError(f"{name}: a {other} picture, which can't be read; save it as JPEG or PNG")
    return PhotoError(f"{name}: not a picture that can be read; give one of {', '.join(formats.FORMATS)}")


def _simple(kind: str) -> _Reader:
    return lambda file, name: codecs.loaded(codecs.plugin(kind, file), name)


def _tiff(file: Guarded, name: str) -> Raster:
    from spiralage.image_io.tiff import read_tiff  # Pillow's reader, which few photos need

    return read_tiff(file, name)


_READERS: dict[str, _Reader] = {
    "JPEG": codecs.read_jpeg,
    "PNG": codecs.read_png,
    "WEBP": codecs.read_webp,
    "BMP": _simple("BMP"),
    "GIF": _simple("GIF"),
    "TIFF": _tiff,
    "PPM": _simple("PPM"),
    "AVIF": codecs.read_avif,
    "HEIF": codecs.read_heif,
}
