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
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Literal

from spiralage.datasets.manifest import Row, split_by_hash
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
    subject = duplicate_groups().get(name, name)
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

    Names without an age are left out; ``malformed`` lists them.

    Raises:
        DatasetError: the path is neither a readable tar nor a folder with UTKFace pictures.
    """
    found = False
    for name, data in _pictures(path):
        row = parse_name(name)
        if row is not None:
            found = True
            yield row, data
    if not found:
        raise DatasetError(f"{path}: no picture named [age]_[sex]_[race]_[date].jpg.chip.jpg in it")


def malformed(path: Path) -> list[str]:
    """The names of the pictures that ``read`` leaves out because they tell no age."""
    return [name for name in _names(path) if parse_name(name) is None]


def _names(path: Path) -> list[str]:
    if path.is_dir():
        return sorted(p.name for p in path.rglob("*.jpg"))
    with _opened(path) as archive:
        return sorted(Path(m.name).name for m in archive.getmembers() if _is_picture(m))


def _pictures(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for file in sorted(path.rglob("*.jpg"), key=lambda p: p.name):
            yield file.name, file.read_bytes()
        return
    with _opened(path) as archive:
        members = sorted(filter(_is_picture, archive.getmembers()), key=lambda m: Path(m.name).name)
        for member in members:
            file_in_tar = archive.extractfile(member)
            if file_in_tar is not None:
                yield Path(member.name).name, file_in_tar.read()


def _is_picture(member: tarfile.TarInfo) -> bool:
    return member.isfile() and member.name.endswith(".jpg")


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """The archive, read member by member; nothing is unpacked to disk."""
    try:
        with tarfile.open(path) as archive:
            yield archive
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(":")
        raise DatasetError(f"{path}: not a readable tar archive ({reason}); fetch it again") from error
