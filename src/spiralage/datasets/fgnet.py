"""FG-NET: 1002 photos of 82 persons from childhood to old age, aged 0 to 69 (Lanitis et al. 2002).

The official ``FGNET.zip`` (``FGNET/images/001A02.JPG``) or its unpacked folder. A name is the person (3
digits), ``A``, the age (2 digits) and, for a second photo at one age, a letter: ``001A43a.JPG``. The
set has no sex and no population group. Files that aren't ``.jpg`` (landmarks) are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from spiralage.datasets.archives import Archive, base_name, opened
from spiralage.datasets.manifest import Row, split_by_hash
from spiralage.errors import DatasetError

ARCHIVE = "FGNET.zip"
IMAGES = 1002
PERSONS = 82
OLDEST = 69
_NAME = re.compile(r"(?P<subject>[0-9]{3})A(?P<age>[0-9]{2})[a-z]?\.jpg", re.IGNORECASE)


def parse_name(name: str) -> Row | None:
    """The manifest row that a file name spells, or None if it isn't one of FG-NET's.

    >>> row = parse_name("001A43a.JPG")
    >>> row.subject, row.age, row.sex
    ('001', 43, None)
    >>> parse_name("001A70.JPG") is None
    True
    """
    match = _NAME.fullmatch(name)
    if match is None or int(match["age"]) > OLDEST:
        return None
    return Row(name, match["subject"], int(match["age"]), None, None, split_by_hash(match["subject"]))


def read(path: Path, *, complete: bool = True) -> Iterator[tuple[Row, bytes]]:
    """Every picture of the zip or folder as (row, encoded bytes), sorted by name.

    Args:
        path: the zip or folder.
        complete: check that all 1002 images of 82 persons are there; False takes any part of them.

    Raises:
        DatasetError: neither a readable zip nor a folder, a picture that FG-NET doesn't have or that
            comes twice, none at all, or not all of them.
    """
    with opened(path) as archive:
        rows = _rows(archive)
        if complete:
            _check_counts(path, list(rows.values()))
        for name, row in rows.items():
            yield row, archive.read(name)


def _rows(archive: Archive) -> dict[str, Row]:
    """Name in the archive → row, in the order of the pictures' own names."""
    rows: dict[str, Row] = {}
    seen: set[str] = set()
    for name in archive.named(".jpg"):
        row = parse_name(base_name(name))
        if row is None:
            raise DatasetError(
                f"{archive.path}: {name} is not named like FG-NET's pictures (001A02.JPG: person, A, age "
                f"00 to {OLDEST}); remove it or fetch {ARCHIVE} again"
            )
        if row.image.lower() in seen:
            raise DatasetError(f"{archive.path}: {name} is there twice; remove one or fetch {ARCHIVE} again")
        seen.add(row.image.lower())
        rows[name] = row
    if not rows:
        raise DatasetError(f"{archive.path}: no picture named like 001A02.JPG in it; give {ARCHIVE} or its folder")
    return rows


def _check_counts(path: Path, rows: list[Row]) -> None:
    persons = len({row.subject for row in rows})
    if (len(rows), persons) != (IMAGES, PERSONS):
        raise DatasetError(
            f"{path}: {len(rows)} images of {persons} persons, but FG-NET has {IMAGES} of {PERSONS}; "
            f"fetch {ARCHIVE} again, or give --partial for a part of it"
        )
