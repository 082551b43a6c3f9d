"""How well a restorer does while it is trained: fixed faces of validation splits, fixed masks, one row each time.

    faces = validation_faces([Crops(cache / name) for name in VALIDATED_ON])
    validate = Validator(faces, load_features("best", runs, FEATURES_SIZE), "best", "imagine", runs / "imagine")
    validate(restorer, step, minutes)  # adds a row to runs/imagine/validation.csv

A training calls it every half hour; ``spiralage evaluate training`` makes table and plot of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from spiralage.datasets.crops import Crops, spread
from spiralage.datasets.sources import DatasetName
from spiralage.errors import DatasetError
from spiralage.evaluation.image_metrics import activations, frechet_distance, nearness
from spiralage.evaluation.perception import Perception
from spiralage.evaluation.protocols.restoration import mean_nearness, restore_photos
from spiralage.evaluation.results import Origin, ValidationRow, read_rows, write_rows
from spiralage.networks.features import Features
from spiralage.occlusion.occluders import OCCLUDERS, OccluderName
from spiralage.provenance import commit, hardware
from spiralage.restoration.restore import Restorer
from spiralage.types import Floats, Mask, Pixels

TABLE = "validation.csv"
"""The rows, in the run's folder."""
VALIDATED_ON: tuple[DatasetName, ...] = ("aaf", "celeba-hq")
"""Where the whole frame is real."""
HIDDEN_BY: tuple[OccluderName, ...] = (
    "random-window",
    "surgical-mask",
    "random-window",
    "scarf",
    "random-window",
    "sunglasses",
)
"""Picture after picture, in turns: half of them a window, half drawn by the face."""
BATCH = 16


@dataclass(frozen=True)
class ValidationFaces:
    """Faces and what hides them.

    Args:
        pictures: (N, 256, 256, 3) uint8 RGB.
        masks: (N, 256, 256) bool, True = hidden, what lies beyond the photo included.
        inside: (N, 256, 256) bool, True where the crop shows its photo.
        seed: of the masks.
    """

    pictures: Pixels
    masks: Mask
    inside: Mask
    seed: int

    def batches(self) -> Iterator[tuple[Pixels, Mask, Mask]]:
        """Pictures, masks and ``inside``, some at a time."""
        for start in range(0, len(self.pictures), BATCH):
            some = slice(start, start + BATCH)
            yield self.pictures[some], self.masks[some], self.inside[some]


def validation_faces(sets: Sequence[Crops], *, count: int = 200, seed: int = 0) -> ValidationFaces:
    """The same faces under the same masks, whenever they are asked for.

    Args:
        sets: aligned crops, usually of ``VALIDATED_ON``; each gives an equal part of the faces, evenly spread over its
            validation split, or all it has.
        count: how many in all, at most.
        seed: of the masks.

    Raises:
        DatasetError: there are fewer than two faces.
    """
    pictures, masks, insides = [], [], []
    for number, crops in enumerate(sets):
        indices = spread(crops.indices("val"), count // len(sets))
        inside = crops.inside(indices) if len(indices) else np.empty((0, 256, 256), np.bool_)
        for place, index in enumerate(indices):
            landmarks = crops.full_landmarks(indices[place : place + 1])[0]
            draw = OCCLUDERS[HIDDEN_BY[place % len(HIDDEN_BY)]]
            masks.append(draw(landmarks, np.random.default_rng((seed, number, int(index)))).mask | ~inside[place])
            pictures.append(crops.take(indices[place : place + 1])[0])
        insides.append(inside)
    if len(pictures) < 2:
        folders = " and ".join(str(crops.folder) for crops in sets) or "no crops"
        raise DatasetError(f"{folders}: fewer than two faces to validate on; build the crops of {VALIDATED_ON[0]}")
    return ValidationFaces(np.stack(pictures), np.stack(masks), np.concatenate(insides), seed)


@dataclass(frozen=True)
class Validator:
    """Measures a restorer in training and keeps the rows.

    Args:
        faces: on which.
        features: the feature network.
        features_name: as recipes name it.
        recipe: what is trained.
        folder: the run's; gets ``validation.csv``.
        device: where the training computes, "cpu" or "cuda"; for the row.
        perception: ImageNet's networks; without them a row has no LPIPS.
    """

    faces: ValidationFaces
    features: Features
    features_name: str
    recipe: str
    folder: Path
    device: str = "cpu"
    perception: Perception | None = None
    origin: Origin = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "origin", Origin(commit(), hardware(self.device)))  # of the code that runs

    @cached_property
    def _originals(self) -> Floats:
        """The activations of the originals, (N, channels)."""
        return np.concatenate([activations(self.features, pictures) for pictures, _, _ in self.faces.batches()])

    def __call__(self, restorer: Restorer, step: int, minutes: float) -> ValidationRow:
        """Measure, and put the row into the table in place of what steps from this one on had: a run that was killed
        does them again.

        Args:
            restorer: as it is after this step; the moving average of its weights, where there is one.
            step: steps done.
            minutes: of training so far.

        Raises:
            InputError: the table is damaged.
            OutputError: it can't be written.
        """
        parts, found, lpips = [], [], []
        for pictures, masks, inside in self.faces.batches():
            restored = restore_photos(restorer, pictures, masks, inside)
            parts.append(nearness(restored, pictures, masks, inside))
            if self.perception is not None:
                lpips.append(self.perception.lpips(restored, pictures))
            found.append(activations(self.features, restored))
        means = mean_nearness(parts)
        row = ValidationRow(
            recipe=self.recipe,
            step=step,
            minutes=round(minutes, 1),
            psnr=means["psnr"],
            ssim=means["ssim"],
            lpips=float(np.concatenate(lpips).mean()) if lpips else None,
            feature_fid=frechet_distance(self._originals, np.concatenate(found)),
            images=len(self.faces.pictures),
            features=self.features_name,
            seed=self.faces.seed,
            **self.origin._asdict(),
        )
        path = self.folder / TABLE
        before = read_rows(path, ValidationRow) if path.exists() else []
        write_rows(path, ValidationRow, [*(one for one in before if one.step < step), row])
        return row
