"""Conditions: what is done to a face before a network sees it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spiralage import weights
from spiralage.datasets.crops import Crops, Indices
from spiralage.files import replacing
from spiralage.occlusion.window import paper_mask
from spiralage.restoration.baselines import mean_face
from spiralage.restoration.restore import RESTORERS, Restorer, fill_hidden, make_restorer
from spiralage.runtime import engine_from_environment, shipped_as
from spiralage.types import CROP_SIZE, Mask, Pixels

BATCH = 64


class MeanColour:
    """Fills hidden pixels with the mean colour of the training faces: what a network knows as "nothing there"."""

    name = "mean-colour"
    networks: tuple[str, ...] = ("mean-face",)

    def fill(self, crops: Pixels, hidden: Mask) -> Pixels:
        colour = np.rint(mean_face().mean(axis=(0, 1))).astype(np.uint8)
        return np.broadcast_to(colour, crops.shape)


@dataclass(frozen=True)
class Condition:
    """A column of an experiment.

    Args:
        name: original, masked or restored.
        restorer: who fills the hidden pixels; None leaves the face unmasked.
    """

    name: str
    restorer: Restorer | None

    @property
    def filled_by(self) -> str:
        """The restorer's name; empty for originals."""
        return "" if self.restorer is None else self.restorer.name

    @property
    def label(self) -> str:
        """Both in one word or two, unique among conditions."""
        return f"{self.name} {self.filled_by}".strip()

    @property
    def version(self) -> str:
        """Changes with what fills: every shipped file that the restorer reads, its own version, what runs it."""
        if self.restorer is None:
            return ""
        known, engine = weights.manifest(), engine_from_environment()
        parts = [known[shipped_as(name, engine)].sha256 for name in self.restorer.networks]
        return hashlib.sha256(" ".join([*parts, getattr(self.restorer, "version", ""), engine]).encode()).hexdigest()[
            :12
        ]

    def apply(self, crops: Pixels) -> Pixels:
        """(N, 256, 256, 3) uint8 RGB as a network is to see them; the paper's mask hides."""
        if self.restorer is None:
            return crops
        mask = paper_mask().hidden
        return fill_hidden(self.restorer, crops, np.broadcast_to(mask, (len(crops), *mask.shape)))


def all_conditions(further: Sequence[Restorer] = ()) -> tuple[Condition, ...]:
    """Original; masked, filled with 0 and with the mean colour; and what every restorer makes of it.

    Args:
        further: restorers that don't ship, as those of ablations.
    """
    masked = (Condition("masked", make_restorer("none")), Condition("masked", MeanColour()))
    shipped = (make_restorer(name) for name in RESTORERS if name != "none")
    return (Condition("original", None), *masked, *(Condition("restored", one) for one in (*shipped, *further)))


def pictures_under(condition: Condition, crops: Crops, indices: Indices) -> Iterator[Pixels]:
    """The chosen crops under a condition, in order, in batches."""
    for start in range(0, len(indices), BATCH):
        yield condition.apply(crops.take(indices[start : start + BATCH]))


def prepared_conditions(crops: Crops, conditions: Sequence[Condition]) -> Iterator[Pixels]:
    """All crops under each condition in turn, (N, 256, 256, 3) uint8.

    Restoring takes longer than reading, and every network is shown the same pictures: what restorers made is
    written once beside the crops, and anew when crops or weights change.
    """
    for condition in conditions:
        if condition.restorer is None:
            yield crops.take(np.arange(len(crops)))
            continue
        version = f"{crops.identity[:12]}-{condition.version}"
        path = crops.folder / "conditions" / f"{condition.label.replace(' ', '-')}-{version}.npy"
        if not path.exists():
            _write_condition(path, condition, crops)
        yield np.load(path, mmap_mode="r", allow_pickle=False)


def _write_condition(path: Path, condition: Condition, crops: Crops) -> None:
    with replacing(path) as temporary:
        shape = (len(crops), CROP_SIZE, CROP_SIZE, 3)
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        done = 0
        for pictures in pictures_under(condition, crops, np.arange(len(crops))):
            array[done : done + len(pictures)] = pictures
            done += len(pictures)
        array.flush()
