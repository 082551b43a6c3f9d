"""UTKFace (Zhang, Song, Qi 2017): aligned, cropped 200×200 faces with the age in the file name.

``[age]_[sex]_[race]_[date&time].jpg.chip.jpg``; sex 0 male, 1 female; race 0 White, 1 Black, 2 Asian,
3 Indian, 4 other. Some names in the wild lack a field; such a picture keeps what its name does say.

There are no identities. The *subject* is a group of duplicates and near-duplicates found by perceptual
hash (``duplicates.py``); the groups are written down in ``utkface_duplicates.csv`` beside this file, so
the split is the same everywhere.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Literal

from spiralage.datasets.archives import Archive, base_name, opened
from spiralage.datasets.manifest import Row, split_by_hash
from spiralage.datasets.same_faces import subject_of
from spiralage.errors import DatasetError

ARCHIVE = "UTKFace.tar"
RACES = ("White", "Black", "Asian", "Indian", "other")
_NAME = re.compile(r"(?P<age>\d{1,3})_(?:(?P<sex>[01])_)?(?:(?P<race>[0-4])_)?\d* ?\.?jpg(?:\.chip\.jpg)?")
_OLDEST = 120


def parse_name(name: str) -> Row | None:
    """The manifest row that a file name spells, or None if it names no age.

    >>> row = parse_name("26_1_2_20170104023102422.jpg.chip.jpg")
    >>> row.age, row.sex, row.group
    (26, 'female', 'Asian')
    >>> parse_name("61_1_20170109142408075.jpg.chip.jpg").group is None
    True
    """
    match = _NAME.fullmatch(name)
    if match is None or int(match["age"]) > _OLDEST:
        return None
    subject = subject_of("utkface", name, duplicate_groups().get(name, name))
    sex: Literal["male", "female"] | None = None
    if match["sex"] is not None:
        sex = "female" if match["sex"] == "1" else "male"
    group = None if match["race"] is None else RACES[int(match["race"])]
    return Row(name, subject, int(match["age"]), sex, group, split_by_hash(subject))


@lru_cache(maxsize=1)
def duplicate_groups() -> dict[str, str]:
    """Image name → name of its duplicate group (the group's first image), for grouped images only."""
    text = resources.files(__package__).joinpath("utkface_duplicates.csv").read_text(encoding="utf-8")
    return {row["image"]: row["group"] for row in csv.DictReader(text.splitlines())}


def read(path: Path) -> Iterator[tuple[Row, bytes]]:
    """Every picture of the archive or its unpacked folder as (row, encoded bytes), sorted by name.

    Names without an age are left out; ``malformed`` lists them. There is no fixed number of pictures:
    copies with 22,198 and with more than 23,700 are both in use.

    Raises:
        DatasetError: the path is neither a readable tar nor a folder with UTKFace pictures.
    """
    with opened(path) as archive:
        names = _pictures(archive)
        rows = {name: row for name in names if (row := parse_name(base_name(name))) is not None}
        if not rows:
            instead = f", but {len(names)} others like {base_name(names[0])}" if names else ""
            raise DatasetError(
                f"{path}: no picture named [age]_[sex]_[race]_[date].jpg.chip.jpg in it{instead}; "
                f"give {ARCHIVE} or its folder"
            )
        for name, row in rows.items():
            yield row, archive.read(name)


def malformed(path: Path) -> list[str]:
    """The names of the pictures that ``read`` leaves out because they tell no age."""
    with opened(path) as archive:
        names = [base_name(name) for name in _pictures(archive)]
    return [name for name in names if parse_name(name) is None]


def _pictures(archive: Archive) -> list[str]:
    """The pictures' names in the archive, sorted by their own name."""
    return archive.named(".jpg", ".jpeg", ".png")
