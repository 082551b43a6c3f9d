"""A folder of your own pictures with a table of their ages.

The table is a CSV file in UTF-8, the only ``.csv`` directly in the folder, or the one that is given. Its
first line names the columns:

    image     path of the picture, relative to the table's folder and inside it      (required)
    age       whole years, 0 to 120                                                  (required)
    subject   who it shows; the image's own name if the column or the value is missing
    sex       male, female or nothing
    group     any text or nothing
    split     train, val, test, or nothing: then the hash of the subject decides

Pictures of one subject must be in one split. Links that lead out of the folder are not followed.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from spiralage.datasets.manifest import OLDEST, SPLITS, Row, Split, split_by_hash
from spiralage.errors import DatasetError

REQUIRED = ("image", "age")
COLUMNS = (*REQUIRED, "subject", "sex", "group", "split")
_Sex = Literal["male", "female"]


def read(path: Path) -> Iterator[tuple[Row, bytes]]:
    """Every picture of the table as (row, encoded bytes), sorted by image; all lines are checked first.

    Args:
        path: the folder, or its table.

    Raises:
        DatasetError: no table or several, a column or value that can't be understood, a picture that is
            missing, outside the folder or listed twice; with the table's name and the line's number.
    """
    table = _table(path)
    pictures = sorted(_pictures(table), key=lambda picture: picture.row.image)
    if not pictures:
        raise DatasetError(f"{table}: no pictures are listed; write one line per picture")
    for picture in pictures:
        try:
            data = picture.file.read_bytes()
        except OSError as error:
            raise DatasetError(f"{picture.file}: can't be read ({error.strerror}); check its permissions") from error
        yield picture.row, data


@dataclass(frozen=True)
class _Picture:
    row: Row
    file: Path


def _table(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.csv"))
    if not found:
        raise DatasetError(f"{path}: no .csv file in it; write one with the columns {', '.join(COLUMNS)}")
    if len(found) > 1:
        raise DatasetError(f"{path}: {', '.join(file.name for file in found)}: give the one that is meant as --data")
    return found[0]


def _pictures(table: Path) -> Iterator[_Picture]:
    """The lines of the table, checked one by one and against those before them."""
    files: dict[Path, str] = {}
    splits: dict[str, Split] = {}
    for where, record in _records(table):
        picture = _Picture(_row(record, where), _file(table.parent, record["image"], where))
        if picture.file in files:
            raise DatasetError(
                f"{where}: {record['image']} is listed twice, first in {files[picture.file]}; remove one"
            )
        files[picture.file] = where
        row = picture.row
        if splits.setdefault(row.subject, row.split) != row.split:
            raise DatasetError(f"{where}: {row.subject} is in {splits[row.subject]} and {row.split}; choose one split")
        yield picture


def _records(table: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """(file:line, column → value) of every line that isn't blank."""
    reader = csv.reader(io.StringIO(_read_text(table), newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(table, header)
        for cells in reader:
            where = f"{table}:{reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise DatasetError(f"{where}: {len(cells)} values for {len(header)} columns; mend this line")
            yield where, dict(zip(header, (cell.strip() for cell in cells), strict=True))
    except csv.Error as error:
        raise DatasetError(f"{table}:{reader.line_num}: not CSV ({error}); mend this line") from error


def _read_text(table: Path) -> str:
    try:
        return table.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{table}: can't be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{table}: not a text file in UTF-8; save it as CSV in UTF-8") from error


def _check_header(table: Path, header: list[str]) -> None:
    for name in header:
        if name not in COLUMNS:
            raise DatasetError(f"{table}:1: unknown column {name!r}; the columns are {', '.join(COLUMNS)}")
        if header.count(name) > 1:
            raise DatasetError(f"{table}:1: column {name} is there twice; remove one")
    for name in REQUIRED:
        if name not in header:
            raise DatasetError(f"{table}:1: no column {name}; the first line must name image and age")


def _row(record: dict[str, str], where: str) -> Row:
    image = record["image"]
    subject = record.get("subject") or image
    split = _split(record.get("split", ""), where) or split_by_hash(subject)
    sex = _sex(record.get("sex", ""), where)
    return Row(image, subject, _age(record["age"], where), sex, record.get("group") or None, split)


def _age(text: str, where: str) -> int:
    if re.fullmatch("[0-9]{1,3}", text) and int(text) <= OLDEST:
        return int(text)
    raise DatasetError(f"{where}: age {text!r} is not a whole number from 0 to {OLDEST}; mend it")


def _sex(text: str, where: str) -> _Sex | None:
    for sex in get_args(_Sex):
        if text == sex:
            found: _Sex = sex
            return found
    if text:
        raise DatasetError(f"{where}: sex {text!r} is neither male nor female; leave it empty if it isn't known")
    return None


def _split(text: str, where: str) -> Split | None:
    for split in SPLITS:
        if text == split:
            return split
    if text:
        raise DatasetError(f"{where}: split {text!r} is not one of {', '.join(SPLITS)}; or leave it empty")
    return None


def _file(folder: Path, image: str, where: str) -> Path:
    """The picture's file, with links followed."""
    if not image:
        raise DatasetError(f"{where}: no image is named; remove the line")
    try:
        file = (folder / image).resolve()
        there = file.is_file()
    except (OSError, ValueError, RuntimeError):  # a name too long, a NUL in it, links in a circle
        file, there = folder / image, False
    if not file.is_relative_to(folder.resolve()):
        raise DatasetError(f"{where}: {image} is not inside {folder}; copy it there")
    if not there:
        raise DatasetError(f"{where}: {image} is not there; mend the path or remove the line")
    return file
