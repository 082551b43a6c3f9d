"""``spiralage train imagine recipes/NAME.toml``: train ImagineGAN on aligned crops."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F

from spiralage.datasets.crops import Indices
from spiralage.datasets.joined import JOIN, AnyCrops
from spiralage.errors import CheckpointError
from spiralage.networks.features import Features
from spiralage.networks.restorers.discriminators import PatchDiscriminator
from spiralage.networks.restorers.imagine import CropImaginer, ImagineGenerator, at_size
from spiralage.networks.restorers.projected import ProjectedDiscriminator, reference_pictures
from spiralage.training.adversarial import Shown, Watch, no_watch, show, train_adversarially
from spiralage.training.covers import draw_masks
from spiralage.training.fabric import Device, Precision, make_fabric
from spiralage.training.features import load_features
from spiralage.training.loop import Progress, channels_last, no_progress
from spiralage.training.losses import adversarial_loss, discrimination_loss, hue_color_loss, perceptual_loss
from spiralage.training.pretrained import learned_from
from spiralage.training.recipes import ImagineRecipe
from spiralage.training.recipes.base import TrainingRecipe
from spiralage.training.run import Run, fill, load_run, read_record
from spiralage.types import CROP_SIZE

AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)


def train_imagine(
    recipe: ImagineRecipe,
    crops: AnyCrops,
    folder: Path,
    runs: Path,
    *,
    device: Device = "auto",
    precision: Precision = "auto",
    minutes: float | None = None,
    finish: bool = False,
    progress: Progress = no_progress,
    watch: Watch = no_watch,
) -> bool:
    """Train, or go on training, the ImagineGAN of a recipe.

    Args:
        recipe: what to train and how.
        crops: the aligned crops; only the training split is seen.
        folder: the run's folder; gets weights.safetensors when done.
        runs: the folder with the run of the age network that gives the perceptual features.
        device, precision, minutes, progress: as in ``train_age``.
        finish: when the minutes are over, the training is complete.
        watch: see ``train_adversarially``.

    Returns:
        True when the training is complete, False when it ran out of time.

    Raises:
        CheckpointError: the folder holds a run of another recipe, or the features' run is missing.
    """
    fabric = make_fabric(device, precision=precision)
    crops.check_data(JOIN.join(recipe.sets))
    run = Run(folder, recipe, fabric.device.type, minutes, finishes=finish)
    if run.is_complete:
        return True
    torch.manual_seed(recipe.seed)
    features = channels_last(load_features(recipe.features, runs, recipe.features_size, deepest=recipe.deepest)).to(
        fabric.device
    )
    generator = channels_last(start_generator(recipe, crops, runs)).to(fabric.device)
    discriminator = channels_last(make_discriminator(recipe, features)).to(fabric.device)

    def play(shown: Shown, step: int) -> _Round:
        batch = make_batch(shown, recipe, step, fabric)
        generated = generator(batch.visible, batch.hidden, torch.rand_like(batch.real))
        return _Round(batch.completed(generated), batch, discriminator, features)

    facts = {"features": recipe.features, **start_facts(recipe.start, runs)}
    return train_adversarially(recipe, crops, run, fabric, generator, discriminator, play, progress, facts, watch)


def make_generator(recipe: ImagineRecipe) -> ImagineGenerator:
    """The untrained generator of a recipe."""
    network = recipe.network
    size = network.size if network.residual else None
    return ImagineGenerator(network.width, network.blocks, up=network.up, padding=network.padding, size=size)


def go_on_from(network: AnyNetwork, start: Path, kind: type[TrainingRecipe], name: str) -> AnyNetwork:
    """A restorer's network with the weights that another recipe's run left.

    Args:
        network: untrained.
        start: the run's folder.
        kind: of the run's recipe.
        name: of the recipe that starts from it.

    Raises:
        CheckpointError: that run isn't finished, or its network is another.
    """
    tensors = load_run(start, kind)[1]
    try:
        return fill(network, tensors, start)
    except CheckpointError as error:
        raise CheckpointError(
            f"{start}: its network isn't {name}'s; make [network] and features the same, or start from another"
        ) from error


def start_facts(start: str | None, runs: Path) -> dict[str, Any]:
    """What a run's record tells of the run that it started from."""
    return {"start": start or ""} | ({} if start is None else {"start_data": learned_from(read_record(runs / start))})


MEAN_OF = 1024
"""Training faces whose mean a generator of differences begins with."""


def start_generator(recipe: ImagineRecipe, crops: AnyCrops, runs: Path) -> ImagineGenerator:
    """The generator that a training begins with: untrained, or as the recipe that it starts from left it.

    Raises:
        CheckpointError: that recipe isn't trained, or its network is another.
    """
    generator = make_generator(recipe)
    if recipe.start is not None:
        return go_on_from(generator, runs / recipe.start, ImagineRecipe, recipe.name)
    if recipe.network.residual:
        train = crops.indices("train")
        chosen = np.random.default_rng(recipe.seed).permutation(train)[:MEAN_OF]
        generator.mean_face.copy_(mean_picture(crops, chosen, recipe.network.size))
    return generator


def mean_picture(crops: AnyCrops, chosen: Indices, size: int) -> Tensor:
    """The mean of crops and of their mirror images over what is of the photos, (3, size, size) float in [0, 1]."""
    total, count = torch.zeros(3, size, size), torch.full((1, size, size), 1e-6)
    for index in chosen:
        shown = show(crops, np.array([index]))
        picture, beyond = at_size(torch.from_numpy(shown.pictures), torch.from_numpy(~shown.inside), size)
        total += picture[0] * (1 - beyond[0])
        count += 1 - beyond[0]
    mean = total / count
    return (mean + mean.flip(-1)) / 2


def make_discriminator(recipe: ImagineRecipe, features: Features) -> PatchDiscriminator | ProjectedDiscriminator:
    """The untrained discriminator of a recipe; one with projected features looks through the feature network."""
    width = recipe.network.discriminator_width
    if recipe.network.discriminator == "patch":
        return PatchDiscriminator(width)
    with torch.no_grad():
        known = features(reference_pictures(recipe.network.size).to(features.mean.device))
    return ProjectedDiscriminator(known[JUDGED], width)


JUDGED = slice(-3, None)
"""The layers that a projected discriminator sees: the coarsest three. The finest are nearly pixels, and cost most."""


@dataclass(frozen=True)
class Batch:
    """What a training step sees, at the generator's size.

    Args:
        real: (N, 3, S, S) float in [0, 1].
        visible: the same, 0 where hidden.
        hidden: (N, 1, S, S) float, 1 = hidden by an occluder or beyond the photo.
        inside: (N, 1, S, S) float, 1 = of the photo.
    """

    real: Tensor
    visible: Tensor
    hidden: Tensor
    inside: Tensor

    def completed(self, generated: Tensor) -> Tensor:
        """The generated pixels where something is hidden, the real ones elsewhere.

        Beyond the photo the real picture is a mirror image; it stands in both, so nothing is learned from it.
        """
        return torch.lerp(self.real, generated.float(), self.hidden * self.inside)


def make_batch(shown: Shown, recipe: ImagineRecipe, step: int, fabric: Fabric) -> Batch:
    """A step's faces, about half of them mirrored, under random occluders."""
    rng = np.random.default_rng((recipe.seed, step))
    shown = shown.mirrored(rng)
    masks = draw_masks(shown.landmarks, recipe.windows, rng) | ~shown.inside
    crops, hidden, beyond = (torch.from_numpy(x).to(fabric.device) for x in (shown.pictures, masks, ~shown.inside))
    size = recipe.network.size
    real, _ = at_size(crops, torch.zeros_like(hidden), size)
    visible, small_hidden = at_size(crops, hidden, size)
    inside = (F.avg_pool2d(beyond[:, None].float(), CROP_SIZE // size) == 0).float()
    form = torch.channels_last
    return Batch(real.contiguous(memory_format=form), visible.contiguous(memory_format=form), small_hidden, inside)


@dataclass(frozen=True)
class _Round:
    generated: Tensor
    batch: Batch
    discriminator: PatchDiscriminator | ProjectedDiscriminator
    features: Features

    @cached_property
    def of_real(self) -> list[Tensor]:
        """The feature network's activations: the perceptual loss compares them, a projected discriminator sees them."""
        with torch.no_grad():
            layers: list[Tensor] = self.features(self.batch.real)
        return layers

    @cached_property
    def of_generated(self) -> list[Tensor]:
        layers: list[Tensor] = self.features(self.generated)
        return layers

    def discriminator_loss(self) -> Tensor:
        detached = [layer.detach() for layer in self.of_generated]
        both = torch.cat([self.batch.real, self.generated.detach()])
        layers = [torch.cat(pair) for pair in zip(self.of_real, detached, strict=True)]
        return discrimination_loss(self._judge(both, layers, torch.cat([self.batch.visible] * 2)))

    def losses(self) -> dict[str, Tensor]:
        logits = self._judge(self.generated, self.of_generated, self.batch.visible)
        compared = {"perceptual": perceptual_loss(self.of_generated, self.of_real)}
        return (
            {"adversarial": adversarial_loss(logits, real=True)} | compared | pixel_losses(self.generated, self.batch)
        )

    def _judge(self, pictures: Tensor, layers: list[Tensor], visible: Tensor) -> Tensor:
        projected = isinstance(self.discriminator, ProjectedDiscriminator)
        logits: Tensor = self.discriminator(layers[JUDGED] if projected else pictures, visible)
        return logits.float()

    def made(self) -> tuple[Tensor, Tensor]:
        margin = self.batch.hidden
        return self.generated * margin, self.batch.real * margin

    def sample(self) -> Tensor:
        return torch.cat([self.batch.visible, self.generated, self.batch.real], dim=3)


def pixel_losses(generated: Tensor, batch: Batch) -> dict[str, Tensor]:
    """What pixels lose, unweighted: hue-color and L1, means over whole pictures."""
    return {
        "hue_color": hue_color_loss(generated, batch.real),
        "l1": F.l1_loss(generated, batch.real),
    }


def load_imaginer(folder: Path) -> tuple[ImagineRecipe, CropImaginer]:
    """The trained generator of a run folder with its preprocessing, in evaluation mode.

    Raises:
        CheckpointError: the folder holds no finished run of an ImagineGAN.
    """
    recipe, tensors = load_run(folder, ImagineRecipe)
    return recipe, CropImaginer(fill(make_generator(recipe), tensors, folder), recipe.network.size).eval()
