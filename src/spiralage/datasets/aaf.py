"""AAF, the All-Age-Faces data set (Cheng et al. 2019): 13,322 faces, mostly Asian, one a person, aged 2 to 80.

A zip (``AAF.zip``) or its unpacked folder: pictures named person, ``A``, age (``00000A02.webp`` or ``.jpg``) and,
beside them, ``labels.csv`` with the columns image, age and sex. The whole frame around a face is real: hair and
background, no mirrored border. Any part of the set is taken.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from spiralage.datasets.archives import Archive, base_name, opened
from spiralage.datasets.manifest import Row, split_by_hash
from spiralage.datasets.same_faces import subject_of
from spiralage.errors import DatasetError

ARCHIVE = "AAF.zip"
LABELS = "labels.csv"
OLDEST = 80
_NAME = re.compile(r"(?P<subject>[0-9]{5})A(?P<age>[0-9]{2})\.(?:webp|jpg)", re.IGNORECASE)
_Sex = Literal["male", "female"]


def parse_name(name: str, sex: _Sex | None = None) -> Row | None:
    """The manifest row that a file name spells, or None if it isn't one of AAF's.

    >>> row = parse_name("00003A02.webp", "female")
    >>> row.subject, row.age, row.sex
    ('aaf-00003', 2, 'female')
    >>> parse_name("00003A81.webp") is None
    True
    """
    match = _NAME.fullmatch(name)
    if match is None or int(match["age"]) > OLDEST:
        return None
    subject = subject_of("aaf", name, f"aaf-{match['subject']}")
    return Row(name, subject, int(match["age"]), sex, "Asian", split_by_hash(subject))


def read(path: Path) -> Iterator[tuple[Row, bytes]]:
    """Every picture of the zip or folder as (row, encoded bytes), sorted by name.

    Raises:
        DatasetError: neither a readable zip nor a folder, a picture that isn't named like AAF's or that comes
            twice, a label that contradicts a name, or no picture at all.
    """
    with opened(path) as archive:
        for name, row in _rows(archive).items():
            yield row, archive.read(name)


def _rows(archive: Archive) -> dict[str, Row]:
    sexes = _sexes(archive)
    rows: dict[str, Row] = {}
    for name in archive.named(".webp", ".jpg"):
        own = base_name(name)
        row = parse_name(own, sexes.get(own))
        if row is None:
            raise DatasetError(
                f"{archive.path}: {name} is not named like AAF's pictures (00000A02.webp: person, A, age up to "
                f"{OLDEST}); remove it or fetch {ARCHIVE} again"
            )
        if any(row.image == other.image for other in rows.values() if other.subject == row.subject):
            raise DatasetError(f"{archive.path}: {name} is there twice; remove one or fetch {ARCHIVE} again")
        rows[name] = row
    if not rows:
        raise DatasetError(f"{archive.path}: no picture named like 00000A02.webp in it; give {ARCHIVE} or its folder")
    return rows


def _sexes(archive: Archive) -> dict[str, _Sex]:
    """Picture's name → sex, as ``labels.csv`` has it; its ages must be those of the names."""
    sexes: dict[str, _Sex] = {}
    for table in (name for name in archive.sizes if base_name(name) == LABELS):
        text = archive.read(table).decode("utf-8-sig", errors="replace")
        for line in csv.DictReader(io.StringIO(text, newline="")):
            image, age, sex = (line.get(column) for column in ("image", "age", "sex"))
            row = parse_name(image or "")
            if row is None or str(row.age) != age:
                raise DatasetError(f"{archive.path}: {table} says {age!r} of {image!r}; fetch {ARCHIVE} again")
            if sex == "male" or sex == "female":
                sexes[row.image] = sex
    return sexes
