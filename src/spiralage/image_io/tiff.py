"""TIFF: what its tags ask for, checked before Pillow decodes it; and what Pillow can't decode, by OpenCV."""

from __future__ import annotations

import struct
from typing import Any

from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from spiralage.image_io.codecs import by_opencv, check_scans, loaded, with_all_bits
from spiralage.image_io.formats import MAX_PIXELS, check_memory, check_sides, count_scans
from spiralage.image_io.opening import Guarded
from spiralage.image_io.orientation import valid
from spiralage.image_io.raster import Raster

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _ORIENTATION, _SAMPLES = 256, 257, 258, 259, 274, 277
_ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT, _STRIPS, _TILES = 278, 322, 323, 273, 324
_RAW = 1
_BYTES = (1, 2, 6, 7)  # types whose values are kept as they are
_MOST_NUMBERS = 200_000  # three planes of strips of one row
_JPEG = (6, 7)


class _AsStored(TiffImageFile):
    """Pillow's reader without what it does at the end: turn the picture by EXIF that it writes anew."""

    def load_end(self) -> None:
        """Nothing but the size as stored."""
        self._size = self.im.size


def read_tiff(file: Guarded, name: str) -> Raster:
    """The first picture of a TIFF file.

    Raises:
        PhotoError: too large.
        Exception: damaged; whatever Pillow raises.
    """
    tags = _tags(file)
    width, height = int(tags[_WIDTH]), int(tags[_HEIGHT])
    check_sides(name, width, height)
    bits = max(_numbers(tags, _BITS, 1))
    samples = _numbers(tags, _SAMPLES, 1)[0]
    compression = _numbers(tags, _COMPRESSION, 1)[0]
    part = 0 if compression == _RAW else _part_pixels(tags, width, height) * samples * bits // 8
    check_memory(name, width, height, part)
    if compression in _JPEG:
        _check_jpegs(tags, file, name, width, height)
    file.seek(0)
    try:
        image = _AsStored(file.as_file())
    except Exception:
        if bits not in (16, 32, 64):
            raise
        raster = Raster(by_opencv(file, name, width, height, samples * bits // 8))
    else:
        raster = loaded(image, name, part)
        if bits == 16:
            raster = with_all_bits(raster, file, name)
    return Raster(raster.stored, _orientation(tags, raster))


def _tags(file: Guarded) -> ImageFileDirectory_v2:
    head = file.read(8)
    big = 43 in head[2:4]  # BigTIFF
    if big:
        head += file.read(8)
    tags = ImageFileDirectory_v2(head)
    _check_counts(file, tags.next, "<" if head[:1] == b"I" else ">", big)
    file.seek(tags.next)
    tags.load(file.as_file())
    return tags


def _check_counts(file: Guarded, at: int, order: str, big: bool) -> None:
    """Raises ValueError if a tag has more numbers than a picture has strips; each would become an object."""
    file.seek(at)
    length, entry = ("Q", "HHQQ") if big else ("H", "HHLL")
    (entries,) = struct.unpack(order + length, file.read(struct.calcsize(order + length)))
    for _ in range(entries):
        _, kind, count, _ = struct.unpack(order + entry, file.read(struct.calcsize(order + entry)))
        if kind not in _BYTES and count > _MOST_NUMBERS:
            raise ValueError(f"a tag with {count} numbers")


def _numbers(tags: ImageFileDirectory_v2, tag: int, default: int) -> tuple[int, ...]:
    value: Any = tags.get(tag, default)
    return tuple(int(number) for number in (value if isinstance(value, tuple) else (value,)))


def _part_pixels(tags: ImageFileDirectory_v2, width: int, height: int) -> int:
    """Pixels of the largest strip or tile, which is decoded as a whole."""
    if _TILE_WIDTH in tags or _TILE_HEIGHT in tags:
        return max(_numbers(tags, _TILE_WIDTH, width)) * max(_numbers(tags, _TILE_HEIGHT, height))
    return width * min(height, max(_numbers(tags, _ROWS_PER_STRIP, height)))


def _check_jpegs(tags: ImageFileDirectory_v2, file: Guarded, name: str, width: int, height: int) -> None:
    """Each strip or tile is a JPEG, and may come in many scans; or be the same one over and over."""
    parts = _numbers(tags, _TILES if _TILES in tags else _STRIPS, 0)
    if len(set(parts)) < len(parts):
        raise ValueError("its strips lie one on the other")
    pixels = min(width * height, MAX_PIXELS)
    check_scans(name, width, height, -(-count_scans(file) * pixels // len(parts)))


def _orientation(tags: ImageFileDirectory_v2, raster: Raster) -> int:
    try:
        value = tags.get(_ORIENTATION)
    except Exception:  # a tag that can't be read is as if it weren't there
        value = None
    return raster.orientation if value is None else valid(value)
