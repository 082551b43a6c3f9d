"""FaceReport → CSV, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from spiralage.csv_lines import csv_line
from spiralage.files import GrowingFile
from spiralage.report.rows import TEXTS, Cell, columns, photo_rows
from spiralage.text import file_bytes
from spiralage.types import PhotoReport

# A spreadsheet takes a text that starts so for a formula; the full-width signs count too.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class CsvFile:
    """A CSV file: one line per face; a photo without faces, or with an error, has one line without numbers.

    UTF-8, but a file name's bytes stay as they are. Of the landmarks it has the five points; JSON has all. Texts
    that a spreadsheet would take for formulas are marked, see ``safe_cell``. A face whose age can't be told has a line
    that says why, without an age.

    Args:
        path: the file to write.
        at_least: ages in years for which P(age ≥ t) is wanted.

    Raises:
        OutputError: the file can't be written.
    """

    def __init__(self, path: Path, at_least: Sequence[int] = ()) -> None:
        self._at_least = at_least
        self._columns = columns(at_least)
        self._file = GrowingFile(path)
        self._file.write(file_bytes(csv_line(self._columns)))

    def add(self, photo: PhotoReport) -> None:
        """Write the photo's lines."""
        for row in photo_rows(photo, self._at_least):
            self._file.write(csv_row(row, self._columns))

    def close(self) -> None:
        """Close the file; all lines are there already."""
        self._file.close()


def csv_row(row: Mapping[str, Cell], names: Iterable[str]) -> bytes:
    """A row as a line of the file, safe for spreadsheets."""
    cells = {name: safe_cell(cell) if name in TEXTS and isinstance(cell, str) else cell for name, cell in row.items()}
    return file_bytes(csv_line(cells.get(name) for name in names))


def safe_cell(text: str) -> str:
    """A text that a spreadsheet takes for a text: an apostrophe is put before what would start a formula.

    So that nothing is lost, it is put before an apostrophe too: a cell that starts with one is read without it.

    >>> [safe_cell(text) for text in ("=1+1.jpg", "'s.jpg", "a=b.jpg")]
    ["'=1+1.jpg", "''s.jpg", 'a=b.jpg']
    """
    return f"'{text}" if text.startswith((*_FORMULA_STARTS, "'")) else text
