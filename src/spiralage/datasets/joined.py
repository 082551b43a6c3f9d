"""Several data sets' crops as one: what a recipe with ``data = "utkface"`` and ``also = ["aaf"]`` learns from."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from spiralage.datasets.crops import Crops, Indices, Integers
from spiralage.datasets.manifest import Row, Split
from spiralage.errors import DatasetError
from spiralage.types import Doubles, Floats, Mask, Pixels

Scalar = TypeVar("Scalar", bound=np.generic)

JOIN = " + "
"""What stands between the names of joined data sets."""


@dataclass(frozen=True)
class JoinedCrops:
    """The crops of several folders, one set after the other; positions count on from set to set.

    Args:
        parts: the sets, at least one, in the recipe's order.
    """

    parts: tuple[Crops, ...]

    @property
    def folder(self) -> Path:
        """Where the first set lies; the others lie beside it."""
        return self.parts[0].folder

    @property
    def data(self) -> str:
        """The names of the sets, "utkface + aaf"."""
        return JOIN.join(part.data for part in self.parts)

    def check_data(self, name: str) -> None:
        """Raises DatasetError if these are crops of other data sets."""
        if self.data != name:
            raise DatasetError(f"these are crops of {self.data}, not of {name}; choose other --crops folders")

    @cached_property
    def rows(self) -> list[Row]:
        """All manifest rows, in the order of the crops."""
        return [row for part in self.parts for row in part.rows]

    @cached_property
    def ages(self) -> Integers:
        """The age of every crop in years, (N,) int64; raises DatasetError where a set has none."""
        return np.concatenate([part.ages for part in self.parts])

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the parts' identities, in hex."""
        return hashlib.sha256("".join(part.identity for part in self.parts).encode()).hexdigest()

    @cached_property
    def _starts(self) -> Integers:
        return np.array([0, *itertools.accumulate(len(part) for part in self.parts)], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def indices(self, split: Split) -> Indices:
        """The positions of a split's crops, in order."""
        return np.concatenate(
            [part.indices(split) + start for part, start in zip(self.parts, self._starts[:-1], strict=True)]
        )

    def take(self, indices: Indices) -> Pixels:
        """The crops at these positions, (n, 256, 256, 3) uint8 RGB."""
        return self.gathered(indices, Crops.take)

    def landmarks(self, indices: Indices) -> Floats:
        """Their landmarks as far as they are known, (n, 68, 2) float32, see ``Crops``; raises DatasetError."""
        return self.gathered(indices, Crops.landmarks)

    def full_landmarks(self, indices: Indices) -> Doubles:
        """68 points for each, (n, 68, 2) float64, see ``Crops.full_landmarks``; raises DatasetError."""
        return self.gathered(indices, Crops.full_landmarks)

    def inside(self, indices: Indices) -> Mask:
        """Where they show the picture itself, (n, 256, 256) bool, see ``Crops.inside``; raises DatasetError."""
        return self.gathered(indices, Crops.inside)

    def gathered(self, indices: Indices, read: Callable[[Crops, Indices], npt.NDArray[Scalar]]) -> npt.NDArray[Scalar]:
        """What each set says of its own, in the order that was asked for.

        Args:
            indices: positions in all sets together.
            read: what is asked of a set, for positions in it.
        """
        which = np.searchsorted(self._starts, indices, side="right") - 1
        in_turn = np.argsort(which, kind="stable")
        starts = zip(self.parts, self._starts, strict=False)
        asked = [(part, indices[which == number] - start) for number, (part, start) in enumerate(starts)]
        found = np.concatenate([read(part, chosen) for part, chosen in asked if len(chosen)])
        gathered = np.empty_like(found)
        gathered[in_turn] = found
        return gathered


AnyCrops: TypeAlias = Crops | JoinedCrops
"""One data set's crops, or several sets' as one."""


def open_crops(names: Sequence[str], folders: Sequence[Path]) -> AnyCrops:
    """The crops of one data set, or of several as one.

    Args:
        names: what the folders must hold crops of, one name each.
        folders: of aligned crops.

    Raises:
        DatasetError: a folder isn't complete or holds crops of another set.
    """
    if len(names) != len(folders):
        raise DatasetError(f"{len(folders)} folders of crops for {len(names)} data sets; give one for each")
    parts = tuple(map(Crops, folders))
    for part, name in zip(parts, names, strict=True):
        part.check_data(name)
    return parts[0] if len(parts) == 1 else JoinedCrops(parts)
