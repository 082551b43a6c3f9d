"""What is found on real photos, to be judged by eye: sheets of faces, and a table in which to count.

Nothing says what hides a face in a photo from somewhere. So a person looks at every face once and fills in a table;
what is counted goes into the results, no picture does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from spiralage.age.quality import LIMITS, measure
from spiralage.datasets.archives import opened
from spiralage.errors import DatasetError, InputError, PhotoError
from spiralage.evaluation.results import CountedFace, read_rows, write_rows
from spiralage.faces.find import FaceFinder
from spiralage.files import write_text
from spiralage.image_io import load_photo
from spiralage.image_io.writing import save_picture
from spiralage.occlusion.find import FindOcclusion
from spiralage.types import Occlusion, Pixels

SIDE, LABEL = 160, 18
"""Of a picture, and height of its caption, pixels."""
ACROSS, DOWN = 6, 8
"""Faces in a sheet."""
MOST_FACES = 50
"""Of one photo."""
ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
COUNTS = "counts.csv"


@dataclass(frozen=True)
class _Cell:
    label: str
    picture: Pixels
    found: Pixels


def look_at_photos(
    photos: Path, folder: Path, finder: FaceFinder, find_occlusion: FindOcclusion
) -> Iterator[tuple[int, int]]:
    """Write ``sheet-00.png``, … and ``counts.csv``: every face of every photo, and what is found on it, in red.

    Args:
        photos: a folder, zip or tar with pictures.
        folder: where the sheets go, outside any repository.
        finder: finds the faces.
        find_occlusion: finds what hides them.

    Yields:
        (photos done, photos in all).

    Raises:
        DatasetError: no pictures there.
        OutputError: the folder can't be written.
    """
    rows: list[CountedFace] = []
    waiting: list[_Cell] = []
    sheets = 0
    with opened(photos) as archive:
        names = archive.named(*ENDINGS)
        if not names:
            raise DatasetError(f"{photos}: no pictures in it; give a folder or an archive of photos")
        for done, name in enumerate(names, 1):
            for cell, row in _faces_of(name, archive.read(name), done, finder, find_occlusion):
                waiting.append(cell)
                rows.append(row)
            while len(waiting) >= ACROSS * DOWN or (done == len(names) and waiting):
                save_picture(folder / f"sheet-{sheets:02}.png", _sheet(waiting[: ACROSS * DOWN]))
                waiting, sheets = waiting[ACROSS * DOWN :], sheets + 1
            yield done, len(names)
    write_rows(folder / COUNTS, CountedFace, rows)


def _faces_of(
    name: str, data: bytes, number: int, finder: FaceFinder, find_occlusion: FindOcclusion
) -> Iterator[tuple[_Cell, CountedFace]]:
    try:
        photo = load_photo(data, name=name)
    except PhotoError:
        yield _Cell(f"{number} can't be read", _blank(), _blank()), CountedFace(photo=name, number=number)
        return
    faces = finder.find(photo, most=MOST_FACES)
    if not faces:
        small = _framed(photo.pixels)
        yield _Cell(f"{number} no face", small, small), CountedFace(photo=name, number=number)
    for index, face in enumerate(faces, 1):
        occlusion = find_occlusion(face.aligned)
        cell = _Cell(f"{number}.{index} {occlusion.fraction:.0%}", *_pair(face.aligned.pixels, occlusion))
        size = measure(face.face, face.aligned, occlusion, LIMITS["any"]).eye_distance
        yield (
            cell,
            CountedFace(photo=name, number=number, face=index, hidden=occlusion.fraction, eye_distance=round(size, 1)),
        )


def _pair(pixels: Pixels, occlusion: Occlusion) -> tuple[Pixels, Pixels]:
    """The crop, and the crop with what is hidden in red."""
    tinted = pixels.astype(np.float32) * 0.5 + np.array([127.0, 0, 0], np.float32)
    shown = np.where(occlusion.mask[..., None], tinted.astype(np.uint8), pixels)
    return _framed(pixels), _framed(shown)


def _framed(pixels: Pixels) -> Pixels:
    """A picture shrunk into a square, (160, 160, 3)."""
    scale = SIDE / max(pixels.shape[:2])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    square = _blank()
    square[: size[1], : size[0]] = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return square


def _blank() -> Pixels:
    return np.full((SIDE, SIDE, 3), 255, np.uint8)


def _sheet(cells: Sequence[_Cell]) -> Pixels:
    sheet = np.full((DOWN * (SIDE + LABEL), ACROSS * 2 * SIDE, 3), 255, np.uint8)
    for index, cell in enumerate(cells):
        y, x = (index // ACROSS) * (SIDE + LABEL), (index % ACROSS) * 2 * SIDE
        cv2.putText(sheet, cell.label, (x + 2, y + 13), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (20, 20, 20), 1, cv2.LINE_AA)
        sheet[y + LABEL : y + LABEL + SIDE, x : x + SIDE] = cell.picture
        sheet[y + LABEL : y + LABEL + SIDE, x + SIDE : x + 2 * SIDE] = cell.found
    return sheet


HEAD = """# Real people in real masks, looked at one by one

Written by `spiralage evaluate real-masks-table` from `real-masks.csv`: what was judged by eye, face by face, on the
sheets of `spiralage evaluate real-masks`. No picture is kept. A find counts as one where more than half of the thing is
found; an outline is right where it holds all of it but small parts, and little else. *Large* faces have at least
{large:g} pixels of the photo between the eyes, *tiny* ones fewer than {tiny:g}: on them little can be seen at all.

{titles}
{ruler}
"""
HIDDEN = 0.05
"""More of the crop is hidden than this, and the face doesn't pass for wholly visible."""
LARGE, TINY = 24.0, 12.0
"""Pixels between the eyes."""


def counted_page(counts: Path) -> str:
    """What was counted, for readers: all faces, and those of a size.

    Args:
        counts: the table, filled in: for every face that was found is_face, covered (something is in front of it),
            found (that was found), outline_right and false_find (something else was found), each 0 or 1; and
            faces_missed, for a photo's first line, the faces that were not found.

    Raises:
        InputError: no such table, or a line isn't filled in.
    """
    rows = read_rows(counts, CountedFace)
    faces = [row for row in rows if row.face]
    for row in faces:
        if None in (row.is_face, row.covered, row.found, row.outline_right, row.false_find):
            raise InputError(f"{counts}: photo {row.number}, face {row.face} isn't filled in; look at it first")
    groups = {
        "all": faces,
        "large": [row for row in faces if (row.eye_distance or 0) >= LARGE],
        "between": [row for row in faces if TINY <= (row.eye_distance or 0) < LARGE],
        "tiny": [row for row in faces if (row.eye_distance or 0) < TINY],
    }
    missed = sum(row.faces_missed or 0 for row in rows)
    found, places = sum(row.is_face or 0 for row in faces), len(faces)
    body = {
        "photos": [str(len({row.number for row in rows}))],
        "faces found, of those that can be seen": [_of(found, found + missed)],
        "found where no face is": [_of(places - found, places)],
    } | {name: [count_of(chosen, name) for chosen in groups.values()] for name in COUNTED}
    titles = ["", *groups]
    lines = [[what, *cells, *[""] * (len(groups) - len(cells))] for what, cells in body.items()]
    head = HEAD.format(large=LARGE, tiny=TINY, titles=_line(titles), ruler=_line(["---", *["---:"] * len(groups)]))
    return head + "".join(f"{_line(line)}\n" for line in lines)


COUNTED = (
    "something in front of the face: more than 5 % hidden, says the program",
    "something in front of the face, found",
    "its outline right",
    "something else found, too",
    "something found on faces with nothing in front",
)


def count_of(faces: Sequence[CountedFace], what: str) -> str:
    """One of ``COUNTED`` among some faces, "count of how many (part)"."""
    real = [row for row in faces if row.is_face]
    covered, clean = [row for row in real if row.covered], [row for row in real if not row.covered]
    kinds: dict[str, list[int | None]] = {
        COUNTED[0]: [int((row.hidden or 0) > HIDDEN) for row in covered],
        COUNTED[1]: [row.found for row in covered],
        COUNTED[2]: [row.outline_right for row in covered],
        COUNTED[3]: [row.false_find for row in covered],
        COUNTED[4]: [row.false_find for row in clean],
    }
    values = kinds[what]
    return _of(sum(value or 0 for value in values), len(values))


def _of(count: int, whole: int) -> str:
    return f"{count} of {whole}" + (f" ({count / whole:.0%})" if whole else "")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def write_counted(counts: Path, folder: Path) -> None:
    """``real-masks.csv``, the table itself, and ``real-masks.md``, what it says, into a results folder.

    Raises:
        InputError: see ``counted_page``.
        OutputError: they can't be written.
    """
    page = counted_page(counts)
    write_rows(folder / "real-masks.csv", CountedFace, read_rows(counts, CountedFace))
    write_text(folder / "real-masks.md", page)
