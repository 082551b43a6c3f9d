"""Manifest rows: what is known of each picture of a data set, and which split it belongs to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from annotated_types import Interval

from spiralage.errors import DatasetError

Split: TypeAlias = Literal["train", "val", "test"]

OLDEST = 120
"""Years; no data set has an older person."""
SPLITS: tuple[Split, ...] = ("train", "val", "test")
SHARES: tuple[tuple[Split, float], ...] = (("train", 0.8), ("val", 0.1), ("test", 0.1))


@dataclass(frozen=True)
class Row:
    """One picture of a data set.

    Args:
        image: its name inside the archive or folder.
        subject: who it shows; pictures of one subject are always in one split.
        age: in years, 0 to ``OLDEST``, or None if the data set doesn't say.
        sex: "male", "female", or None if the data set doesn't say.
        group: the data set's own population group, or None.
        split: train, val or test.
    """

    image: str
    subject: str
    age: Annotated[int, Interval(ge=0, le=OLDEST)] | None  # checked where tables are read
    sex: Literal["male", "female"] | None
    group: str | None
    split: Split


def split_by_hash(subject: str) -> Split:
    """The split of a subject: SHA-256 of its name, as a number in [0, 1), cut at 0.8 and 0.9.

    It depends on nothing but the name, so adding or losing pictures moves no other.

    >>> split_by_hash("1_0_0_20161219140623097.jpg.chip.jpg")
    'train'
    """
    number = int.from_bytes(hashlib.sha256(subject.encode(errors="surrogateescape")).digest()[:8], "big") / 2**64
    edge = 0.0
    for split, share in SHARES:
        edge += share
        if number < edge - 1e-12:
            return split
    return SHARES[-1][0]


def find_archive(data: Path | None, *names: str, marks: tuple[str, ...] = ()) -> Path:
    """The archive of a data set, or its unpacked folder.

    Args:
        data: the folder that holds one of them; or the archive itself; or the unpacked folder itself,
            which is known by its name or by what lies in it.
        names: what the archive may be called; a folder is called so without the ending. Without a name
            the data folder is the data set.
        marks: patterns of files that only the unpacked folder has at its top.

    Raises:
        DatasetError: no data folder was given, or it isn't there, or it has none of these.
    """
    if data is None:
        raise DatasetError("no data folder; give --data FOLDER or set SPIRALAGE_DATA")
    if not data.exists():
        raise DatasetError(f"{data}: no such file or folder; check --data or SPIRALAGE_DATA")
    if not names:
        return data
    folders = list(dict.fromkeys(Path(name).stem for name in names))
    found = [data / name for name in (*names, *folders) if (data / name).exists()]
    if found:
        return found[0]
    if data.is_file() or data.resolve().name in folders or any(any(data.glob(mark)) for mark in marks):
        return data
    if len(names) == 1:
        raise DatasetError(f"{data} holds neither {names[0]} nor a folder {folders[0]}")
    raise DatasetError(f"{data} holds none of {', '.join(names)}, nor a folder of one of these names")
