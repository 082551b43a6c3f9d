"""MaskedFace-Net (Cabani et al. 2021): FFHQ's faces with surgical masks that others drew, and their outlines.

A zip (``MaskedFace-450.zip``: 450 of them) or its unpacked folder: pictures ``images/CWM-00002.webp`` of masks that are
worn well, ``IWM-…`` of those that leave nose or chin bare, each with a palette PNG of its name in ``masks``: 0
background, 1 face, 2 mask (MaskedFaceSegmentation). The number is FFHQ's; no ages, no persons told apart. The split is
by the hash of the number, so that a face under two masks is in one split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path, PurePosixPath

from spiralage.datasets.archives import base_name, opened
from spiralage.datasets.face_classes import CLASSES_FOLDER, ReadClasses, classes_reader
from spiralage.datasets.manifest import Row, split_by_hash
from spiralage.errors import DatasetError

ARCHIVES = ("MaskedFace-450.zip", "MaskedFace.zip")
MARKS = ("[CI]WM-[0-9]*", "images/[CI]WM-[0-9]*")
_NAME = re.compile(r"[CI]WM-(?P<number>[0-9]{5})\.(?:webp|jpg|png)", re.IGNORECASE)


class OutlineClass(IntEnum):
    """What a pixel shows."""

    BACKGROUND = 0
    FACE = 1
    MASK = 2


def parse_name(name: str) -> Row | None:
    """The manifest row that a file name spells, or None if it isn't one of the set's.

    >>> row = parse_name("IWM-07037.webp")
    >>> row.subject, row.age, row.split == split_by_hash("ffhq-07037")
    ('ffhq-07037', None, True)
    >>> parse_name("07037.webp") is None
    True
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    subject = f"ffhq-{match['number']}"
    return Row(name, subject, None, None, None, split_by_hash(subject))


def read(path: Path) -> Iterator[tuple[Row, bytes]]:
    """Every picture of the zip or folder as (row, encoded bytes), sorted by name.

    Raises:
        DatasetError: neither a readable zip nor a folder, a picture of another name or that comes twice, or none.
    """
    with opened(path) as archive:
        rows: dict[str, Row] = {}
        taken: set[str] = set()
        for name in archive.named(".webp", ".jpg", ".png"):
            if PurePosixPath(name).parent.name == CLASSES_FOLDER:
                continue
            row = parse_name(base_name(name))
            if row is None:
                raise DatasetError(
                    f"{path}: {name} is not named like MaskedFace-Net's pictures (CWM-00002.webp); remove it or fetch "
                    f"{ARCHIVES[0]} again"
                )
            if row.image in taken:
                raise DatasetError(f"{path}: {name} is there twice; remove one or fetch {ARCHIVES[0]} again")
            taken.add(row.image)
            rows[name] = row
        if not rows:
            raise DatasetError(f"{path}: no picture named like CWM-00002.webp in it; give {ARCHIVES[0]} or its folder")
        for name, row in rows.items():
            yield row, archive.read(name)


@contextmanager
def opened_classes(path: Path) -> Iterator[ReadClasses | None]:
    """Reads what the pixels of a picture show, ``OutlineClass``, by the picture's name; None where there is nothing.

    Raises:
        DatasetError: as ``read``; what is read then raises it for a picture without an outline, or with a damaged one.
    """
    with opened(path) as archive:
        yield classes_reader(archive, OutlineClass)
