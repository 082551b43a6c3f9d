"""Aligned crops, made once: shards of raw 256×256 pictures that training reads through memory maps.

``shards`` tells the files, ``build_crops`` makes them. The tables say which pictures there are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from spiralage.datasets.manifest import Row, Split
from spiralage.datasets.shards import (
    CLASSES,
    PACKED,
    PICTURE,
    POINTS,
    Record,
    map_array,
    read_facts,
    read_table,
    unpack_inside,
    unpack_landmarks,
)
from spiralage.errors import DatasetError
from spiralage.mean_face import mean_landmarks
from spiralage.occlusion.mean_shape import full_points
from spiralage.types import Doubles, Floats, Mask, Pixels

Integers: TypeAlias = npt.NDArray[np.int64]
Indices: TypeAlias = Integers

SHARD_SIZE = 512
FALLBACK = "fallback"
"""What "found" a face where no detector did: the picture's middle is taken."""
COLUMNS = [field.name for field in fields(Row)] + ["found_by"]


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

    @property
    def parts(self) -> tuple[Crops, ...]:
        """The sets that these are crops of: one; several where sets are joined."""
        return (self,)

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
        tables = [read_table(path, COLUMNS) for path in sorted(self.folder.glob("shard-*.csv"))]
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
                raise DatasetError(f"{path} is missing: these crops are older; build the crops again in another folder")
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

    @cached_property
    def has_landmarks(self) -> bool:
        """False for crops that were built before landmarks were kept."""
        return any(self.folder.glob("landmarks-*.npy"))

    def full_landmarks(self, indices: Indices) -> Doubles:
        """68 points for each, (n, 68, 2) float64, (x, y) in crop pixels, for what is drawn on a face.

        Where only five are known the mean face's are fitted to them, where none are, as in older crops, they are the
        mean face's.

        Raises:
            DatasetError: the files of landmarks are damaged.
        """
        if not self.has_landmarks:
            return np.tile(mean_landmarks(), (len(indices), 1, 1))
        try:
            return np.stack([full_points(unpack_landmarks(packed)) for packed in self.landmarks(indices)])
        except ValueError as error:
            raise DatasetError(f"{self.folder}: damaged landmarks ({error}); build the crops again") from error

    @cached_property
    def landmarks_identity(self) -> str:
        """SHA-256 of all crops' ``full_landmarks``, in hex."""
        return hashlib.sha256(self.full_landmarks(np.arange(len(self))).tobytes()).hexdigest()

    def inside(self, indices: Indices) -> Mask:
        """Where they show the picture itself and not its mirror image, (n, 256, 256) bool.

        Raises:
            DatasetError: these crops were built before it was kept.
        """
        return unpack_inside(np.stack([self._insides[i // SHARD_SIZE][i % SHARD_SIZE] for i in indices]))

    @property
    def has_classes(self) -> bool:
        """True for crops of a set that says what its pixels show."""
        return any(self.folder.glob("classes-*.npy"))

    @cached_property
    def _classes(self) -> list[Pixels]:
        if not self.has_classes:
            raise DatasetError(
                f"{self.folder}: no classes here; build the crops again in another folder, of a set that has them "
                "(CelebA-HQ-1000.zip, MaskedFace-450.zip)"
            )
        return self._mapped("classes", CLASSES, np.uint8)

    def classes(self, indices: Indices) -> Pixels:
        """What their pixels show, (n, 256, 256) uint8, ``FaceClass`` or the set's own; background beyond the photo.

        Raises:
            DatasetError: the set doesn't say, or these crops were built before it was kept.
        """
        return np.stack([self._classes[i // SHARD_SIZE][i % SHARD_SIZE] for i in indices])


_read_row = TypeAdapter(Row).validate_python


def spread(indices: Indices, most: int | None) -> Indices:
    """At most so many of them, evenly spread from the first to the last.

    >>> spread(np.arange(10), 4).tolist()
    [0, 3, 6, 9]
    """
    if most is None or most >= len(indices):
        return indices
    return indices[np.linspace(0, len(indices) - 1, most).round().astype(np.int64)]


def _row(record: dict[str, str]) -> Row:
    values = {name: record[name] or None for name in record if name != "found_by"}
    try:
        return _read_row(values)
    except ValidationError as error:
        raise DatasetError(f"a crop table has a bad row, {record}; build the crops again") from error
