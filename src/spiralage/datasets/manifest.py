"""Manifest rows: what is known of each picture of a data set, and which split it belongs to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from spiralage.errors import DatasetError

Split: TypeAlias = Literal["train", "val", "test"]

SHARES: tuple[tuple[Split, float], ...] = (("train", 0.8), ("val", 0.1), ("test", 0.1))


@dataclass(frozen=True)
class Row:
    """One picture of a data set.

    Args:
        image: its name inside the archive or folder.
        subject: who it shows; pictures of one subject are always in one split.
        age: in years.
        sex: "male", "female", or None if the data set doesn't say.
        group: the data set's own population group, or None.
        split: train, val or test.
    """

    image: str
    subject: str
    age: int
    sex: Literal["male", "female"] | None
    group: str | None
    split: Split


def split_by_hash(subject: str) -> Split:
    """The split of a subject: SHA-256 of its name, as a number in [0, 1), cut at 0.8 and 0.9.

    It depends on nothing but the name, so adding or losing pictures moves no other.

    >>> split_by_hash("1_0_0_20161219140623097.jpg.chip.jpg")
    'train'
    """
    number = int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8], "big") / 2**64
    edge = 0.0
    for split, share in SHARES:
        edge += share
        if number < edge - 1e-12:
            return split
    return SHARES[-1][0]


def find_archive(data: Path | None, name: str) -> Path:
    """The archive ``name`` in the data folder, or its unpacked folder beside it.

    Raises:
        DatasetError: no data folder was given, or it has neither.
    """
    if data is None:
        raise DatasetError("no data folder; give --data FOLDER or set SPIRALAGE_DATA")
    archive, folder = data / name, data / Path(name).stem
    for path in (archive, folder):
        if path.exists():
            return path
    raise DatasetError(f"{data} holds neither {archive.name} nor a folder {folder.name}")
