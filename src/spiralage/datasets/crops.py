"""Aligned crops, made once: shards of raw 256×256 pictures that training reads through memory maps.

    FOLDER/shard-0000.npy   (n, 256, 256, 3) uint8 RGB
    FOLDER/shard-0000.csv   one manifest row per picture, and which detector found the face
    FOLDER/complete.json    written last: how many, from what

Each file is written beside and renamed, the table after the pictures, so a build killed half-way goes
on at the first shard that lacks its table.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from spiralage.datasets.manifest import Row, Split
from spiralage.errors import DatasetError
from spiralage.faces.align import align
from spiralage.faces.detect import Detector
from spiralage.faces.landmarks import Landmarker, with_landmarks
from spiralage.files import replacing, write_text
from spiralage.image_io import load_photo
from spiralage.types import AlignedFace, Box, Face, Pixels

Indices: TypeAlias = npt.NDArray[np.int64]

SHARD_SIZE = 512
FALLBACK = "fallback"
_COLUMNS = [field.name for field in fields(Row)] + ["found_by"]


def build_crops(
    pictures: Iterable[tuple[Row, bytes]],
    folder: Path,
    detector: Detector,
    landmarker: Landmarker,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Align every picture of a data set and write the shards that are still missing.

    A picture without a found face is cut from its middle and flagged ``found_by = fallback``, never
    dropped.

    Args:
        pictures: (row, encoded bytes), in the order that the crops will have.
        folder: where the shards go.
        detector, landmarker: how faces are found.
        progress: told the number of pictures done so far.
    """
    numbered = iter(pictures)
    total = 0
    for number in itertools.count():
        batch = list(itertools.islice(numbered, SHARD_SIZE))
        if not batch:
            break
        total += len(batch)
        if not _table_path(folder, number).exists():
            _write_shard(folder, number, batch, detector, landmarker)
        progress(total)
    write_text(folder / "complete.json", json.dumps({"images": total, "detector": detector.name}) + "\n")


def _write_shard(
    folder: Path, number: int, batch: list[tuple[Row, bytes]], detector: Detector, landmarker: Landmarker
) -> None:
    crops = np.empty((len(batch), 256, 256, 3), np.uint8)
    table = io.StringIO()
    writer = csv.DictWriter(table, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for index, (row, data) in enumerate(batch):
        aligned, found_by = align_largest(data, row.image, detector, landmarker)
        crops[index] = aligned.pixels
        writer.writerow({**asdict(row), "found_by": found_by})
    with replacing(folder / f"shard-{number:04}.npy") as temporary:
        np.save(temporary, crops)
    write_text(_table_path(folder, number), table.getvalue())


def align_largest(data: bytes, name: str, detector: Detector, landmarker: Landmarker) -> tuple[AlignedFace, str]:
    """The aligned face of a one-person picture, and what found it.

    Of several faces it is the one that is large and near the middle: the picture's own person. What
    lies beyond the picture is its mirror image.
    """
    photo = load_photo(data, name=name)
    faces = detector.detect(photo)
    if not faces:
        width, height = photo.size
        return align(photo, Face(Box(0, 0, width, height)), mirror=True), FALLBACK
    centre = np.array(photo.size) / 2

    def prominence(face: Face) -> float:
        distance = float(np.hypot(*(np.array(face.box.centre) - centre)))
        return face.box.width - distance

    face = max(faces, key=prominence)
    return align(photo, with_landmarks(landmarker, photo, face), mirror=True), detector.name


def _table_path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:04}.csv"


@dataclass(frozen=True)
class Crops:
    """A finished folder of crops, opened for reading.

    Raises:
        DatasetError: the folder isn't complete.
    """

    folder: Path

    def __post_init__(self) -> None:
        if not (self.folder / "complete.json").exists():
            raise DatasetError(f"{self.folder}: no finished crops here; run: spiralage data crops")

    @cached_property
    def rows(self) -> list[Row]:
        """All manifest rows, in the order of the crops."""
        return [_row(record) for shard in self._tables for record in shard]

    @cached_property
    def _tables(self) -> list[list[dict[str, str]]]:
        return [
            list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
            for path in sorted(self.folder.glob("shard-*.csv"))
        ]

    @cached_property
    def _shards(self) -> list[Pixels]:
        return [np.load(p, mmap_mode="r", allow_pickle=False) for p in sorted(self.folder.glob("shard-*.npy"))]

    def __len__(self) -> int:
        return len(self.rows)

    def indices(self, split: Split) -> Indices:
        """The positions of a split's crops, in order."""
        return np.array([i for i, row in enumerate(self.rows) if row.split == split], dtype=np.int64)

    def take(self, indices: Indices) -> Pixels:
        """The crops at these positions, (n, 256, 256, 3) uint8 RGB."""
        return np.stack([self._shards[i // SHARD_SIZE][i % SHARD_SIZE] for i in indices])

    def batches(self, split: Split, size: int) -> Iterator[tuple[Pixels, list[Row]]]:
        """A split in order, in batches of at most ``size``."""
        indices = self.indices(split)
        for start in range(0, len(indices), size):
            chosen = indices[start : start + size]
            yield self.take(chosen), [self.rows[i] for i in chosen]


_read_row = TypeAdapter(Row).validate_python


def _row(record: dict[str, str]) -> Row:
    values = {name: record[name] or None for name in record if name != "found_by"}
    try:
        return _read_row(values)
    except ValidationError as error:
        raise DatasetError(f"a crop table has a bad row, {record}; build the crops again") from error
