"""Small encoded pictures for the tests of image_io, and what reading one costs."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from spiralage.types import Pixels


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def quarters() -> Pixels:
    """64×96 pixels whose four quarters have four colours: no turn or flip leaves it as it is."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:32, :48], pixels[:32, 48:] = (220, 40, 40), (40, 200, 60)
    pixels[32:, :48], pixels[32:, 48:] = (40, 60, 220), (230, 220, 60)
    return pixels


def noise(side: int = 128) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *, bits: int = 8, colour: int = 2, data: bytes = b"", extra: bytes = b"") -> bytes:
    """A PNG with this header, these packed rows, and chunks between the two."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def tiff(tags: dict[int, tuple[int, int, int]], data: bytes = b"") -> bytes:
    """A little-endian TIFF: tag → (type, count, value or offset), then the data."""
    entries = b"".join(struct.pack("<HHII", tag, *value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + data


def exif(orientation: int, *others: tuple[int, int, int, bytes], order: str = "<") -> bytes:
    """EXIF with an orientation and other tags: (tag, type, count, four bytes)."""
    entries = [(0x0112, 3, 1, struct.pack(order + "HH", orientation, 0)), *others]
    body = b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries)
    mark = b"II" if order == "<" else b"MM"
    return b"Exif\0\0" + mark + struct.pack(order + "HIH", 42, 8, len(entries)) + body + bytes(4)


class Cost(NamedTuple):
    """What became of a file, the processor's seconds and the peak of memory in bytes."""

    answer: str
    seconds: float
    memory: int


CHILD = """
import json, resource, sys, time
from spiralage.errors import PhotoError
from spiralage.image_io import load_photo
start = time.process_time()
try:
    answer = "x".join(map(str, load_photo(sys.argv[1]).pixels.shape))
except PhotoError as error:
    answer = str(error)
try:  # on Linux ru_maxrss begins with the size of the process that started this one
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    peak = int(status["VmHWM"].split()[0]) * 1024
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps([answer, time.process_time() - start, peak]))
"""


def cost_of(path: Path) -> Cost:
    """Read a file in a process of its own."""
    done = subprocess.run([sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True)
    return Cost(*json.loads(done.stdout.splitlines()[-1]))
