"""FaceReport → one self-contained HTML page: no script, no outside request."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
from PIL import Image

from spiralage.files import GrowingFile
from spiralage.image_io import resized
from spiralage.report.records import LEVEL
from spiralage.text import printable
from spiralage.types import AgeEstimate, FaceReport, Photo, PhotoReport, Pixels

LONGEST = 640  # pixels of a photo on the page


@dataclass(frozen=True)
class Picture:
    """A captioned picture on the page; ``uri`` is a data URI."""

    caption: str
    uri: str


@dataclass(frozen=True)
class Card:
    """One face on the page."""

    title: str
    text: str
    pictures: Sequence[Picture]
    bars: Sequence[float]
    low: float
    high: float


@dataclass(frozen=True)
class Section:
    """One photo on the page: an overview and a card per face."""

    title: str
    note: str
    overview: Picture | None
    cards: Sequence[Card]


_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("spiralage.report", "."), autoescape=True, undefined=jinja2.StrictUndefined
)


class PageFile:
    """An HTML file that grows by a section for every photo; every text in it is escaped.

    Args:
        path: the file to write.
        title: of the page.

    Raises:
        OutputError: the file can't be written.
    """

    def __init__(self, path: Path, title: str) -> None:
        self._parts = _parts()
        self._file = GrowingFile(path)
        self._write(self._parts.head(title))

    def add(self, photo: PhotoReport) -> None:
        """Write the photo's section."""
        self.add_section(photo_section(photo))

    def add_section(self, section: Section) -> None:
        """Write a section."""
        self._write(self._parts.photo(section))

    def close(self) -> None:
        """Write the end of the page."""
        self._write(self._parts.foot())
        self._file.close()

    def _write(self, html: str) -> None:
        self._file.write(html.encode())


def _parts() -> Any:
    """The template's macros."""
    return _environment.get_template("page.html.j2", globals={"level": LEVEL}).module


def page_html(title: str, photos: Iterable[PhotoReport]) -> str:
    """The whole page in memory, for who can't or mustn't write a file."""
    parts = _parts()
    return "".join([parts.head(title), *(parts.photo(photo_section(photo)) for photo in photos), parts.foot()])


def photo_section(report: PhotoReport) -> Section:
    """What the page shows of one photo."""
    note = printable(report.error or "") or ("" if report.faces else "no face found")
    overview = None if report.photo is None else picture("photo", overview_pixels(report.photo, report.faces))
    cards = [face_card(f"face {number}", face) for number, face in enumerate(report.faces, 1)]
    return Section(printable(report.image), note, overview, cards)


def face_card(title: str, report: FaceReport) -> Card:
    """What the page shows of one face: the steps, and the distribution of its age."""
    steps = [picture("aligned", report.aligned.pixels)]
    if report.occlusion.fraction > 0:
        steps.append(picture(f"hidden: {report.occlusion.fraction:.0%}", report.occlusion.cover(report.aligned.pixels)))
    if report.restoration.restorer != "none":
        why = f" ({report.restoration.reason})" if report.restoration.reason else ""
        steps.append(picture(f"restored: {report.restoration.restorer}{why}", report.restoration.pixels))
    low, high = report.age.interval(LEVEL)
    turned = f"; found in the photo turned by {report.face.turn}°" if report.face.turn else ""
    if report.cant_tell is not None:
        return Card(title, f"can't tell the age: {report.cant_tell}{turned}", steps, [], low, high)
    return Card(title, age_text(report.age) + turned, steps, bars(report.age), low, high)


def age_text(age: AgeEstimate) -> str:
    """The estimate in words.

    >>> age_text(AgeEstimate(np.eye(101, dtype=np.float32)[30]))
    '30.0 years ± 0.0, 90% between 29.6 and 30.4 (not calibrated)'
    """
    low, high = age.interval(LEVEL)
    how = "" if age.calibrated is not None else " (not calibrated)"
    return f"{age.mean:.1f} years ± {age.std:.1f}, {LEVEL:.0%} between {low:.1f} and {high:.1f}{how}"


def bars(age: AgeEstimate) -> list[float]:
    """The distribution scaled so that its peak is 1."""
    return [float(p) for p in age.probabilities / age.probabilities.max()]


def overview_pixels(photo: Photo, faces: Sequence[FaceReport]) -> Pixels:
    """The photo, at most ``LONGEST`` pixels a side, with every face's box drawn on it."""
    scale = min(1.0, LONGEST / max(photo.size))
    canvas = np.array(resized(photo.pixels, scale), order="C")  # a copy: it is drawn on
    for number, report in enumerate(faces, 1):
        box = report.face.box
        first = round(box.x * scale), round(box.y * scale)
        second = round((box.x + box.width) * scale), round((box.y + box.height) * scale)
        cv2.rectangle(canvas, first, second, (255, 210, 0), 2)
        cv2.putText(canvas, str(number), (first[0] + 3, first[1] + 18), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 210, 0), 2)
    return canvas


def picture(caption: str, pixels: Pixels) -> Picture:
    """A picture as a JPEG data URI."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=88)
    return Picture(caption, "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode())
