"""Several data sets' crops as one: what a recipe with ``data = ["utkface", "aaf"]`` learns from."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np

from spiralage.datasets.crops import Crops, Indices, Integers
from spiralage.datasets.manifest import Row, Split
from spiralage.errors import DatasetError
from spiralage.types import Pixels

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
        which = np.searchsorted(self._starts, indices, side="right") - 1
        pixels = np.empty((len(indices), 256, 256, 3), np.uint8)
        for number, part in enumerate(self.parts):
            chosen = which == number
            if chosen.any():
                pixels[chosen] = part.take(indices[chosen] - self._starts[number])
        return pixels


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
