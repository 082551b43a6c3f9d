"""FaceReport → JSON, CSV rows and a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import TypedDict

from rich.table import Table
from rich.text import Text

from spiralage.files import printable
from spiralage.types import FaceReport, PhotoReport

LEVEL = 0.9
"""How much of the probability an interval holds."""


class FaceRecord(TypedDict):
    """One face in JSON; box in photo pixels (x, y, width, height), ages in years."""

    box: list[float]
    age: float
    std: float
    interval: list[float]
    hidden: float
    p_at_least: dict[str, float]


class PhotoRecord(TypedDict):
    """One photo in JSON."""

    image: str
    faces: list[FaceRecord]
    error: str | None


def face_record(report: FaceReport, at_least: Sequence[int] = ()) -> FaceRecord:
    """What JSON says of a face.

    Args:
        report: the face.
        at_least: ages in years for which P(age ≥ t) is wanted.
    """
    box = report.face.box
    return {
        "box": [round(value, 1) for value in (box.x, box.y, box.width, box.height)],
        "age": round(report.age.mean, 2),
        "std": round(report.age.std, 2),
        "interval": [round(end, 2) for end in report.age.interval(LEVEL)],
        "hidden": round(report.occlusion.fraction, 4),
        "p_at_least": {str(age): round(report.age.p_at_least(age), 4) for age in at_least},
    }


def photo_record(report: PhotoReport, at_least: Sequence[int] = ()) -> PhotoRecord:
    """What JSON says of a photo."""
    faces = [face_record(face, at_least) for face in report.faces]
    return {"image": report.image, "faces": faces, "error": report.error}


def to_json(records: Iterable[PhotoRecord]) -> str:
    """The records as a JSON list, in ASCII: file names need not be UTF-8."""
    return json.dumps(list(records), indent=2)


def to_csv(records: Iterable[PhotoRecord], at_least: Sequence[int] = ()) -> str:
    """One line per face; a photo without faces, or with an error, has one line without numbers."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = ["image", "face", "x", "y", "width", "height", "age", "std", "low", "high", "hidden"]
    writer.writerow([*columns, *(f"p_at_least_{age}" for age in at_least), "error"])
    for record in records:
        for number, face in enumerate(record["faces"], 1):
            numbers = [*face["box"], face["age"], face["std"], *face["interval"], face["hidden"]]
            writer.writerow([record["image"], number, *numbers, *face["p_at_least"].values(), ""])
        if not record["faces"]:
            empty = [""] * (len(columns) - 1 + len(at_least))
            writer.writerow([record["image"], *empty, record["error"] or "no face"])
    return buffer.getvalue()


def to_table(records: Iterable[PhotoRecord], at_least: Sequence[int] = ()) -> Table:
    """A table for the terminal."""
    table = Table("photo", "face", "age", "± std", f"{LEVEL:.0%} interval", "hidden")
    for age in at_least:
        table.add_column(f"P(≥ {age})")
    for record in records:
        name = Text(printable(record["image"]))  # never read as markup
        if not record["faces"]:
            table.add_row(name, "error" if record["error"] else "no face", *[""] * (4 + len(at_least)))
        for number, face in enumerate(record["faces"], 1):
            low, high = face["interval"]
            chances = (f"{p:.0%}" for p in face["p_at_least"].values())
            numbers = (f"{face['age']:.1f}", f"{face['std']:.1f}", f"{low:.0f}–{high:.0f}", f"{face['hidden']:.0%}")
            table.add_row(name, str(number), *numbers, *chances)
    return table
