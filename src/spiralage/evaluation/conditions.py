"""Test conditions: what is done to a face before a network sees it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spiralage import weights
from spiralage.datasets.crops import Crops, Indices
from spiralage.evaluation.results import ConditionKey, ConditionName
from spiralage.files import replacing
from spiralage.mean_face import mean_face, mean_landmarks
from spiralage.occlusion.occluders import FOLLOWING, OCCLUDERS, OccluderName
from spiralage.restoration.restore import RESTORERS, Restorer, fill_hidden, make_restorer
from spiralage.runtime import engine_from_environment, shipped_as
from spiralage.types import CROP_SIZE, Doubles, Mask, Pixels

BATCH = 64


class MeanColour:
    """Fills hidden pixels with the mean colour of the training faces: what a network knows as "nothing there"."""

    name = "mean-colour"
    networks: tuple[str, ...] = ("mean-face",)

    def fill(self, crops: Pixels, masks: Mask) -> Pixels:
        colour = np.rint(mean_face().mean(axis=(0, 1))).astype(np.uint8)
        return np.broadcast_to(colour, crops.shape)


@dataclass(frozen=True)
class Condition:
    """A test condition: a column of an experiment.

    Args:
        name: original; covered by the occluder as it looks; masked, what it hides filled with one colour; or restored.
        restorer: who fills what is hidden; None leaves the face, or the occluder on it, as it is.
        occluder: what hides a part of the face; None hides nothing.
    """

    name: ConditionName
    restorer: Restorer | None = None
    occluder: OccluderName | None = None

    @property
    def key(self) -> ConditionKey:
        """What tables call it; unique among conditions."""
        return ConditionKey(self.name, self.occluder or "", "" if self.restorer is None else self.restorer.name)

    @property
    def follows(self) -> bool:
        """Whether its occluder is drawn by the faces' landmarks."""
        return self.occluder in FOLLOWING

    @property
    def version(self) -> str:
        """Changes with what fills, and with how the occluder is drawn.

        That is every shipped file that the restorer reads, its own version, and what runs it; the paper's mask is
        what it is.
        """
        parts = [] if self.occluder in (None, "paper") else [_drawing_version(self.occluder)]
        if self.restorer is not None:
            known, engine = weights.manifest(), engine_from_environment()
            parts += [known[shipped_as(name, engine)].sha256 for name in self.restorer.networks]
            parts += [getattr(self.restorer, "version", ""), engine]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:12] if parts else ""

    def apply(self, crops: Pixels, positions: Indices, landmarks: Doubles | None = None) -> Pixels:
        """Pictures as a network is to see them.

        Args:
            crops: (N, 256, 256, 3) uint8 RGB.
            positions: (N,), of the pictures in their data set: a picture's cover depends on it, not on its batch.
            landmarks: (N, 68, 2) float64, (x, y) in crop pixels; the mean face's if None.

        Returns:
            (N, 256, 256, 3) uint8 RGB.
        """
        if self.occluder is None:
            return crops
        points = np.broadcast_to(mean_landmarks(), (len(crops), 68, 2)) if landmarks is None else landmarks
        draw = OCCLUDERS[self.occluder]
        covers = [draw(p, np.random.default_rng(int(n))) for p, n in zip(points, positions, strict=True)]
        if self.restorer is None:
            return np.stack([cover.over(crop) for cover, crop in zip(covers, crops, strict=True)])
        return fill_hidden(self.restorer, crops, np.stack([cover.mask for cover in covers]))


def _drawing_version(occluder: OccluderName) -> str:
    cover = OCCLUDERS[occluder](mean_landmarks(), np.random.default_rng(0))
    softness = b"".join(part.tobytes() for part in (cover.coverage, cover.shadow) if part is not None)
    return hashlib.sha256(cover.picture.tobytes() + cover.mask.tobytes() + softness).hexdigest()


def all_conditions(
    further: Sequence[Restorer] = (), occluders: Sequence[OccluderName] = ("paper",)
) -> tuple[Condition, ...]:
    """Original; then under each occluder: as it looks, filled with 0 and with the mean colour, and what restorers make.

    The paper's mask looks as if filled with 0, and stands once.

    Args:
        further: restorers that don't ship, as those of ablations.
        occluders: what hides.
    """
    shipped = [make_restorer(name) for name in RESTORERS if name != "none"]
    conditions = [Condition("original")]
    for occluder in occluders:
        conditions += [] if occluder == "paper" else [Condition("covered", None, occluder)]
        conditions += [Condition("masked", one, occluder) for one in (make_restorer("none"), MeanColour())]
        conditions += [Condition("restored", one, occluder) for one in (*shipped, *further)]
    return tuple(conditions)


def pictures_under(condition: Condition, crops: Crops, indices: Indices) -> Iterator[Pixels]:
    """The chosen crops under a condition, in order, in batches."""
    for start in range(0, len(indices), BATCH):
        chosen = indices[start : start + BATCH]
        yield condition.apply(crops.take(chosen), chosen, crops.full_landmarks(chosen) if condition.follows else None)


def prepared_conditions(crops: Crops, conditions: Sequence[Condition]) -> Iterator[Pixels]:
    """All crops under each condition in turn, (N, 256, 256, 3) uint8.

    Restoring takes longer than reading, and every network is shown the same pictures: what restorers made is
    written once beside the crops, and anew when crops, their landmarks or weights change.
    """
    for condition in conditions:
        if condition.occluder is None:
            yield crops.take(np.arange(len(crops)))
            continue
        version = f"{crops.identity[:12]}-{_version_on(crops, condition)}"
        path = crops.folder / "conditions" / f"{condition.key.label.replace(' ', '-')}-{version}.npy"
        if not _is_whole(path, len(crops)):
            _write_condition(path, condition, crops)
        yield np.load(path, mmap_mode="r", allow_pickle=False)


def _version_on(crops: Crops, condition: Condition) -> str:
    """Changes with the condition and, where its occluder follows them, with the crops' landmarks."""
    if not condition.follows:
        return condition.version
    return hashlib.sha256(f"{condition.version} {crops.landmarks_identity}".encode()).hexdigest()[:12]


def _is_whole(path: Path, count: int) -> bool:
    """Whether a file of prepared pictures is there and can be read; a damaged one is made anew."""
    try:
        pictures = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return False
    return bool(pictures.shape == (count, CROP_SIZE, CROP_SIZE, 3) and pictures.dtype == np.uint8)


def _write_condition(path: Path, condition: Condition, crops: Crops) -> None:
    with replacing(path) as temporary:
        shape = (len(crops), CROP_SIZE, CROP_SIZE, 3)
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        done = 0
        for pictures in pictures_under(condition, crops, np.arange(len(crops))):
            array[done : done + len(pictures)] = pictures
            done += len(pictures)
        array.flush()
