"""Path or bytes → an upright RGB photo of bounded size; and folder listings in a fixed order."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from spiralage.errors import FolderError, OptionError, OutputError, PhotoError
from spiralage.files import write_bytes
from spiralage.types import Photo, Pixels

MAX_PIXELS = 100_000_000
"""A larger picture is refused before it is decoded."""

# Only formats that Pillow decodes itself: no external program (EPS would start Ghostscript).
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")

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


def load_photo(source: str | Path | bytes, *, name: str | None = None) -> Photo:
    """Read a picture file, or its bytes, as an upright 8-bit RGB photo.

    EXIF rotation is applied. Gray, palette, CMYK and 16-bit pictures are converted; transparent ones
    are laid on white; of an animation the first frame counts.

    Args:
        source: a path, or the bytes of an encoded picture.
        name: how reports call it; the path by default.

    Raises:
        PhotoError: missing, empty, truncated, not a picture, or over 100 megapixels.
    """
    if isinstance(source, bytes):
        name, data = name or "photo", source
    else:
        name = name or str(source)
        data = _read(Path(source), name)
    if not data:
        raise PhotoError(f"{name}: the file is empty (0 bytes); copy it again")
    return Photo(_decode(data, name), name)


def photo_from_image(image: Image.Image, name: str = "photo") -> Photo:
    """A PIL image as an upright 8-bit RGB photo.

    Raises:
        PhotoError: over 100 megapixels, or its pixels can't be decoded.
    """
    return Photo(_upright(image, name), name)


def _read(path: Path, name: str) -> bytes:
    try:
        if not path.exists():
            raise PhotoError(f"{name}: no such file; check the path")
        if not path.is_file():
            raise PhotoError(f"{name}: not a file; give a picture")
        return path.read_bytes()
    except OSError as error:  # no permission, a name too long, a disk that fails
        raise PhotoError(f"{name}: can't be read ({error.strerror}); check its permissions") from error


def _decode(data: bytes, name: str) -> Pixels:
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata and of sizes below our own limit; neither is the user's problem.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return _upright(image, name)
    except Image.DecompressionBombError as error:
        raise PhotoError(_too_large(name, "it is")) from error
    except UnidentifiedImageError as error:
        raise PhotoError(f"{name}: not a picture that can be read; give one of {', '.join(FORMATS)}") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise PhotoError(_damaged(name, error)) from error


def _upright(image: Image.Image, name: str) -> Pixels:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise PhotoError(_too_large(name, f"{width}×{height} pixels is"))
    try:
        image.load()
        return _to_rgb(ImageOps.exif_transpose(image))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise PhotoError(_damaged(name, error)) from error


def _damaged(name: str, error: Exception) -> str:
    return f"{name}: the picture is damaged or cut short ({error}); copy it again"


def _too_large(name: str, size: str) -> str:
    return f"{name}: {size} over the limit of {MAX_PIXELS // 1_000_000} megapixels; scale it down"


def _to_rgb(image: Image.Image) -> Pixels:
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bit(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Scale the full 16-bit range to 8 bits; Pillow's own conversion would clip at 255."""
    values = np.asarray(image, dtype=np.float64)
    top = 1.0 if image.mode == "F" and values.max(initial=0) <= 1 else 65535.0
    return Image.fromarray(np.clip(values / top * 255 + 0.5, 0, 255).astype(np.uint8))


def resized(pixels: Pixels, scale: float) -> Pixels:
    """A picture scaled by a factor, area-averaged when it shrinks; at least one pixel a side."""
    if scale == 1:
        return pixels
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=how))


def encode_png(pixels: Pixels) -> bytes:
    """A picture (height, width, 3) uint8 RGB as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


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


def list_pictures(paths: Sequence[Path]) -> Iterator[Path | FolderError]:
    """Every picture under the given files and folders, sorted within each folder.

    A file is taken as it is, whatever its name. A folder is searched with its subfolders; one without
    pictures comes back as an error in its place, so that the rest of a batch goes on.
    """
    for path in paths:
        try:
            if not path.is_dir():
                yield path
                continue
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        except OSError as error:
            yield FolderError(path, f"can't be searched ({error.strerror}); check its permissions")
            continue
        if found:
            yield from found
        else:
            yield FolderError(path, f"no pictures in this folder; looked for {', '.join(SUFFIXES)}")
