"""Which format is it, by its first bytes; and what its header asks for, before anything is decoded."""

from __future__ import annotations

import logging
import re
import struct
from dataclasses import dataclass
from typing import Protocol

from spiralage.errors import PhotoError

log = logging.getLogger("spiralage")

MAX_PIXELS = 100_000_000
"""Of a larger picture every second (third …) pixel a side is read, where the format and the memory allow it."""

MAX_SIDE = 65_535
"""The longest side in pixels, JPEG's own limit; longer ones cost memory for each row."""

MAX_MEMORY = 800_000_000
"""Bytes that decoding may take; beside Python and its libraries that stays below 1 GB."""

MAX_JPEG_PIXELS = 400_000_000
"""Even scaled down, a JPEG must be unpacked as a whole: 1 second for 50 to 150 megapixels."""

# Only formats that Pillow and libheif decode themselves: no external program (EPS would start Ghostscript).
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "HEIF")

_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II\0*": "TIFF",
    b"MM*\0": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"BM": "BMP",
}
_OTHERS = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"8BPS": "Photoshop",
    b"FUJIFILMCCD-RAW": "raw",
}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"mif2"}
_AVIF_BRANDS = {b"avif", b"avis"}

HEAD = 64
"""Bytes that tell the format."""


def format_of(head: bytes) -> str | None:
    """The format of a file that starts with these bytes, one of ``FORMATS``, or None.

    >>> format_of(b"\\x89PNG\\r\\n\\x1a\\n")
    'PNG'
    """
    for start, kind in _STARTS.items():
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _box_format(head)
    return "PPM" if head[:1] == b"P" and head[1:2] in tuple(b"%c" % c for c in b"123456fy") else None


def _box_format(head: bytes) -> str | None:
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12]} | {head[at : at + 4] for at in range(16, length - 3, 4)}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS else None


def other_format_of(head: bytes) -> str | None:
    """The name of a picture format that can be told but not read."""
    return next((kind for start, kind in _OTHERS.items() if head.startswith(start)), None)


def too_large(name: str, width: int, height: int, why: str) -> PhotoError:
    """The error for a picture that asks for too much."""
    return PhotoError(f"{name}: {width}×{height} pixels {why}; scale it down")


def tell_reduced(name: str, whole: tuple[int, int], read: tuple[int, int]) -> None:
    """Say that a picture is read with fewer pixels than it has, if it is."""
    if whole[0] * whole[1] > read[0] * read[1]:
        log.warning("%s: %d×%d pixels are read as %d×%d; places in it count in these", name, *whole, *read)


def check_sides(name: str, width: int, height: int) -> None:
    """Raises PhotoError if there are no pixels, or a side is too long."""
    if width < 1 or height < 1:
        raise PhotoError(f"{name}: {width}×{height} pixels are no picture; copy it again")
    if max(width, height) > MAX_SIDE:
        raise too_large(name, width, height, f"is over the limit of {MAX_SIDE} a side")


def check_memory(name: str, width: int, height: int, needed: int) -> None:
    """Raises PhotoError if decoding needs more than ``MAX_MEMORY`` bytes."""
    if needed > MAX_MEMORY:
        raise too_large(
            name,
            width,
            height,
            f"({width * height / 1e6:.0f} megapixels) would take {needed / 1e9:.1f} GB to decode, "
            f"over the limit of {MAX_MEMORY / 1e9:.1f} GB",
        )


def webp_size(head: bytes) -> tuple[int, int] | None:
    """(width, height) of the canvas that a WebP file asks for; None if its first chunk doesn't say.

    The decoder allocates the canvas before it tells its size.
    """
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return None


class Readable(Protocol):
    """What of a file is needed here."""

    def read(self, size: int, /) -> bytes:
        """Up to this many bytes."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""
        ...


def av1_bytes(data: bytes) -> int:
    """Bytes for a decoded pixel of an AVIF, of which the decoder holds two: by bit depth and colour sampling.

    Raises:
        ValueError: the file doesn't say.
    """
    found = [data[at.end() + 2] for at in re.finditer(b"av1C", data[:-4])]
    if not found:
        raise ValueError("no AV1 configuration in its header")
    return max((2 if flags & 0x40 else 1) * (2 if flags & 0x08 else 3) for flags in found)


@dataclass(frozen=True)
class JpegFrame:
    """What a JPEG's frame header says.

    Args:
        width, height: in pixels.
        samples: how often each component is sampled, (horizontally, vertically).
        several_scans: progressive, or its components come one after the other; all coefficients are kept then.
    """

    width: int
    height: int
    samples: tuple[tuple[int, int], ...]
    several_scans: bool

    @property
    def coefficient_bytes(self) -> int:
        """Memory for the coefficients until the last scan is read: 2 bytes each."""
        if not self.several_scans:
            return 0
        most_h, most_v = (max(side) for side in zip(*self.samples, strict=True))
        return sum(2 * self.width * self.height * h * v // (most_h * most_v) for h, v in self.samples)


_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_MOST_SEGMENTS = 20_000
_MOST_FILL = 65_536


def jpeg_frame(file: Readable) -> JpegFrame | None:
    """The frame header of a JPEG; None if the file ends, or fills itself with nothing, before its first scan."""
    file.seek(2)
    frame: JpegFrame | None = None
    progressive = False
    for _ in range(_MOST_SEGMENTS):
        marker = _next_marker(file)
        if marker is None:
            return None
        if marker == 0 or 0xD0 <= marker <= 0xD9 or marker == 0x01:
            continue  # these have no length
        body = file.read(2)
        length = int.from_bytes(body, "big") - 2
        if len(body) < 2 or length < 0:
            return None
        if marker in _FRAMES:
            progressive = marker in _PROGRESSIVE
            frame = _frame(file.read(length))
        elif marker == 0xDA:
            components = file.read(1)
            if frame is None or not components:
                return None
            apart = components[0] < len(frame.samples)
            return JpegFrame(frame.width, frame.height, frame.samples, progressive or apart)
        else:
            file.seek(length, 1)
    return None


def _next_marker(file: Readable) -> int | None:
    byte = b""
    for _ in range(_MOST_FILL):
        last, byte = byte, file.read(1)
        if not byte:
            return None
        if last == b"\xff" and byte != b"\xff":
            return byte[0]
    return None


def _frame(body: bytes) -> JpegFrame | None:
    if len(body) < 6 or len(body) < 6 + 3 * body[5] or body[5] == 0:
        return None
    height, width = struct.unpack_from(">HH", body, 1)
    samples = tuple((max(1, body[at] >> 4), max(1, body[at] & 15)) for at in range(7, 7 + 3 * body[5], 3))
    return JpegFrame(width, height, samples, False)


def count_scans(file: Readable) -> int:
    """How many scans a JPEG has, or more: where its coded data have 0xFF, 0xDA never follows otherwise."""
    file.seek(0)
    count, last = 0, b""
    while block := file.read(2**20):
        count += (last + block).count(b"\xff\xda")
        last = block[-1:] if block[-1:] == b"\xff" else b""
    return count
