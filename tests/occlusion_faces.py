"""Small crops and a tiny recipe for the tests of the network that finds occlusions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from synthetic import drawn_crop, write_shard

from spiralage.datasets.crops import Crops
from spiralage.datasets.joined import JoinedCrops
from spiralage.datasets.manifest import Row, Split
from spiralage.datasets.maskedface import OutlineClass
from spiralage.mean_face import mean_landmarks
from spiralage.training.recipes import OcclusionRecipe

SPLITS: tuple[Split, ...] = ("train",) * 6 + ("val",) * 3 + ("test",) * 2


def face_crops(folder: Path, data: str) -> Crops:
    """Six faces to train on, three to validate, two to test; a fifth of each crop lies beyond its photo."""
    rng = np.random.default_rng(len(data))
    rows = [Row(f"{n}.jpg", f"{data}-{n}", 30, None, None, split) for n, split in enumerate(SPLITS)]
    inside = np.ones((len(rows), 256, 256), np.bool_)
    inside[:, :, :50] = False
    points = np.tile(mean_landmarks(), (len(rows), 1, 1))
    return write_shard(folder / data, rows, [drawn_crop(40, rng) for _ in rows], data, points, inside)


def outlined_crops(folder: Path) -> Crops:
    """The same as MaskedFace-Net's: a light square on each face is a mask."""
    crops = face_crops(folder, "maskedface")
    classes = np.full((len(SPLITS), 256, 256), OutlineClass.FACE, np.uint8)
    classes[:, 130:220, 70:190] = OutlineClass.MASK
    np.save(crops.folder / "classes-0000.npy", classes)
    pictures = np.load(crops.folder / "shard-0000.npy")
    pictures[classes == OutlineClass.MASK] = 230
    np.save(crops.folder / "shard-0000.npy", pictures)
    return Crops(crops.folder)


def joined_crops(folder: Path) -> JoinedCrops:
    return JoinedCrops((face_crops(folder, "aaf"), outlined_crops(folder)))


def occlusion_recipe(**changes: Any) -> OcclusionRecipe:
    """A run of 6 steps."""
    values: dict[str, Any] = {
        "name": "tiny-occlusion",
        "data": "aaf",
        "also": ["maskedface"],
        "seed": 3,
        "epochs": 2,
        "batch": 4,
        "ema": 0.5,
        "occluders": {"surgical-mask": 0.5, "sunglasses": 0.25},
        "distractors": {"glasses": 0.3, "hair": 0.3},
        "kept_out": ["scarf"],
        "network": {"widths": [4, 8, 8, 8], "blocks": [0, 0, 1]},
        "optimiser": {"learning_rate": 1e-2, "clip_norm": 5.0},
    }
    return OcclusionRecipe.model_validate(values | changes)
