"""IMDB-WIKI (Rothe, Timofte, Van Gool 2015): celebrities' faces with the age worked out from two dates.

``imdb_crop.tar`` and ``wiki_crop.tar`` or their unpacked folders: pictures in ``imdb_crop/00/…jpg`` and
a table ``imdb_crop/imdb.mat`` (``wiki_crop/wiki.mat``), Matlab v5, with one struct ``imdb`` (``wiki``):

    dob                 date of birth, Matlab's day number: day 1 is 1 January of year 0
    photo_taken         year
    full_path           cell of text, relative to the table's folder
    gender              1 male, 0 female, NaN unknown
    name                cell of text
    face_score          of the detector, −Inf if it found no face and the whole picture was kept
    second_face_score   NaN if there is no second face

(``face_location``, ``celeb_names`` and ``celeb_id`` are not needed.) The age is the number of whole years
from the birth to the middle of the year of the photo, 1 July, as the authors assume. The *subject* is the
celebrity's name; a picture without a name is its own subject.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from spiralage.datasets.archives import Archive, base_name, opened
from spiralage.datasets.manifest import Row, split_by_hash
from spiralage.datasets.mat_reader import NUMBERS
from spiralage.datasets.mat_tables import Columns, read_columns
from spiralage.errors import DatasetError

Part: TypeAlias = Literal["imdb", "wiki"]

ARCHIVES: dict[Part, str] = {"imdb": "imdb_crop.tar", "wiki": "wiki_crop.tar"}
_LARGEST_TABLE = 2**30
_MATLAB_DAYS = 366  # Matlab's day 367 is Python's day 1, 1 January of year 1; Matlab counts a year 0


@dataclass(frozen=True)
class Filters:
    """Which rows of the table are kept.

    Args:
        face_score: the detector's score must be above this; no face (−Inf) never is.
        second_face: also keep pictures in which a second face was found.
        youngest, oldest: the age must be in this range, both ends included, in years.
    """

    face_score: float = 1.0
    second_face: bool = False
    youngest: int = 0
    oldest: int = 100


@dataclass(frozen=True)
class Counts:
    """What became of a table's rows; a row counts for the first filter that drops it, in this order."""

    listed: int
    kept: int
    bad_date: int
    low_score: int
    second_face: int
    bad_age: int

    def __str__(self) -> str:
        return (
            f"{self.kept} of {self.listed} pictures kept; left out: {self.bad_date} without a valid date, "
            f"{self.low_score} without a clear face, {self.second_face} with a second face, "
            f"{self.bad_age} with an age out of range"
        )


def read(
    path: Path,
    part: Part,
    *,
    filters: Filters | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Iterator[tuple[Row, bytes]]:
    """Every picture of the tar or folder that the filters keep, as (row, encoded bytes), sorted by name.

    Args:
        path: the tar or folder.
        part: which of the two sets it is.
        filters: what is kept; the defaults of ``Filters`` if None.
        tell: told in one line how many rows each filter dropped.

    Raises:
        DatasetError: no archive, no table, a table of another form, or pictures of it are missing.
        MissingExtraError: scipy isn't installed.
    """
    with opened(path) as archive:
        table = _table_name(archive, part)
        rows, counts = kept_rows(_read_table(archive, table, part), filters or Filters())
        tell(f"{part}: {counts}")
        folder = table.removesuffix(f"{part}.mat")
        _check_pictures(archive, table, [folder + row.image for row in rows])
        for row in rows:
            yield row, archive.read(folder + row.image)


@dataclass(frozen=True)
class Table:
    """The columns of a ``.mat`` file, each with one value per picture."""

    dob: npt.NDArray[np.float64]
    photo_taken: npt.NDArray[np.float64]
    gender: npt.NDArray[np.float64]
    face_score: npt.NDArray[np.float64]
    second_face_score: npt.NDArray[np.float64]
    full_path: list[str]
    name: list[str]


def kept_rows(table: Table, filters: Filters) -> tuple[list[Row], Counts]:
    """The manifest rows that the filters keep, sorted by image, and how many each filter dropped."""
    rows: list[Row] = []
    bad_date = low_score = second_face = bad_age = 0
    for index, image in enumerate(table.full_path):
        age = age_in_photo(float(table.dob[index]), float(table.photo_taken[index]))
        if age is None:
            bad_date += 1
        elif not table.face_score[index] > filters.face_score:  # NaN is not above anything
            low_score += 1
        elif not (filters.second_face or math.isnan(table.second_face_score[index])):
            second_face += 1
        elif not filters.youngest <= age <= filters.oldest:
            bad_age += 1
        else:
            subject = table.name[index].strip() or image
            rows.append(Row(image, subject, age, _sex(table.gender[index]), None, split_by_hash(subject)))
    counts = Counts(len(table.full_path), len(rows), bad_date, low_score, second_face, bad_age)
    return sorted(rows, key=lambda row: row.image), counts


def age_in_photo(day: float, year: float) -> int | None:
    """Whole years from Matlab's day number to 1 July of a year; None if the two are no dates.

    >>> age_in_photo(723669, 2009)  # born on 3 May 1981
    28
    >>> age_in_photo(723728, 2009), age_in_photo(723729, 2009)  # on 1 July and on 2 July 1981
    (28, 27)
    >>> age_in_photo(0, 2009) is None
    True
    """
    if not (math.isfinite(day) and math.isfinite(year) and date.min.year <= year <= date.max.year):
        return None
    ordinal = math.floor(day) - _MATLAB_DAYS  # the part after the point is the time of day
    if not date.min.toordinal() <= ordinal <= date.max.toordinal():
        return None
    birth = date.fromordinal(ordinal)
    return int(year) - birth.year - ((birth.month, birth.day) > (7, 1))


def _sex(gender: float) -> Literal["male", "female"] | None:
    if gender == 1:
        return "male"
    return "female" if gender == 0 else None


_FIELDS = tuple(field.name for field in fields(Table))


def _table_name(archive: Archive, part: Part) -> str:
    """The table's name in the archive: of several the one that lies highest."""
    found = [name for name in archive.sizes if base_name(name) == f"{part}.mat"]
    if not found:
        raise DatasetError(f"{archive.path}: no {part}.mat in it; give {ARCHIVES[part]} or its folder")
    return min(found, key=lambda name: (name.count("/"), name))


def _read_table(archive: Archive, name: str, part: Part) -> Table:
    data = archive.read(name, _LARGEST_TABLE)
    try:
        return _as_table(read_columns(data, part))
    except ValueError as error:
        raise DatasetError(
            f"{archive.path}: {name} is not a table of IMDB-WIKI ({error}); it needs a struct {part} "
            f"with {', '.join(_FIELDS)}; fetch it again"
        ) from error


def _as_table(columns: Columns) -> Table:
    if len({len(column) for column in columns.values()}) != 1:
        raise ValueError("its columns differ in length")
    numbers = {name: columns[name] for name in NUMBERS}
    return Table(**numbers, full_path=columns["full_path"].tolist(), name=columns["name"].tolist())


def _check_pictures(archive: Archive, table: str, names: list[str]) -> None:
    missing = [name for name in names if name not in archive.sizes]
    if missing:
        raise DatasetError(
            f"{archive.path}: {len(missing)} of the {len(names)} pictures that {table} lists are missing, "
            f"the first is {missing[0]}; fetch it again"
        )
    if not names:
        raise DatasetError(f"{archive.path}: no row of {table} passes the filters; fetch it again")
