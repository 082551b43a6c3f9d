"""Pictures that two data sets share, so that none is learned from in one and tested on in the other.

``same_faces.csv`` beside this file is written by ``spiralage data same-faces`` from the aligned crops of all sets:
data, image, and the subject that decides its split: the first picture of its group, in the order FG-NET, UTKFace,
AAF, CelebA-HQ. A picture that FG-NET has too is in no other set at all, since FG-NET tests every network.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources

from spiralage.datasets.manifest import Row

TABLE = "same_faces.csv"
TESTED = "fgnet"
"""The data set whose pictures are left out of all others."""


@lru_cache(maxsize=1)
def same_faces() -> dict[tuple[str, str], str]:
    """(data set, image) → subject, for every picture that another data set has too."""
    text = resources.files(__package__).joinpath(TABLE).read_text(encoding="utf-8")
    return {(row["data"], row["image"]): row["subject"] for row in csv.DictReader(text.splitlines())}


def subject_of(data: str, image: str, own: str) -> str:
    """The subject that decides a picture's split: its own, unless another set has the picture.

    >>> subject_of("aaf", "of-no-set.webp", "aaf-00000")
    'aaf-00000'
    """
    return same_faces().get((data, image), own)


def is_tested_elsewhere(subject: str) -> bool:
    """True for the subject of a picture that FG-NET has too."""
    return subject.startswith(f"{TESTED}/")


def without_tested(pictures: Iterator[tuple[Row, bytes]]) -> Iterator[tuple[Row, bytes]]:
    """The pictures of a data set without those that FG-NET has too."""
    return ((row, data) for row, data in pictures if not is_tested_elsewhere(row.subject))
