"""FaceReport → CSV, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from spiralage.csv_lines import csv_line
from spiralage.files import GrowingFile
from spiralage.report.records import photo_record
from spiralage.text import file_bytes
from spiralage.types import FaceReport, PhotoReport

_POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
_MEASURES: tuple[Literal["eye_distance", "contrast", "sharpness", "yaw"], ...] = (
    "eye_distance",
    "contrast",
    "sharpness",
    "yaw",
)
_WHO: tuple[Literal["hidden_by", "restored_by", "restored_why"], ...] = ("hidden_by", "restored_by", "restored_why")

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
        self._columns = [
            *("image", "face", "x", "y", "width", "height", "age", "std", "low", "high", "hidden"),
            *(f"p_at_least_{age}" for age in at_least),
            *("error", "detector", "score", "turn"),
            *(f"{point}_{axis}" for point in _POINTS for axis in "xy"),
            *("calibrated", "cant_tell", *_MEASURES, *_WHO),
        ]
        self._file = GrowingFile(path)
        self._write({column: column for column in self._columns})

    def add(self, photo: PhotoReport) -> None:
        """Write the photo's lines."""
        image = safe_cell(photo.image)
        records = photo_record(photo, self._at_least)["faces"]
        for number, (record, face) in enumerate(zip(records, photo.faces, strict=True), 1):
            box = dict(zip(("x", "y", "width", "height"), record["box"], strict=True))
            low, high = record["interval"] or (None, None)
            chances = {f"p_at_least_{age}": chance for age, chance in record["p_at_least"].items()}
            same = {key: record[key] for key in ("age", "std", "hidden", "detector", "score", "turn", "cant_tell")}
            who: dict[str, object] = {key: safe_cell(record[key]) for key in _WHO}  # a user's network may have any name
            quality = record["quality"]
            measures: dict[str, object] = {} if quality is None else {key: quality[key] for key in _MEASURES}
            self._write(
                {"image": image, "face": number, **box, **same, "low": low, "high": high, **chances, **_five(face)}
                | {"calibrated": int(record["calibrated"]), **measures, **who}
            )
        if not photo.faces:
            self._write({"image": image, "error": safe_cell(photo.error or "no face")})

    def close(self) -> None:
        """Close the file; all lines are there already."""
        self._file.close()

    def _write(self, row: Mapping[str, object]) -> None:
        self._file.write(file_bytes(csv_line(row.get(column) for column in self._columns)))


def safe_cell(text: str) -> str:
    """A text that a spreadsheet takes for a text: an apostrophe is put before what would start a formula.

    So that nothing is lost, it is put before an apostrophe too: a cell that starts with one is read without it.

    >>> [safe_cell(text) for text in ("=1+1.jpg", "'s.jpg", "a=b.jpg")]
    ["'=1+1.jpg", "''s.jpg", 'a=b.jpg']
    """
    return f"'{text}" if text.startswith((*_FORMULA_STARTS, "'")) else text


def _five(report: FaceReport) -> dict[str, float]:
    if report.face.landmarks is None:
        return {}
    values = report.face.landmarks.five().ravel().round(1).tolist()
    return dict(zip((f"{point}_{axis}" for point in _POINTS for axis in "xy"), values, strict=True))
