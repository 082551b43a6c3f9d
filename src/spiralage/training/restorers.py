"""Restorers straight from runs, in PyTorch: to measure what doesn't ship, and to compare what does with its source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spiralage.errors import CheckpointError
from spiralage.files import sha256_of
from spiralage.networks.restorers.imagine import CropImaginer
from spiralage.networks.restorers.slices import SliceGAN
from spiralage.restoration.restore import Spiral
from spiralage.restoration.slice_generator import Style
from spiralage.runtime import BATCH
from spiralage.training.run import WEIGHTS
from spiralage.training.tasks.imagine import load_imaginer
from spiralage.training.tasks.slices import load_slice_gan
from spiralage.types import Floats, Mask, Pixels


class TorchImaginer:
    """ImagineGAN in PyTorch, with the same noise as ``restore.Imaginer``.

    Args:
        imaginer: the trained generator with its preprocessing.
        seed: of the noise.
    """

    name = "imagine"
    networks: tuple[str, ...] = ()

    def __init__(self, imaginer: CropImaginer, seed: int = 0) -> None:
        self._imaginer, self._seed = imaginer.eval(), seed

    @torch.no_grad()
    def fill(self, crops: Pixels, masks: Mask) -> Pixels:
        size = self._imaginer.size
        noise = torch.from_numpy(np.random.default_rng(self._seed).random((3, size, size), np.float32))
        parts = [
            self._imaginer(
                torch.from_numpy(crops[i : i + BATCH]),
                torch.from_numpy(masks[i : i + BATCH].astype(np.uint8)),
                noise.expand(len(crops[i : i + BATCH]), -1, -1, -1),
            ).numpy()
            for i in range(0, len(crops), BATCH)
        ]
        return np.concatenate(parts)


class TorchSliceGenerator:
    """SliceGAN in PyTorch, as a ``SliceGenerator``.

    Args:
        gan: the trained networks.
        frame: side of the pictures that they know, pixels.
    """

    networks: tuple[str, ...] = ()

    def __init__(self, gan: SliceGAN, frame: int) -> None:
        self._gan, self.frame, self.thickness = gan.eval(), frame, gan.thickness

    @torch.no_grad()
    def context(self, visible: Floats) -> Style:
        return (self._gan.context(_tensor(visible)).float().numpy(),)

    @torch.no_grad()
    def generate(self, imaginary: Floats, beside: Floats, style: Style) -> Floats:
        strip: Tensor = self._gan.generator(_tensor(imaginary), _tensor(beside), *map(_tensor, style))
        return np.asarray(strip.float().numpy())


def _tensor(array: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


class RunRestorer(Spiral):
    """The SpiralNet of a finished SliceGAN run, named after its recipe.

    Args:
        folder: the run's folder.
        runs: the folder with the run of its ImagineGAN.

    Raises:
        CheckpointError: one of the two runs isn't finished.
    """

    def __init__(self, folder: Path, runs: Path) -> None:
        if not (folder / WEIGHTS).exists():
            raise CheckpointError(f"{folder}: no finished run; run: spiralage train slices recipes/{folder.name}.toml")
        recipe, gan = load_slice_gan(folder)
        imaginer = TorchImaginer(load_imaginer(runs / recipe.imagine)[1])
        super().__init__(imaginer, TorchSliceGenerator(gan, recipe.network.size))
        self.name = recipe.name
        self.version = sha256_of(folder / WEIGHTS) + sha256_of(runs / recipe.imagine / WEIGHTS)
