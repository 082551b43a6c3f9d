"""CLAP2016, ChaLearn Looking at People 2016: apparent ages, the mean of what some forty people guessed.

A folder (or a zip or tar of it) with one list per part and the pictures in a folder of the part's name:

    train_gt.csv   valid_gt.csv   test_gt.csv
    train/000000.jpg …  valid/…  test/…

A line of a list is ``image,mean`` or ``image,mean,stdv``: ``000000.jpg,23.5,3.4``. What is met in the
wild is read too: ";" between the values, ``val`` for ``valid``, pictures beside their list, and lists
with a header. That makes ``gt_avg_train.csv`` of APPA-REAL, the same lists' successor, readable as well
(columns ``file_name``, ``apparent_age_avg``). A part without a list is not there; one list must be.

The age is the mean rounded to whole years, halves up. There are no identities: each picture is its own
subject. The split is the official one.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spiralage.datasets.archives import Archive, base_name, opened
from spiralage.datasets.manifest import Row, Split
from spiralage.errors import DatasetError

ARCHIVES = ("CLAP2016.zip", "CLAP2016.tar")
FOLDERS: dict[Split, tuple[str, ...]] = {"train": ("train",), "val": ("valid", "val"), "test": ("test",)}
OLDEST = 100
_IMAGE_COLUMNS = ("image", "file_name")
_MEAN_COLUMNS = ("mean", "apparent_age_avg")


def list_names(split: Split) -> tuple[str, ...]:
    """What a part's list may be called.

    >>> list_names("train")
    ('train_gt.csv', 'gt_avg_train.csv')
    """
    return tuple(name for part in FOLDERS[split] for name in (f"{part}_gt.csv", f"gt_avg_{part}.csv"))


def read(path: Path) -> Iterator[tuple[Row, bytes]]:
    """Every listed picture as (row, encoded bytes), sorted by name; ``Row.image`` is its path by the list.

    Raises:
        DatasetError: no archive or folder, no list or two of a part, a line that can't be understood,
            a picture that is listed twice or is missing.
    """
    with opened(path) as archive:
        found = {split: name for split in FOLDERS if (name := _list_of(archive, split))}
        if not found:
            raise DatasetError(f"{path}: no list of ages in it; CLAP2016 has {', '.join(map(_first_name, FOLDERS))}")
        pictures = [picture for split, name in found.items() for picture in _listed(archive, split, name)]
        _check_once(path, pictures)
        for picture in sorted(pictures, key=lambda picture: picture.row.image):
            yield picture.row, archive.read(picture.name)


@dataclass(frozen=True)
class _Picture:
    """A line of a list: the row it makes and the picture's name in the archive."""

    row: Row
    name: str


def _first_name(split: Split) -> str:
    return list_names(split)[0]


def _list_of(archive: Archive, split: Split) -> str | None:
    found = [name for name in archive.sizes if base_name(name) in list_names(split)]
    if len(found) > 1:
        raise DatasetError(f"{archive.path}: {' and '.join(found)} both list {split}; remove all but one")
    return found[0] if found else None


def _listed(archive: Archive, split: Split, name: str) -> list[_Picture]:
    """The pictures of a list, each checked to be there."""
    folder = name.removesuffix(base_name(name))
    pictures, missing = [], []
    for image, age in _lines(archive, name):
        places = [f"{part}/{image}" for part in FOLDERS[split]] + [image]
        place = next((place for place in places if folder + place in archive.sizes), None)
        if place is None:
            missing.append(image)
        else:
            image_name = folder + place
            pictures.append(_Picture(Row(image_name, image_name, age, None, None, split), image_name))
    if missing:
        raise DatasetError(
            f"{archive.path}: {len(missing)} of the pictures that {name} lists are missing, the first is "
            f"{missing[0]}; unpack them into {folder}{FOLDERS[split][0]}"
        )
    return pictures


def _check_once(path: Path, pictures: list[_Picture]) -> None:
    seen: set[str] = set()
    for picture in pictures:
        if picture.name in seen:
            raise DatasetError(f"{path}: {picture.name} is listed twice; remove one of the lines")
        seen.add(picture.name)


def _lines(archive: Archive, name: str) -> Iterator[tuple[str, int]]:
    """A list's (image, age); blank lines are passed over."""
    where = f"{archive.path}: {name}"
    try:
        lines = archive.read(name).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DatasetError(f"{where}: not a text file in UTF-8; fetch it again") from error
    columns = (0, 1)
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in next(csv.reader([line.replace(";", ",")]), [])]
        if not any(cells):
            continue
        header = _header(cells) if number == 1 else None
        if header is not None:
            columns = header
            continue
        if len(cells) <= max(columns):
            raise DatasetError(f"{where}:{number}: {line!r} is not image,mean[,stdv]; mend this line")
        yield cells[columns[0]], _age(cells[columns[1]], f"{where}:{number}")


def _header(cells: list[str]) -> tuple[int, int] | None:
    """The columns of the image and of the mean, if these cells are a header."""
    image = next((cells.index(column) for column in _IMAGE_COLUMNS if column in cells), None)
    mean = next((cells.index(column) for column in _MEAN_COLUMNS if column in cells), None)
    return None if image is None or mean is None else (image, mean)


def _age(text: str, where: str) -> int:
    try:
        mean = float(text)
    except ValueError:
        mean = math.nan
    if not 0 <= mean <= OLDEST:
        raise DatasetError(f"{where}: {text!r} is not an age from 0 to {OLDEST}; mend this line")
    return math.floor(mean + 0.5)
