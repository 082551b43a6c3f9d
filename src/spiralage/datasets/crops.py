"""Aligned crops, made once: shards of raw 256×256 pictures that training reads through memory maps.

``shards`` tells the files. Each is written beside and renamed, a shard's table last, so a build killed half-way
goes on at the first shard that lacks its table. The tables say which pictures are done.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from spiralage.datasets.manifest import Row, Split
from spiralage.datasets.shards import (
    PACKED,
    PICTURE,
    POINTS,
    Record,
    map_array,
    pack_inside,
    pack_landmarks,
    read_facts,
    read_table,
    save_array,
    table_text,
    unpack_inside,
)
from spiralage.errors import DatasetError, PhotoError
from spiralage.faces.align import align
from spiralage.faces.find import FaceFinder
from spiralage.files import write_text
from spiralage.image_io import load_photo
from spiralage.types import AlignedFace, Box, Face, Floats, Mask, Pixels

Integers: TypeAlias = npt.NDArray[np.int64]
Indices: TypeAlias = Integers

SHARD_SIZE = 512
FALLBACK = "fallback"
_COLUMNS = [field.name for field in fields(Row)] + ["found_by"]
_LEFT_OUT_COLUMNS = ["image", "reason"]


@dataclass(frozen=True)
class LeftOut:
    """A picture that isn't among the crops, and why."""

    image: str
    reason: str


def build_crops(
    pictures: Iterable[tuple[Row, bytes]],
    folder: Path,
    finder: FaceFinder,
    *,
    data: str,
    progress: Callable[[int], None] = lambda done: None,
) -> list[LeftOut]:
    """Align every picture of a data set and write the shards that are still missing.

    A picture without a found face is cut from its middle and flagged ``found_by = fallback``, never
    dropped. One that can't be decoded is left out and written down in ``left-out.csv``.

    Args:
        pictures: (row, encoded bytes), in the order that the crops will have.
        folder: where the shards go.
        finder: finds the faces.
        data: the data set's name.
        progress: told the number of pictures done so far.

    Returns:
        The pictures that were left out.

    Raises:
        DatasetError: no picture can be decoded, or the folder has crops of other pictures.
    """
    build = _Build(folder, finder, data)
    waiting = iter(pictures)
    for number in itertools.count():
        if build.table_path(number).exists():
            build.pass_shard(number, waiting)
        elif not build.write_shard(number, waiting):
            break
        progress(build.crops + len(build.left_out))
    build.finish(number)
    return build.left_out


class _Build:
    """The shards of a build, in order; ``crops`` and ``left_out`` are what it has met so far."""

    def __init__(self, folder: Path, finder: FaceFinder, data: str) -> None:
        self.folder, self.finder, self.data = folder, finder, data
        self.crops = 0
        self.left_out: list[LeftOut] = []
        self._short = False  # a shard with fewer pictures can only be the last
        self._known = {
            record["image"]: record["reason"] for record in read_table(self._left_out_path, _LEFT_OUT_COLUMNS)
        }

    def table_path(self, number: int) -> Path:
        return self.folder / f"shard-{number:04}.csv"

    @property
    def _left_out_path(self) -> Path:
        return self.folder / "left-out.csv"

    def pass_shard(self, number: int, waiting: Iterator[tuple[Row, bytes]]) -> None:
        """Take a finished shard's pictures, and those left out between them, without decoding them."""
        images = [record["image"] for record in read_table(self.table_path(number), _COLUMNS)]
        for image in images:
            for row, _ in waiting:
                if row.image == image:
                    break
                if row.image not in self._known:
                    raise self._of_other_pictures(number)
                self.left_out.append(LeftOut(row.image, self._known[row.image]))
            else:
                raise self._of_other_pictures(number)
        self._count(number, len(images))

    def write_shard(self, number: int, waiting: Iterator[tuple[Row, bytes]]) -> bool:
        """Decode and align until a shard is full or nothing is left; False if it would be empty."""
        crops: list[AlignedFace] = []
        records: list[dict[str, object]] = []
        while len(records) < SHARD_SIZE and (item := next(waiting, None)) is not None:
            row, data = item
            try:
                aligned, found_by = align_largest(data, row.image, self.finder)
            except PhotoError as error:
                self.left_out.append(LeftOut(row.image, str(error).removeprefix(f"{row.image}: ")))
                continue
            crops.append(aligned)
            records.append({**asdict(row), "found_by": found_by})
        if not records:
            return False
        self._count(number, len(records))
        save_array(self.folder / f"shard-{number:04}.npy", np.stack([crop.pixels for crop in crops]))
        packed = np.stack([pack_landmarks(crop.landmarks) for crop in crops])
        save_array(self.folder / f"landmarks-{number:04}.npy", packed)
        save_array(self.folder / f"inside-{number:04}.npy", np.stack([pack_inside(crop.inside) for crop in crops]))
        self._write_left_out()
        write_text(self.table_path(number), table_text(_COLUMNS, records))
        return True

    def finish(self, shards: int) -> None:
        """Write what comes last, after checking that there are crops, and none but these."""
        if not self.crops and self.left_out:
            first = self.left_out[0]
            raise DatasetError(
                f"none of the {len(self.left_out)} pictures can be decoded; the first is {first.image}: {first.reason}"
            )
        beyond = [path for path in self.folder.glob("shard-*.csv") if path >= self.table_path(shards)]
        if beyond:
            raise self._of_other_pictures(shards)
        self._write_left_out()
        facts = {"data": self.data, "images": self.crops, "detector": self.finder.detector.name}
        write_text(self.folder / "complete.json", json.dumps(facts) + "\n")

    def _count(self, number: int, crops: int) -> None:
        if self._short:
            raise self._of_other_pictures(number - 1)
        self._short = crops < SHARD_SIZE
        self.crops += crops

    def _write_left_out(self) -> None:
        if self.left_out:
            write_text(self._left_out_path, table_text(_LEFT_OUT_COLUMNS, [asdict(left) for left in self.left_out]))
        else:
            self._left_out_path.unlink(missing_ok=True)

    def _of_other_pictures(self, number: int) -> DatasetError:
        return DatasetError(
            f"{self.table_path(number)} was made from other pictures; choose another --crops folder or remove this one"
        )


def align_largest(data: bytes, name: str, finder: FaceFinder) -> tuple[AlignedFace, str]:
    """The aligned face of a one-person picture, and what found it.

    Of several faces it is the one that is large and near the middle: the picture's own person. What
    lies beyond the picture is its mirror image.
    """
    photo = load_photo(data, name=name)
    centre = np.array(photo.size) / 2

    def prominence(face: Face) -> float:
        distance = float(np.hypot(*(np.array(face.box.centre) - centre)))
        return face.box.width - distance

    found = finder.find_one(photo, prefer=prominence, mirror=True)
    if found is None:
        return align(photo, Face(Box(0, 0, *photo.size)), mirror=True), FALLBACK
    return found.aligned, found.face.detector


def is_complete(folder: Path) -> bool:
    """True if ``build_crops`` has finished here."""
    return (folder / "complete.json").exists()


@dataclass(frozen=True)
class Crops:
    """A finished folder of crops, opened for reading.

    Raises:
        DatasetError: the folder isn't complete.
    """

    folder: Path

    def __post_init__(self) -> None:
        if not is_complete(self.folder):
            raise DatasetError(f"{self.folder}: no finished crops here; run: spiralage data crops")

    @cached_property
    def _facts(self) -> dict[str, Any]:
        return read_facts(self.folder / "complete.json")

    @cached_property
    def data(self) -> str:
        """The name of the data set that these are crops of."""
        name = self._facts.get("data")
        if not isinstance(name, str):
            raise DatasetError(f"{self.folder}: complete.json names no data set; run: spiralage data crops")
        return name

    def check_data(self, name: str) -> None:
        """Raises DatasetError if these are crops of another data set."""
        if self.data != name:
            raise DatasetError(
                f"{self.folder} holds crops of {self.data}, not of {name}; choose another --crops folder"
            )

    @cached_property
    def rows(self) -> list[Row]:
        """All manifest rows, in the order of the crops."""
        return [_row(record) for shard in self._tables for record in shard]

    @cached_property
    def found_by(self) -> list[str]:
        """What found each face; ``FALLBACK`` where nothing did."""
        return [record["found_by"] for shard in self._tables for record in shard]

    @cached_property
    def _tables(self) -> list[list[Record]]:
        tables = [read_table(path, _COLUMNS) for path in sorted(self.folder.glob("shard-*.csv"))]
        counted, told = sum(map(len, tables)), self._facts.get("images")
        if told is not None and counted != told:
            raise DatasetError(f"{self.folder}: {counted} crops in its tables, not {told}; build the crops again")
        return tables

    @cached_property
    def _shards(self) -> list[Pixels]:
        return self._mapped("shard", PICTURE, np.uint8)

    @cached_property
    def _landmarks(self) -> list[Floats]:
        return self._mapped("landmarks", POINTS, np.float32)

    @cached_property
    def _insides(self) -> list[Pixels]:
        return self._mapped("inside", PACKED, np.uint8)

    def _mapped(self, name: str, item: tuple[int, ...], kind: type[np.generic]) -> list[npt.NDArray[Any]]:
        """One kind of array file, shard by shard."""
        arrays = []
        for number, table in enumerate(self._tables):
            path = self.folder / f"{name}-{number:04}.npy"
            if name != "shard" and not path.exists():
                raise DatasetError(f"{path} is missing: these crops are older; build them again in another folder")
            arrays.append(map_array(path, item, kind))
            if len(arrays[-1]) != len(table):
                raise DatasetError(f"{path}: {len(arrays[-1])} items for {len(table)} crops; build the crops again")
        return arrays

    @cached_property
    def ages(self) -> Integers:
        """The age of every crop in years, (N,) int64.

        Raises:
            DatasetError: the data set has pictures without an age.
        """
        ages = [row.age for row in self.rows if row.age is not None]
        if len(ages) != len(self.rows):
            lacking = len(self.rows) - len(ages)
            raise DatasetError(f"{self.folder}: {lacking} of these crops have no ages; choose an age data set")
        return np.array(ages, dtype=np.int64)

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the tables, in hex: which pictures these are, in which order, of what ages."""
        tables = (path.read_bytes() for path in sorted(self.folder.glob("shard-*.csv")))
        return hashlib.sha256(b"".join(tables)).hexdigest()

    def __len__(self) -> int:
        return len(self.rows)

    def indices(self, split: Split) -> Indices:
        """The positions of a split's crops, in order."""
        return np.array([i for i, row in enumerate(self.rows) if row.split == split], dtype=np.int64)

    def take(self, indices: Indices) -> Pixels:
        """The crops at these positions, (n, 256, 256, 3) uint8 RGB."""
        return np.stack([self._shards[i // SHARD_SIZE][i % SHARD_SIZE] for i in indices])

    def landmarks(self, indices: Indices) -> Floats:
        """Their landmarks, (n, 68, 2) float32, (x, y) in crop pixels.

        Of a face with five points (see ``Landmarks``) they are the first five and the rest is NaN; of one without
        any, as of a picture in which no face was found, all is NaN.

        Raises:
            DatasetError: these crops were built before landmarks were kept.
        """
        return np.stack([self._landmarks[i // SHARD_SIZE][i % SHARD_SIZE] for i in indices])

    def inside(self, indices: Indices) -> Mask:
        """Where they show the picture itself and not its mirror image, (n, 256, 256) bool.

        Raises:
            DatasetError: these crops were built before it was kept.
        """
        return unpack_inside(np.stack([self._insides[i // SHARD_SIZE][i % SHARD_SIZE] for i in indices]))


_read_row = TypeAdapter(Row).validate_python


def _row(record: dict[str, str]) -> Row:
    values = {name: record[name] or None for name in record if name != "found_by"}
    try:
        return _read_row(values)
    except ValidationError as error:
        raise DatasetError(f"a crop table has a bad row, {record}; build the crops again") from error
