"""``spiralage train slices recipes/NAME.toml``: train SliceGAN to walk the spiral on aligned crops."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import functional as F

from spiralage.datasets.joined import JOIN, AnyCrops
from spiralage.errors import CheckpointError
from spiralage.networks.features import Features, style_layers_of
from spiralage.networks.restorers.discriminators import SliceDiscriminators
from spiralage.networks.restorers.imagine import CropImaginer
from spiralage.networks.restorers.slices import SliceGAN, StyleEncoder
from spiralage.occlusion.window import Window, largest_window
from spiralage.restoration.spiral import Step
from spiralage.training.adversarial import Shown, Watch, no_watch, train_adversarially
from spiralage.training.covers import draw_cover
from spiralage.training.fabric import Device, Precision, make_fabric
from spiralage.training.features import load_features
from spiralage.training.loop import Progress, channels_last, no_progress
from spiralage.training.losses import adversarial_loss, discrimination_loss, hue_color_loss, perceptual_loss, style_loss
from spiralage.training.recipes import SliceRecipe
from spiralage.training.run import Run, fill, load_run
from spiralage.training.tasks.imagine import load_imaginer


@dataclass(frozen=True)
class Batch:
    """What a training step sees; one window for all its pictures, so that their slices have one shape.

    Args:
        real: (N, 3, size, size) float in [0, 1].
        imagined: the same with all that the window hides as ImagineGAN imagines it; what slices are painted from.
        window: in the frame of that size.
    """

    real: Tensor
    imagined: Tensor
    window: Window

    @property
    def visible(self) -> Tensor:
        """What the window shows; a pixel at its edge may have a part of what is imagined beyond."""
        return self.imagined[(..., *self.window.slices)]

    @property
    def given(self) -> Tensor:
        """The whole pictures, 0 outside the window."""
        given = torch.zeros_like(self.imagined)
        given[(..., *self.window.slices)] = self.visible
        return given


def make_batch(shown: Shown, recipe: SliceRecipe, step: int, imaginer: CropImaginer, fabric: Fabric) -> Batch:
    """A step's pictures, half of them mirrored, its window, and what is imagined around it.

    All have one window, so an occluder is drawn on the first face for all of them.
    """
    rng = np.random.default_rng((recipe.seed, step))
    shown = shown.mirrored(rng)
    crops = torch.from_numpy(shown.pictures).to(fabric.device)
    mask, size = draw_cover(shown.landmarks[0], recipe.windows, rng).mask, recipe.network.size
    window = largest_window(mask)
    assert window is not None  # no occluder hides all
    hidden = torch.from_numpy(mask.astype(np.uint8)).to(fabric.device)
    noise = torch.from_numpy(rng.random((len(crops), 3, imaginer.size, imaginer.size), np.float32)).to(fabric.device)
    with torch.no_grad(), fabric.autocast():
        imagined = imaginer(crops * (1 - hidden[:, :, None]), hidden.expand(len(crops), -1, -1), noise)
        imagined = torch.where(hidden[:, :, None].bool(), imagined, crops)
    return Batch(_in_frame(crops, size), _in_frame(imagined, size), window.in_frame(size))


def _in_frame(crops: Tensor, size: int) -> Tensor:
    """(N, 256, 256, 3) uint8 → (N, 3, size, size) float in [0, 1]."""
    pictures = crops.permute(0, 3, 1, 2).float() / 255
    return F.interpolate(pictures, size=(size, size), mode="area").contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Walked:
    """A walk's outcome: the whole picture, and every slice with its step."""

    picture: Tensor
    slices: tuple[tuple[Step, Tensor], ...]


def walk(gan: SliceGAN, batch: Batch) -> Walked:
    """Walk the spiral from a batch's window."""
    picture, slices = batch.visible, []
    for step, strip, picture in gan.walk(batch.visible, batch.imagined, batch.window):  # noqa: B007  # the last one
        slices.append((step, strip))
    return Walked(picture, tuple(slices))


def discriminator_loss(discriminators: SliceDiscriminators, walked: Walked, batch: Batch) -> Tensor:
    """How badly the discriminators tell real from generated, whole pictures and slices."""
    whole = discrimination_loss(discriminators.of_pictures(torch.cat([batch.real, walked.picture.detach()])).float())
    slices = []
    for step, strip in walked.slices:
        at = (..., *step.strip.slices)
        both = torch.cat([batch.real[at], strip.detach()])
        logits = discriminators.of_slice(both, torch.cat([batch.imagined[at]] * 2))
        slices.append(discrimination_loss(logits.float()))
    return whole + torch.stack(slices).mean()


def slice_losses(
    discriminators: SliceDiscriminators,
    walked: Walked,
    batch: Batch,
    features: Features,
    perceptual: Features | None = None,
) -> dict[str, Tensor]:
    """The slice generator's losses, unweighted; a perceptual one if there is a network to compare pictures with.

    L1 and hue-color are means over the margin: what is visible is equal anyway and would only thin them.
    """
    of_slices = [
        discriminators.of_slice(strip, batch.imagined[(..., *step.strip.slices)]).float()
        for step, strip in walked.slices
    ]
    picture, size = walked.picture.float(), batch.window.frame
    margin = 1 - batch.window.width * batch.window.height / size**2
    with torch.no_grad():
        real_features = features(batch.real)
    losses = {
        "adversarial": adversarial_loss(discriminators.of_pictures(walked.picture).float(), real=True),
        "slice_adversarial": torch.stack([adversarial_loss(logits, real=True) for logits in of_slices]).mean(),
        "l1": F.l1_loss(picture, batch.real) / margin,
        "hue_color": hue_color_loss(picture, batch.real) / margin,
        "style": style_loss(features(walked.picture), real_features),
    }
    if perceptual is not None:
        with torch.no_grad():
            seen = perceptual(batch.real)
        losses["perceptual"] = perceptual_loss(perceptual(walked.picture), seen)
    return losses


def train_slices(
    recipe: SliceRecipe,
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
    """Train, or go on training, the SliceGAN of a recipe.

    Args:
        recipe: what to train and how.
        crops: the aligned crops; only the training split is seen.
        folder: the run's folder; gets weights.safetensors when done.
        runs: the folder with the runs of the ImagineGAN and of the feature networks.
        device, precision, minutes, progress: as in ``train_age``.
        finish: when the minutes are over, the training is complete.
        watch: see ``train_adversarially``.

    Returns:
        True when the training is complete, False when it ran out of time.

    Raises:
        CheckpointError: the folder holds a run of another recipe, or one of those runs is missing.
    """
    fabric = make_fabric(device, precision=precision)
    crops.check_data(JOIN.join(recipe.sets))
    run = Run(folder, recipe, fabric.device.type, minutes, finishes=finish)
    if run.is_complete:
        return True
    torch.manual_seed(recipe.seed)
    imaginer = load_imaginer(runs / recipe.imagine)[1].requires_grad_(False).to(fabric.device)
    features = channels_last(load_features(recipe.features, runs, recipe.features_size)).to(fabric.device)
    gan = channels_last(make_slice_gan(recipe, features.style_encoder()))
    widths = recipe.network.discriminator_width, recipe.network.slice_discriminator_width
    discriminators = channels_last(SliceDiscriminators(*widths)).to(fabric.device)
    gan = gan.to(fabric.device)
    perceptual = _perceptual(recipe, runs, fabric)

    def play(shown: Shown, step: int) -> _Round:
        batch = make_batch(shown, recipe, step, imaginer, fabric)
        return _Round(walk(gan, batch), batch, discriminators, features, perceptual)

    facts = {"imagine": recipe.imagine, "features": recipe.features}
    return train_adversarially(recipe, crops, run, fabric, gan, discriminators, play, progress, facts, watch)


def _perceptual(recipe: SliceRecipe, runs: Path, fabric: Fabric) -> Features | None:
    if recipe.perceptual_features is None:
        return None
    return channels_last(load_features(recipe.perceptual_features, runs, recipe.perceptual_size)).to(fabric.device)


@dataclass(frozen=True)
class _Round:
    walked: Walked
    batch: Batch
    discriminators: SliceDiscriminators
    features: Features
    perceptual: Features | None

    def discriminator_loss(self) -> Tensor:
        return discriminator_loss(self.discriminators, self.walked, self.batch)

    def losses(self) -> dict[str, Tensor]:
        return slice_losses(self.discriminators, self.walked, self.batch, self.features, self.perceptual)

    def made(self) -> tuple[Tensor, Tensor]:
        given = self.batch.given
        return self.walked.picture - given, self.batch.real - given

    def sample(self) -> Tensor:
        return torch.cat([self.batch.given, self.walked.picture, self.batch.real], dim=3)


def make_slice_gan(recipe: SliceRecipe, style: StyleEncoder) -> SliceGAN:
    """The untrained SliceGAN of a recipe."""
    network = recipe.network
    return SliceGAN(style, network.width, network.blocks, network.thickness, residual=network.residual)


def load_slice_gan(folder: Path) -> tuple[SliceRecipe, SliceGAN]:
    """The trained SliceGAN of a run folder, in evaluation mode.

    Raises:
        CheckpointError: the folder holds no finished run of a SliceGAN.
    """
    recipe, tensors = load_run(folder, SliceRecipe)
    return recipe, fill(build_slice_gan(recipe, tensors), tensors, folder)


def build_slice_gan(recipe: SliceRecipe, tensors: dict[str, Tensor]) -> SliceGAN:
    """The SliceGAN of a recipe, its style encoder of the VGG that these weights are of; they aren't loaded yet.

    Raises:
        CheckpointError: they are no SliceGAN's.
    """
    prefix = "style.layers."
    layers = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    if not layers:
        raise CheckpointError(f"{recipe.name}: its weights have no style encoder; train it again")
    return make_slice_gan(recipe, StyleEncoder(style_layers_of(layers), 0.0, 1.0))
