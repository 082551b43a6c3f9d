"""Contact sheets, to look at what restorers make: one PNG for each set, a row for each face. Not to be published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from spiralage.datasets.crops import Indices, spread
from spiralage.evaluation.protocols.restoration import Faces
from spiralage.image_io.writing import save_picture
from spiralage.occlusion.occluders import OCCLUDERS, Cover, OccluderName
from spiralage.restoration.restore import Restorer, fill_hidden
from spiralage.types import Pixels

SHEET_BY: tuple[OccluderName, ...] = ("random-window", "surgical-mask", "centre-window", "brush", "paper", "scarf")
"""What hides, face after face in turns."""
SIDE = 160
"""Of a picture in a sheet, pixels."""
BESIDE = 2
"""Sheets have so many faces beside each other, each with its own row of pictures."""


def write_sheets(
    sets: Sequence[Faces],
    restorers: Sequence[Restorer],
    folder: Path,
    *,
    count: int = 40,
    occluders: Sequence[OccluderName] = SHEET_BY,
    seed: int = 0,
) -> Iterator[Path]:
    """Write ``SET.png`` for each set: original, hidden, and what each restorer makes of it, from left to right.

    Args:
        sets: the faces; each set shows an equal part of ``count``, evenly spread.
        restorers: who fills.
        folder: where the sheets go.
        count: how many faces in all.
        occluders: what hides, in turns.
        seed: of the occluders.

    Yields:
        The file of each set, once it is written.

    Raises:
        OutputError: it can't be written.
    """
    for faces in sets:
        chosen = spread(faces.indices, max(1, count // len(sets)))
        rows = np.stack([_small(column) for column in _columns(faces, chosen, restorers, occluders, seed)], axis=1)
        path = folder / f"{faces.crops.data}.png"
        save_picture(path, _sheet(rows))
        yield path


def _columns(
    faces: Faces, chosen: Indices, restorers: Sequence[Restorer], occluders: Sequence[OccluderName], seed: int
) -> Iterator[Pixels]:
    """The same faces in each, (N, 256, 256, 3): as they are, hidden, restored."""
    pictures, inside = faces.crops.take(chosen), faces.crops.inside(chosen)
    covers = list(_covers(faces, chosen, occluders, seed))
    masks = np.stack([cover.mask for cover in covers]) | ~inside
    photos = pictures * inside[..., None]
    yield photos
    yield np.stack([cover.over(photo) for cover, photo in zip(covers, photos, strict=True)])
    for restorer in restorers:
        yield fill_hidden(restorer, pictures, masks)


def _covers(faces: Faces, chosen: Indices, occluders: Sequence[OccluderName], seed: int) -> Iterator[Cover]:
    for place, (index, points) in enumerate(zip(chosen, faces.crops.full_landmarks(chosen), strict=True)):
        draw = OCCLUDERS[occluders[place % len(occluders)]]
        yield draw(points, np.random.default_rng((seed, int(index))))


def _small(pictures: Pixels) -> Pixels:
    size = (SIDE, SIDE)
    return np.stack([np.asarray(cv2.resize(one, size, interpolation=cv2.INTER_AREA), np.uint8) for one in pictures])


def _sheet(rows: Pixels) -> Pixels:
    """(N, pictures, side, side, 3) → a picture of N rows, ``BESIDE`` beside each other; white where none is left."""
    count, pictures, side = rows.shape[:3]
    lines = -(-count // BESIDE)
    whole = np.full((lines * BESIDE, *rows.shape[1:]), 255, np.uint8)
    whole[:count] = rows
    tiled = whole.reshape(lines, BESIDE * pictures, side, side, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(tiled.reshape(lines * side, BESIDE * pictures * side, 3))
