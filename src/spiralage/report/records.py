"""FaceReport → JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from typing_extensions import TypedDict  # FastAPI asks for this one before Python 3.12

from spiralage.types import FaceReport, PhotoReport, Quality

LEVEL = 0.9
"""How much of the probability an interval holds."""


class QualityRecord(TypedDict):
    """How well a face can be seen, in JSON; see ``types.Quality``."""

    eye_distance: float
    contrast: float | None
    sharpness: float | None
    yaw: float | None


class FaceRecord(TypedDict):
    """One face in JSON; box (x, y, width, height) and landmarks (x, y) in photo pixels, ages in years.

    The landmarks are the 68 or five points as they were found, or null where nothing marked the face. Scores differ
    between detectors. Hidden is a part of the crop; hidden_by, restored_by and restored_why are those of the occlusion
    and the restoration (see ``types``). The turn tells by how many degrees the photo was turned clockwise to find the
    face; box and landmarks are in the photo as it was given. Where ``cant_tell`` says why no age can be told, there is
    none. ``calibrated`` tells whether interval and P(age ≥ t) are held against known faces, or the network's own.
    """

    box: list[float]
    detector: str
    score: float
    turn: int
    age: float | None
    std: float | None
    interval: list[float] | None
    calibrated: bool
    hidden: float
    hidden_by: str
    restored_by: str
    restored_why: str
    p_at_least: dict[str, float | None]
    cant_tell: str | None
    quality: QualityRecord | None
    landmarks: list[list[float]] | None


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
    box, landmarks, age, known = report.face.box, report.face.landmarks, report.age, report.cant_tell is None
    return {
        "box": [round(value, 1) for value in (box.x, box.y, box.width, box.height)],
        "detector": report.face.detector,
        "score": round(report.face.score, 4),
        "turn": report.face.turn,
        "age": round(age.mean, 2) if known else None,
        "std": round(age.std, 2) if known else None,
        "interval": [round(end, 2) for end in age.interval(LEVEL)] if known else None,
        "calibrated": age.calibrated is not None,
        "hidden": round(report.occlusion.fraction, 4),
        "hidden_by": report.occlusion.kind,
        "restored_by": report.restoration.restorer,
        "restored_why": report.restoration.reason,
        "p_at_least": {str(year): round(age.p_at_least(year), 4) if known else None for year in at_least},
        "cant_tell": report.cant_tell,
        "quality": None if report.quality is None else _quality(report.quality),
        "landmarks": None if landmarks is None else [[round(x, 1), round(y, 1)] for x, y in landmarks.points.tolist()],
    }


def _quality(quality: Quality) -> QualityRecord:
    return {
        "eye_distance": round(quality.eye_distance, 1),
        "contrast": None if quality.contrast is None else round(quality.contrast, 1),
        "sharpness": None if quality.sharpness is None else round(quality.sharpness, 4),
        "yaw": None if quality.yaw is None else round(quality.yaw, 1),
    }


def photo_record(report: PhotoReport, at_least: Sequence[int] = ()) -> PhotoRecord:
    """What JSON says of a photo."""
    faces = [face_record(face, at_least) for face in report.faces]
    return {"image": report.image, "faces": faces, "error": report.error}


class JsonList:
    """The records of photos as a JSON list that grows, in ASCII: file names need not be UTF-8.

    >>> photos = JsonList(lambda text: print(text, end=""))
    >>> photos.add(PhotoReport("a.jpg", error="a.jpg: no such file; check the path"))
    [
      {
        "image": "a.jpg",
        "faces": [],
        "error": "a.jpg: no such file; check the path"
      }
    >>> photos.close()
    <BLANKLINE>
    ]

    Args:
        write: takes pieces of text.
        at_least: ages in years for which P(age ≥ t) is wanted.
    """

    def __init__(self, write: Callable[[str], None], at_least: Sequence[int] = ()) -> None:
        self._write = write
        self._at_least = at_least
        self._before = "[\n"

    def add(self, photo: PhotoReport) -> None:
        """Write the photo's record."""
        before, self._before = self._before, ",\n"
        self._write(before + textwrap.indent(pretty(photo_record(photo, self._at_least)), "  "))

    def close(self) -> None:
        """Write the end of the list."""
        self._write("[]\n" if self._before.startswith("[") else "\n]\n")


def pretty(value: Any) -> str:
    """JSON for people: an object's keys on a line each, lists of numbers on one line.

    >>> print(pretty({"box": [1, 2], "faces": [{"age": 3}]}))
    {
      "box": [1, 2],
      "faces": [
        {
          "age": 3
        }
      ]
    }
    """
    if isinstance(value, dict) and value:
        lines = [f"{json.dumps(key)}: {pretty(inner)}" for key, inner in value.items()]
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        lines = [pretty(inner) for inner in value]
    else:
        return json.dumps(value)
    first, last = "{}" if isinstance(value, dict) else "[]"
    return f"{first}\n{textwrap.indent(f',{chr(10)}'.join(lines), '  ')}\n{last}"
