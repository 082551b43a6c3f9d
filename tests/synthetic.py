"""Small finished crops and tiny recipes for the tests of training."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from spiralage.datasets.crops import Crops
from spiralage.datasets.manifest import Row, Split
from spiralage.distribution import MAX_AGE
from spiralage.evaluation.perception import Perception
from spiralage.mean_face import mean_landmarks
from spiralage.networks.age import AgeNetwork
from spiralage.networks.backbones import Backbone, BackboneName, CompactNet, make_backbone
from spiralage.networks.backbones.blurred import BlurredAlexNet
from spiralage.networks.features import Features
from spiralage.networks.heads import HEADS, Head, make_head
from spiralage.networks.lpips import Lpips
from spiralage.networks.views import CentredSquare
from spiralage.training.recipes import AgeRecipe, ImagineRecipe, LandmarkRecipe, SliceRecipe
from spiralage.training.tasks import age
from spiralage.types import Doubles, Mask, Pixels

FLOAT32: dict[str, Any] = {"device": "cpu", "precision": "32-true"}
"""How a test trains, unless it is about another precision: never as the processor would have it."""

SPLITS: tuple[Split, ...] = ("train",) * 16 + ("val",) * 4 + ("test",) * 2


def drawn_crop(years: int, rng: np.random.Generator) -> Pixels:
    """Soft blobs, brighter with age."""
    coarse = rng.integers(0, 50, (6, 6, 3)).astype(np.uint8)
    blobs = cv2.resize(coarse, (256, 256), interpolation=cv2.INTER_LINEAR)
    return np.asarray(blobs + np.uint8(2 * years), np.uint8)


def write_crops(folder: Path, data: str = "utkface") -> Crops:
    """16 pictures to train on, 4 to validate, 2 to test; all of each crop is its photo."""
    rng = np.random.default_rng(0)
    ages = [10 + 80 * (index % 2) + index % 5 for index in range(len(SPLITS))]  # young or old
    rows = [
        Row(f"{index}.jpg", f"{index}.jpg", years, None, None, split)
        for index, (years, split) in enumerate(zip(ages, SPLITS, strict=True))
    ]
    crops = write_shard(folder, rows, [drawn_crop(years, rng) for years in ages], data)
    np.save(folder / "inside-0000.npy", np.full((len(rows), 256, 32), 255, np.uint8))
    return crops


def write_shard(
    folder: Path,
    rows: list[Row],
    pictures: list[Pixels],
    data: str = "utkface",
    landmarks: Doubles | None = None,
    inside: Mask | None = None,
) -> Crops:
    """A finished folder of crops with one shard, in the documented format; without landmarks an older one.

    ``inside`` is (N, 256, 256) bool; without it the photos fill the crops.
    """
    folder.mkdir(parents=True)
    np.save(folder / "shard-0000.npy", np.stack(pictures))
    shown = np.ones((len(rows), 256, 256), np.bool_) if inside is None else inside
    np.save(folder / "inside-0000.npy", np.packbits(shown, axis=-1))
    if landmarks is not None:
        np.save(folder / "landmarks-0000.npy", landmarks.astype(np.float32))
    header = [field.name for field in fields(Row)] + ["found_by"]
    lines = [",".join("" if value is None else str(value) for value in (*astuple(row), "fake")) for row in rows]
    (folder / "shard-0000.csv").write_text("\n".join([",".join(header), *lines]) + "\n")
    (folder / "complete.json").write_text(json.dumps({"data": data, "images": len(rows), "detector": "fake"}) + "\n")
    return Crops(folder)


def use_tiny_backbones(monkeypatch: pytest.MonkeyPatch) -> None:
    """CompactNet with 8 channels wherever a recipe asks for "compact": same code, quick steps."""

    def make(name: BackboneName, dropout: float, width: int) -> Backbone:
        return CompactNet((8, 12, 16), (1, 1, 1), dropout) if name == "compact" else make_backbone(name, dropout, width)

    monkeypatch.setattr(age, "make_backbone", make)


Told = list[tuple[tuple[int, ...], list[int]]]


def use_leaf_head(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Wherever a recipe's loss is mean-variance, a head that learns the ages' frequencies, and by no gradient.

    Returns:
        A list that grows by the shape of the features and the ages whenever such a head is told of an epoch.
    """
    told: Told = []

    class LeafHead(Head):
        leaves: Tensor

        def __init__(self, width: int, **weights: float) -> None:
            super().__init__(width)
            self.register_buffer("leaves", torch.full((MAX_AGE + 1,), 1 / (MAX_AGE + 1)))

        def loss(self, features: Tensor, ages: Tensor) -> Tensor:
            return features.float().square().mean()

        def probabilities(self, features: Tensor) -> Tensor:
            return self.leaves.expand(len(features), -1)

        def after_epoch(self, seen: Iterable[tuple[Tensor, Tensor]]) -> None:
            features, ages = (torch.cat(parts) for parts in zip(*seen, strict=True))
            assert not features.requires_grad
            assert torch.isfinite(features).all()
            told.append((tuple(features.shape), ages.tolist()))
            self.leaves.copy_(frequencies(ages))

    monkeypatch.setitem(HEADS, "mean-variance", LeafHead)
    return told


def frequencies(ages: Tensor) -> Tensor:
    """The part of the faces that has each age, (101,)."""
    return torch.bincount(ages.long(), minlength=MAX_AGE + 1) / len(ages)


def age_network(backbone: Any, *, crop: int, pool: int) -> AgeNetwork:
    """An age network with a new head; a backbone that doesn't say has 101 features."""
    head = make_head("mean-variance", getattr(backbone, "width", 101))
    return AgeNetwork(CentredSquare(crop=crop, pool=pool), backbone, head)


def age_recipe(**changes: Any) -> AgeRecipe:
    """A run of 12 steps at 32 pixels."""
    values: dict[str, Any] = {
        "name": "tiny",
        "seed": 3,
        "epochs": 3,
        "batch": 4,
        "ema": 0.5,
        "validate_every_epochs": 1,
        "network": {"backbone": "compact", "crop": 256, "pool": 8, "dropout": 0.1},
        "optimiser": {"learning_rate": 1e-3, "weight_decay": 0.05, "warmup_steps": 3, "clip_norm": 5.0},
        "stages": [{"share": 1.0, "size": 32}],
    }
    return AgeRecipe.model_validate(values | changes)


def imagine_recipe(**changes: Any) -> ImagineRecipe:
    """A run of 8 steps at 32 pixels."""
    values: dict[str, Any] = {
        "name": "tiny-imagine",
        "seed": 3,
        "epochs": 2,
        "batch": 4,
        "ema": 0.5,
        "features": "tiny",
        "features_size": 64,
        "network": {"size": 32, "width": 8, "blocks": 1, "discriminator_width": 8},
        "generator": {"name": "adam", "learning_rate": 1e-3, "betas": [0.0, 0.999]},
        "discriminator": {"name": "adam", "learning_rate": 1e-3, "betas": [0.0, 0.999]},
        "loss": {"adversarial": 0.1, "perceptual": 1.0, "hue_color": 10.0, "l1": 10.0},
    }
    return ImagineRecipe.model_validate(values | changes)


def slice_recipe(**changes: Any) -> SliceRecipe:
    """A run of 8 steps at 64 pixels."""
    values: dict[str, Any] = {
        "name": "tiny-slices",
        "seed": 3,
        "epochs": 2,
        "batch": 4,
        "ema": 0.5,
        "imagine": "tiny-imagine",
        "features": "tiny-vgg",
        "network": {
            "size": 64,
            "thickness": 16,
            "width": 8,
            "blocks": 1,
            "discriminator_width": 8,
            "slice_discriminator_width": 8,
        },
        "generator": {"name": "adam", "learning_rate": 1e-3, "betas": [0.0, 0.999]},
        "discriminator": {"name": "adam", "learning_rate": 1e-3, "betas": [0.0, 0.999]},
    }
    return SliceRecipe.model_validate(values | changes)


def landmark_recipe(**changes: Any) -> LandmarkRecipe:
    """A run of 12 steps with 8 channels."""
    values: dict[str, Any] = {
        "name": "tiny-landmarks",
        "seed": 3,
        "epochs": 3,
        "batch": 4,
        "ema": 0.5,
        "network": {"width": 8},
        "optimiser": {"learning_rate": 3e-3, "warmup_steps": 2, "clip_norm": 5.0},
        "occluders": {"scarf": 0.3, "bar": 0.2},
    }
    return LandmarkRecipe.model_validate(values | changes)


def write_faces(folder: Path, data: str = "utkface") -> Crops:
    """Drawn faces with their 68 points: 16 to train on, one of them without, 4 to validate, 2 to test."""
    rng = np.random.default_rng(0)
    points = mean_landmarks() + rng.normal(0, 6, (len(SPLITS), 1, 2)) + rng.normal(0, 1, (len(SPLITS), 68, 2))
    pictures = [drawn_face(face, rng) for face in points]
    points[0, 5:] = np.nan
    rows = [Row(f"{index}.jpg", f"{index}.jpg", 30, None, None, split) for index, split in enumerate(SPLITS)]
    return write_shard(folder, rows, pictures, data, landmarks=points)


def drawn_face(points: Doubles, rng: np.random.Generator) -> Pixels:
    """An oval with dark eyes and a red mouth on soft blobs."""
    picture = drawn_crop(20, rng)
    for where, colour in ((slice(0, 27), (210, 170, 150)), (slice(36, 42), (40, 30, 20)), (slice(42, 48), (40, 30, 20)),
                          (slice(27, 36), (230, 190, 160)), (slice(48, 60), (170, 60, 70))):  # fmt: skip
        hull = cv2.convexHull(points[where].round().astype(np.int32))
        cv2.fillConvexPoly(picture, hull, colour)
    return picture


class Kill(BaseException):
    """The process dies here."""


class KillAt:
    """A ``progress`` that dies at a step, before that step's checkpoint."""

    def __init__(self, step: int | None = None) -> None:
        self.step = step
        self.steps: list[int] = []
        self.losses: list[dict[str, float]] = []

    def __call__(self, step: int, steps: int, values: dict[str, float]) -> None:
        self.steps.append(step)
        self.losses.append(values)
        if step == self.step:
            raise Kill


def small_perception() -> Perception:
    """LPIPS that counts all channels alike, and activations, of one small AlexNet."""
    torch.manual_seed(0)
    network = BlurredAlexNet(4)
    features = Features(network, 0.5, 0.25, layers="lpips")
    return Perception(Lpips(features, [torch.ones(count) for count in (4, 12, 24, 16, 16)]), features)
