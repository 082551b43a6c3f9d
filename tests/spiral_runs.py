"""Finished tiny runs of all that SpiralNet is made of."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from synthetic import FLOAT32, age_recipe, imagine_recipe, slice_recipe, use_tiny_backbones, write_crops

from spiralage.datasets.crops import Crops
from spiralage.training.checkpoint import load_tensors, save_tensors
from spiralage.training.recipes import SliceRecipe
from spiralage.training.run import WEIGHTS
from spiralage.training.tasks.age import train_age
from spiralage.training.tasks.imagine import train_imagine
from spiralage.training.tasks.slices import train_slices


def one_step_recipe(name: str = "tiny-slices") -> SliceRecipe:
    """One step of a slice generator of differences, as the one that ships."""
    network = slice_recipe().network.model_dump()
    return slice_recipe(name=name, epochs=0.25, network=network | {"residual": True})


def train_spiral(folder: Path, name: str = "tiny-slices") -> None:
    """Train a VGG (tiny-vgg), an ImagineGAN (tiny-imagine) and a SliceGAN that paints lively pictures.

    Args:
        folder: gets their runs, and the crops that they saw.
        name: the SliceGAN's run.
    """
    crops = train_before_slices(folder)
    train_slices(one_step_recipe(name), crops, folder / name, folder, **FLOAT32)
    change_weights(folder / name, "generator.to_picture.weight")


def train_before_slices(folder: Path) -> Crops:
    """Train a VGG (tiny-vgg) and an ImagineGAN (tiny-imagine); returns the crops that they saw."""
    crops = write_crops(folder / "crops")
    vgg = {"backbone": "vgg16", "crop": 256, "pool": 8, "width": 4}
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_backbones(monkeypatch)
        train_age(
            age_recipe(name="tiny-vgg", epochs=0.25, network=vgg),
            crops,
            folder / "tiny-vgg",
            **FLOAT32,
        )
        imagine = imagine_recipe(epochs=0.25, features="tiny-vgg")
        train_imagine(imagine, crops, folder / "tiny-imagine", folder, **FLOAT32)
    return crops


def change_weights(run: Path, name: str | None = None) -> None:
    """Fill a tensor of a finished run, the first if none is named, with noise."""
    tensors, meta = load_tensors(run / WEIGHTS)
    name = name or next(iter(tensors))
    noise = torch.randn(tensors[name].shape, generator=torch.Generator().manual_seed(0)) * 0.2
    save_tensors(run / WEIGHTS, tensors | {name: noise}, meta)
