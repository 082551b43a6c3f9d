"""How a stored picture must be turned to stand upright, by its EXIF or XMP data.

Only the orientation is read, and nothing is written: other tags of a wrong type, or damage anywhere, don't
matter. What can't be understood is as if it weren't there.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping

from PIL import Image

UPRIGHT = 1
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what makes the stored picture upright; 1 is upright already."""

TAG = 0x0112
_XMP = re.compile(rb"""tiff:Orientation(?:\s*=\s*["']|\s*>)\s*([0-9])\s*["'<]""")
_PILLOWS_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
# TIFF's types of numbers, as struct spells them.
_TYPES = {1: "B", 3: "H", 4: "L", 6: "b", 7: "B", 8: "h", 9: "l", 11: "f", 12: "d", 13: "L", 16: "Q"}


def orientation_of(info: Mapping[str | tuple[int, int], object]) -> int:
    """The orientation, 1…8, that a picture's metadata tell; 1 if they don't.

    Args:
        info: as Pillow gathers it: "exif", "Raw profile type exif", "xmp" or "XML:com.adobe.xmp".
    """
    found = _stored_exif_orientation(info)
    return valid(_xmp_orientation(info, _XMP) if found is None else found)


def own_orientation(image: Image.Image) -> object:
    """What an image's EXIF as its owner sees it says, then XMP; None if neither does.

    Raises:
        Exception: damaged EXIF; whatever Pillow raises.
    """
    found = image.getexif().get(TAG)
    if found is not None and _stored_exif_orientation(image.info) is None:
        # Pillow takes what XMP says into its EXIF, and reads it more loosely.
        found = None if found == _xmp_orientation(image.info, _PILLOWS_XMP) else found
    return _xmp_orientation(image.info, _XMP) if found is None else found


def valid(orientation: object) -> int:
    """The value, or the first of several, as an orientation, or 1 if it is none."""
    if isinstance(orientation, tuple | bytes) and orientation:
        orientation = orientation[0]
    return int(orientation) if isinstance(orientation, int | float) and orientation in TURNS else UPRIGHT


def exif_orientation(exif: bytes) -> float | None:
    """The orientation tag's value in EXIF data, or None.

    >>> exif_orientation(b"II*\\0" + struct.pack("<LHHHLHH", 8, 1, 0x112, 3, 1, 6, 0))
    6
    >>> exif_orientation(b"MM\\0*damaged") is None
    True
    """
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return None
    try:
        (at,) = struct.unpack_from(order + "L", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, at)
        for start in range(at + 2, at + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(order + "HHL", exif, start)
            if tag == TAG:
                return _first(exif, order, kind, count, start + 8)
    except struct.error:  # it ends before it should
        pass
    return None


def _first(exif: bytes, order: str, kind: int, count: int, at: int) -> float | None:
    """The first of a tag's numbers; None if it has none."""
    if count == 0 or kind not in _TYPES:
        return None
    if count * struct.calcsize(order + _TYPES[kind]) > 4:  # they lie elsewhere
        (at,) = struct.unpack_from(order + "L", exif, at)
    value: float = struct.unpack_from(order + _TYPES[kind], exif, at)[0]
    return value


def _stored_exif_orientation(info: Mapping[str | tuple[int, int], object]) -> float | None:
    exif = info.get("exif")
    if exif is None:
        exif = _raw_profile(info.get("Raw profile type exif"))
    return exif_orientation(exif) if isinstance(exif, bytes) else None


def _raw_profile(profile: object) -> bytes | None:
    """EXIF as ImageMagick writes it into PNG: three lines of heading, then hexadecimal digits."""
    if not isinstance(profile, str):
        return None
    try:
        return bytes.fromhex("".join(profile.split("\n")[3:]))
    except ValueError:
        return None


def _xmp_orientation(info: Mapping[str | tuple[int, int], object], pattern: re.Pattern[bytes]) -> int | None:
    xmp = info.get("XML:com.adobe.xmp") or info.get("xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode(errors="replace")
    match = pattern.search(xmp) if isinstance(xmp, bytes) else None
    return None if match is None else int(match[1])
