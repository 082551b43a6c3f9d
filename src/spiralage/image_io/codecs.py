"""How each format is decoded: what it takes is worked out from its header first, and refused if it is too much."""

from __future__ import annotations

import importlib
import io
import math
import re
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageFile

from spiralage.errors import PhotoError
from spiralage.image_io import formats
from spiralage.image_io.arrays import Array
from spiralage.image_io.formats import check_memory, check_sides, too_large
from spiralage.image_io.opening import Guarded
from spiralage.image_io.orientation import orientation_of
from spiralage.image_io.raster import Raster

MAX_SCANNED = 2_000_000_000
"""Pixels times scans of a JPEG that comes in several scans: each scan passes over all pixels, 1 ns each or more."""

PACKED_LIMIT = 2**26
"""Bytes of an AVIF, HEIF or WebP file: their decoders take it as a whole and can't be stopped."""

_DARKEST = 15
"""If no value of 16 bits is over 4095, the upper 8 bits are at most this."""

_EXIF_ITEM = re.compile(rb"(infe(?:\x02.{7}|\x03.{9}))Exif", re.DOTALL)
"""Where a HEIF container's list of items has EXIF: box name, version, flags, number, protection, type."""

_PYTHON_COPIES = 3
"""Pillow's decoders written in Python hold a picture as bytes that grow, and a copy of them at the end."""

_STORED_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
_RGB_BYTES = 3


def plugin(kind: str, file: Guarded) -> Any:
    """Pillow's image of a format, its header read; ``Image.open`` would refuse large pictures unseen."""
    module, title = _PLUGINS[kind]
    return getattr(importlib.import_module(f"PIL.{module}"), title)(file)


_PLUGINS = {
    "JPEG": ("JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PngImagePlugin", "PngImageFile"),
    "WEBP": ("WebPImagePlugin", "WebPImageFile"),
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "GIF": ("GifImagePlugin", "GifImageFile"),
    "PPM": ("PpmImagePlugin", "PpmImageFile"),
    "AVIF": ("AvifImagePlugin", "AvifImageFile"),
}


def loaded(image: ImageFile.ImageFile, name: str, extra: int = 0) -> Raster:
    """Decode a picture whose header was read, if it is within the limits.

    Args:
        image: Pillow's.
        name: for messages.
        extra: bytes that decoding takes besides the stored pixels, and gives back.
    """
    width, height = image.size
    check_sides(name, width, height)
    check_memory(name, width, height, needed(image, extra))
    image.load()
    return Raster(image, orientation_of(image.info))


def read_jpeg(file: Guarded, name: str) -> Raster:
    frame = formats.jpeg_frame(file)
    if frame is None:
        raise ValueError("no picture in its header")
    width, height = frame.width, frame.height
    check_sides(name, width, height)
    if width * height > formats.MAX_JPEG_PIXELS:
        raise too_large(name, width, height, f"is over the limit of {formats.MAX_JPEG_PIXELS // 10**6} megapixels")
    if frame.several_scans:
        check_scans(name, width, height, formats.count_scans(file) * width * height)
    file.seek(0)
    image = plugin("JPEG", file)
    if frame.several_scans:
        image.decodermaxblock = 2**13  # read in small pieces, so that the guard can end it
    for by in (2, 4, 8):  # JPEG's own scaling, while it is too large
        pixels = image.size[0] * image.size[1]
        if pixels <= formats.MAX_PIXELS and needed(image, frame.coefficient_bytes) <= formats.MAX_MEMORY:
            break
        image.draft(None, (width // by, height // by))
    formats.tell_reduced(name, (width, height), image.size)
    return loaded(image, name, frame.coefficient_bytes)


def needed(image: ImageFile.ImageFile, extra: int = 0) -> int:
    """Bytes of memory for decoding an image and then laying it out as RGB; see ``loaded``."""
    width, height = image.size
    pixels = width * height
    if any(tile.codec_name in Image.DECODERS for tile in image.tile):  # run lengths in BMP, PPM as text
        extra += _PYTHON_COPIES * len(image.getbands()) * (4 if image.mode == "I" else 1) * pixels
    return _STORED_BYTES.get(image.mode, 4) * pixels + max(extra, _RGB_BYTES * min(pixels, formats.MAX_PIXELS))


def check_scans(name: str, width: int, height: int, scanned: int) -> None:
    """Raises PhotoError if a JPEG has too many scans; ``scanned`` is their number times the pixels."""
    if scanned > MAX_SCANNED:
        scans = scanned // (width * height)
        raise too_large(name, width, height, f"in {scans} scans take too long to read")


def read_png(file: Guarded, name: str) -> Raster:
    head = file.read(26)
    file.seek(0)
    raster = loaded(plugin("PNG", file), name)
    return with_all_bits(raster, file, name) if head[24] == 16 else raster


def with_all_bits(raster: Raster, file: Guarded, name: str) -> Raster:
    """16-bit colour, of which Pillow keeps the upper 8 bits, with all its bits if those are next to nothing."""
    assert isinstance(raster.stored, Image.Image)
    if raster.stored.mode not in ("LA", "RGB", "RGBA"):
        return raster
    extremes: Any = raster.stored.getextrema()
    colours = extremes[:1] if raster.stored.mode == "LA" else extremes[:3]
    pixels = raster.size[0] * raster.size[1]
    if max(high for _, high in colours) > _DARKEST or (4 + 2 * 8) * pixels > formats.MAX_MEMORY:
        return raster
    return Raster(by_opencv(file, name, *raster.size, 8), raster.orientation)


def by_opencv(file: Guarded, name: str, width: int, height: int, pixel_bytes: int) -> Array:
    """The values as OpenCV reads them: of any type, colours as RGB or RGBA.

    Raises:
        PhotoError: too large.
        ValueError: OpenCV can't read it.
    """
    check_memory(name, width, height, 2 * pixel_bytes * width * height)
    file.seek(0)
    # It would print what is wrong with a damaged file.
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        values = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if values is None or values.shape[:2] != (height, width):
        raise ValueError("its pixels can't be decoded")
    if values.ndim == 3:
        values[..., [0, 2]] = values[..., [2, 0]]  # in place
    return values


def read_webp(file: Guarded, name: str) -> Raster:
    _check_packed(file.size, name)
    size = formats.webp_size(file.read(formats.HEAD))
    if size is None:
        raise ValueError("no size in its header")
    check_sides(name, *size)
    extra = 12 * size[0] * size[1]  # the canvas twice, and the bytes handed to Pillow
    check_memory(name, *size, extra + 4 * size[0] * size[1])
    file.seek(0)
    return loaded(plugin("WEBP", file), name, extra)


def read_avif(file: Guarded, name: str) -> Raster:
    data = file.read()
    _check_packed(len(data), name)
    try:
        image = plugin("AVIF", Guarded(io.BytesIO(data), len(data)))
    except Exception:
        # Pillow writes EXIF anew where its orientation isn't the container's, and fails on tags of a wrong type.
        # What the container says is enough: its EXIF item is made another kind of item.
        unseen = _EXIF_ITEM.sub(rb"\1free", data)
        image = plugin("AVIF", Guarded(io.BytesIO(unseen), len(unseen)))
    width, height = image.size
    return loaded(image, name, (6 + 2 * formats.av1_bytes(data)) * width * height)


def read_heif(file: Guarded, name: str) -> Raster:
    from pillow_heif import open_heif

    data = file.read()
    _check_packed(len(data), name)
    image = open_heif(io.BytesIO(data))
    width, height = image.size
    check_sides(name, width, height)
    check_memory(name, width, height, _heif_bytes(image) * width * height)
    # libheif turns it upright; what EXIF says of the orientation counts no more.
    return Raster(image.to_pillow() if image.premultiplied_alpha else np.asarray(image))


def _heif_bytes(image: Any) -> int:
    """Bytes that libheif takes for a pixel, at most: two and a half of its own, and RGB; alpha comes on top."""
    own = (2 if image.info["bit_depth"] > 8 else 1) * (1.5 if image.info.get("chroma") == 420 else 3)
    return 3 + math.ceil(2.5 * own) + (6 if image.has_alpha else 0)


def _check_packed(size: int, name: str) -> None:
    """Raises PhotoError if a file of this many bytes takes its decoder too long."""
    if size > PACKED_LIMIT:
        raise PhotoError(
            f"{name}: {size / 2**20:.0f} MB are over the limit of {PACKED_LIMIT // 2**20} MB of this format; "
            "save it as JPEG"
        )
