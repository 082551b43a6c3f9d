"""``spiralage train imagine recipes/NAME.toml``: train ImagineGAN on aligned crops."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F

from spiralage.datasets.crops import Crops
from spiralage.networks.features import Features
from spiralage.networks.restorers.discriminators import PatchDiscriminator
from spiralage.networks.restorers.imagine import CropImaginer, ImagineGenerator, at_size
from spiralage.occlusion.mean_shape import mirror_landmarks
from spiralage.training.adversarial import train_adversarially
from spiralage.training.covers import draw_masks
from spiralage.training.fabric import Device, Precision, make_fabric
from spiralage.training.features import load_features
from spiralage.training.loop import Progress, channels_last, no_progress
from spiralage.training.losses import adversarial_loss, discrimination_loss, hue_color_loss, perceptual_loss
from spiralage.training.recipes import ImagineRecipe
from spiralage.training.run import Run, fill, load_run
from spiralage.types import Doubles, Pixels


def mirror_some(pictures: Pixels, landmarks: Doubles, rng: np.random.Generator) -> tuple[Pixels, Doubles]:
    """About half of the pictures (N, 256, 256, 3) mirrored, and with them their landmarks (N, 68, 2)."""
    flipped = (rng.random(len(pictures)) < 0.5)[:, None, None]
    pictures = np.where(flipped[..., None], pictures[:, :, ::-1], pictures)
    return pictures, np.where(flipped, mirror_landmarks(landmarks), landmarks)


def train_imagine(
    recipe: ImagineRecipe,
    crops: Crops,
    folder: Path,
    runs: Path,
    *,
    device: Device = "auto",
    precision: Precision = "auto",
    minutes: float | None = None,
    progress: Progress = no_progress,
) -> bool:
    """Train, or go on training, the ImagineGAN of a recipe.

    Args:
        recipe: what to train and how.
        crops: the aligned crops; only the training split is seen.
        folder: the run's folder; gets weights.safetensors when done.
        runs: the folder with the run of the age network that gives the perceptual features.
        device, precision, minutes, progress: as in ``train_age``.

    Returns:
        True when the training is complete, False when it ran out of time.

    Raises:
        CheckpointError: the folder holds a run of another recipe, or the features' run is missing.
    """
    fabric = make_fabric(device, precision=precision)
    crops.check_data(recipe.data)
    run = Run(folder, recipe, fabric.device.type, minutes)
    if run.is_complete:
        return True
    torch.manual_seed(recipe.seed)
    generator = channels_last(ImagineGenerator(recipe.network.width, recipe.network.blocks))
    discriminator = channels_last(PatchDiscriminator(recipe.network.discriminator_width))
    features = channels_last(load_features(recipe.features, runs, recipe.features_size)).to(fabric.device)
    generator, discriminator = generator.to(fabric.device), discriminator.to(fabric.device)

    def play(faces: Pixels, landmarks: Doubles, step: int) -> _Round:
        real, visible, hidden = make_batch(faces, landmarks, recipe, step, fabric)
        return _Round(generator(visible, hidden, torch.rand_like(real)), real, visible, discriminator, features)

    return train_adversarially(recipe, crops, run, fabric, generator, discriminator, play, progress, {})


@dataclass(frozen=True)
class _Round:
    generated: Tensor
    real: Tensor
    visible: Tensor
    discriminator: nn.Module
    features: Features

    def discriminator_loss(self) -> Tensor:
        both = torch.cat([self.real, self.generated.detach()])
        logits: Tensor = self.discriminator(both, torch.cat([self.visible] * 2))
        return discrimination_loss(logits.float())

    def losses(self) -> dict[str, Tensor]:
        return generator_losses(self.generated, self.real, self.visible, self.discriminator, self.features)

    def made(self) -> tuple[Tensor, Tensor]:
        return self.generated, self.real

    def sample(self) -> Tensor:
        return torch.cat([self.visible, self.generated, self.real], dim=3)


def make_batch(
    pictures: Pixels, landmarks: Doubles, recipe: ImagineRecipe, step: int, fabric: Fabric
) -> tuple[Tensor, Tensor, Tensor]:
    """Real pictures, visible pictures and masks at the generator's size; half are mirrored."""
    rng = np.random.default_rng((recipe.seed, step))
    pictures, landmarks = mirror_some(pictures, landmarks, rng)
    crops = torch.from_numpy(pictures).to(fabric.device)
    hidden = torch.from_numpy(draw_masks(landmarks, recipe.windows, rng)).to(fabric.device)
    size = recipe.network.size
    real, _ = at_size(crops, torch.zeros_like(hidden), size)
    visible, small_hidden = at_size(crops, hidden, size)
    form = torch.channels_last
    return real.contiguous(memory_format=form), visible.contiguous(memory_format=form), small_hidden


def generator_losses(
    generated: Tensor, real: Tensor, visible: Tensor, discriminator: nn.Module, features: Features
) -> dict[str, Tensor]:
    """The generator's losses, unweighted: adversarial, perceptual, hue-color and L1."""
    with torch.no_grad():
        real_features = features(real)
    return {
        "adversarial": adversarial_loss(discriminator(generated, visible).float(), real=True),
        "perceptual": perceptual_loss(features(generated), real_features),
        "hue_color": hue_color_loss(generated.float(), real),
        "l1": F.l1_loss(generated.float(), real),
    }


def load_imaginer(folder: Path) -> tuple[ImagineRecipe, CropImaginer]:
    """The trained generator of a run folder with its preprocessing, in evaluation mode.

    Raises:
        CheckpointError: the folder holds no finished run of an ImagineGAN.
    """
    recipe, tensors = load_run(folder, ImagineRecipe)
    generator = ImagineGenerator(recipe.network.width, recipe.network.blocks)
    return recipe, CropImaginer(fill(generator, tensors, folder), recipe.network.size).eval()
