"""PhotoReport → rows of a table: what CSV, JSON Lines and Parquet have alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from spiralage.report.records import photo_record
from spiralage.types import FaceReport, PhotoReport

_POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
_MEASURES: tuple[Literal["eye_distance", "contrast", "sharpness", "yaw"], ...] = (
    "eye_distance",
    "contrast",
    "sharpness",
    "yaw",
)
_WHO: tuple[Literal["hidden_by", "restored_by", "restored_why"], ...] = ("hidden_by", "restored_by", "restored_why")
TEXTS = frozenset({"image", "error", "detector", "cant_tell", *_WHO})
"""Columns of text."""
INTEGERS = frozenset({"face", "turn", "calibrated"})
"""Columns of whole numbers; all others but ``TEXTS`` are floats."""

Cell: TypeAlias = str | int | float | None
Row: TypeAlias = dict[str, Cell]
"""Cells by column; a column that is missing is empty."""


def columns(at_least: Sequence[int] = ()) -> list[str]:
    """The columns, in order; ages and P(age ≥ t) as ``records.FaceRecord`` tells them.

    >>> columns([18])[6:13]
    ['age', 'std', 'low', 'high', 'hidden', 'p_at_least_18', 'error']
    """
    return [
        *("image", "face", "x", "y", "width", "height", "age", "std", "low", "high", "hidden"),
        *(f"p_at_least_{age}" for age in at_least),
        *("error", "detector", "score", "turn"),
        *(f"{point}_{axis}" for point in _POINTS for axis in "xy"),
        *("calibrated", "cant_tell", *_MEASURES, *_WHO),
    ]


def photo_rows(photo: PhotoReport, at_least: Sequence[int] = ()) -> list[Row]:
    """A row per face; of a photo without faces, or with an error, one row without numbers.

    Args:
        photo: the answer for a photo.
        at_least: ages in years for which P(age ≥ t) is wanted.

    >>> photo_rows(PhotoReport("sea.jpg"))
    [{'image': 'sea.jpg', 'error': 'no face'}]
    """
    rows: list[Row] = []
    records = photo_record(photo, at_least)["faces"]
    for number, (record, face) in enumerate(zip(records, photo.faces, strict=True), 1):
        row: Row = {"image": photo.image, "face": number}
        row |= dict(zip(("x", "y", "width", "height"), record["box"], strict=True))
        row |= {key: record[key] for key in ("age", "std", "hidden", "detector", "score", "turn", "cant_tell")}
        row["low"], row["high"] = record["interval"] or (None, None)
        row |= {f"p_at_least_{age}": chance for age, chance in record["p_at_least"].items()}
        row |= _five(face)
        row["calibrated"] = int(record["calibrated"])
        quality = record["quality"]
        row |= {} if quality is None else {key: quality[key] for key in _MEASURES}
        row |= {key: record[key] for key in _WHO}
        rows.append(row)
    return rows or [{"image": photo.image, "error": photo.error or "no face"}]


def _five(report: FaceReport) -> Row:
    if report.face.landmarks is None:
        return {}
    values = report.face.landmarks.five().ravel().round(1).tolist()
    return dict(zip((f"{point}_{axis}" for point in _POINTS for axis in "xy"), values, strict=True))
