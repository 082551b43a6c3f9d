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
from spiralage.errors import CheckpointError, RecipeError
from spiralage.networks.features import Features, style_layers_of
from spiralage.networks.restorers.discriminators import SliceDiscriminators
from spiralage.networks.restorers.imagine import CropImaginer
from spiralage.networks.restorers.slices import SliceGAN, StyleEncoder
from spiralage.occlusion.window import Window, largest_window
from spiralage.training.adversarial import Shown, Watch, no_watch, train_adversarially
from spiralage.training.covers import draw_cover
from spiralage.training.fabric import Device, Precision, make_fabric
from spiralage.training.features import load_features
from spiralage.training.loop import Progress, channels_last, no_progress
from spiralage.training.losses import (
    adversarial_loss,
    color_loss,
    discrimination_loss,
    inside_mean,
    perceptual_loss,
    style_loss,
)
from spiralage.training.recipes import SliceRecipe
from spiralage.training.run import Run, fill, load_run
from spiralage.training.tasks.imagine import go_on_from, load_imaginer, start_facts
from spiralage.types import CROP_SIZE, Doubles, Mask

LEAST = 32
"""Pixels of the crop that a window from which a walk is learned has at least in either direction."""
TRIES = 100


@dataclass(frozen=True)
class Batch:
    """What a training step sees; one mask for all its pictures, so that their slices have one shape.

    Args:
        real: (N, 3, size, size) float in [0, 1].
        imagined: the same with all that is hidden, or beyond the photo, as ImagineGAN imagines it; what slices are
            painted from.
        inside: (N, 1, size, size) bool, True where a pixel shows the photo alone and not what was put beyond it.
        hidden: (1, 1, size, size) bool, True where a pixel shows something of what the occluder hides.
        window: the largest that is visible, in the frame of that size.
    """

    real: Tensor
    imagined: Tensor
    inside: Tensor
    hidden: Tensor
    window: Window

    @property
    def visible(self) -> Tensor:
        """What the window shows; a pixel at its edge may have a part of what is imagined beyond."""
        return self.imagined[(..., *self.window.slices)]

    @property
    def given(self) -> Tensor:
        """The whole pictures, 0 where something is hidden."""
        return torch.where(self.hidden, 0, self.real)

    def real_beyond(self, picture: Tensor) -> Tensor:
        """A picture, real beyond the photo: nothing is learned there."""
        return torch.where(self.inside, picture, self.real)

    def real_where_visible(self, picture: Tensor) -> Tensor:
        """A picture, real where it is visible: as it is used."""
        return torch.where(self.hidden, picture, self.real)


def make_batch(shown: Shown, recipe: SliceRecipe, step: int, imaginer: CropImaginer, fabric: Fabric) -> Batch:
    """A step's pictures, half of them mirrored, its mask and window, and what is imagined around it.

    All have one mask, so an occluder is drawn on the first face for all of them.

    Raises:
        RecipeError: the recipe's occluders leave no window to walk from.
    """
    rng, size = np.random.default_rng((recipe.seed, step)), recipe.network.size
    shown = shown.mirrored(rng)
    mask, window = draw_window(shown.landmarks[0], recipe, rng)
    crops, hidden, beyond = (torch.from_numpy(x).to(fabric.device) for x in (shown.pictures, mask[None], ~shown.inside))
    noise = torch.from_numpy(rng.random((len(crops), 3, imaginer.size, imaginer.size), np.float32)).to(fabric.device)
    unseen = hidden | beyond  # (N, 256, 256): what was put beyond the photo is imagined, too
    with torch.no_grad(), fabric.autocast():
        imagined = imaginer(crops * ~unseen[..., None], unseen.to(torch.uint8), noise)
    return Batch(
        _in_frame(crops, size),
        _in_frame(torch.where(unseen[..., None], imagined, crops), size),
        ~_any_in_frame(beyond, size),
        _any_in_frame(hidden, size),
        window.in_frame(size),
    )


def draw_window(landmarks: Doubles, recipe: SliceRecipe, rng: np.random.Generator) -> tuple[Mask, Window]:
    """An occluder's mask on a face with these landmarks, and the largest window that it leaves: not tiny, nor all."""
    for _ in range(TRIES):
        mask = draw_cover(landmarks, recipe.windows, rng).mask
        window = largest_window(mask)
        if window is None or min(window.width, window.height) < LEAST:
            continue
        small = window.in_frame(recipe.network.size)  # where less than a pixel is hidden there is nothing to walk
        if min(small.width, small.height) < small.frame:
            return mask, window
    raise RecipeError(f"{recipe.name}: its windows leave nothing to walk from, or hide nothing; choose other occluders")


def _in_frame(crops: Tensor, size: int) -> Tensor:
    """(N, 256, 256, 3) uint8 → (N, 3, size, size) float in [0, 1]."""
    pictures = crops.permute(0, 3, 1, 2).float() / 255
    return F.interpolate(pictures, size=(size, size), mode="area").contiguous(memory_format=torch.channels_last)


def _any_in_frame(masks: Tensor, size: int) -> Tensor:
    """(N, 256, 256) bool → (N, 1, size, size) bool, True where any of a pixel's crop pixels is."""
    return F.max_pool2d(masks[:, None].float(), CROP_SIZE // size).bool()


@dataclass(frozen=True)
class Walked:
    """A walk's outcome.

    Args:
        picture: the whole, (N, 3, size, size) float in [0, 1].
        bands: over the seams of those steps that are judged.
        steps: how many there were.
    """

    picture: Tensor
    bands: tuple[Window, ...]
    steps: int


def walk(gan: SliceGAN, batch: Batch, bands: int | None = None, rng: np.random.Generator | None = None) -> Walked:
    """Walk the spiral from a batch's window.

    Args:
        gan: what walks.
        batch: where it starts.
        bands: so many of the steps are judged, drawn by ``rng``; all by default.
        rng: needed where ``bands`` is given.
    """
    picture, seams = batch.visible, []
    for step, _, picture in gan.walk(batch.visible, batch.imagined, batch.window):  # noqa: B007  # the last one
        seams.append(step.band)
    chosen = seams
    if bands is not None and rng is not None and bands < len(seams):
        chosen = [seams[i] for i in sorted(rng.choice(len(seams), bands, replace=False))]
    return Walked(picture, tuple(chosen), len(seams))


def discriminator_loss(discriminators: SliceDiscriminators, walked: Walked, batch: Batch) -> Tensor:
    """How badly the discriminators tell real from generated, whole pictures and bands over the seams."""
    picture = batch.real_beyond(walked.picture.detach())
    generated = [picture] if _only_window(batch) else [picture, batch.real_where_visible(picture)]
    whole = discriminators.of_pictures(torch.cat([batch.real, *generated])).float()
    real, *others = whole.chunk(1 + len(generated))
    doubts = [adversarial_loss(real, real=True), *(adversarial_loss(other, real=False) for other in others)]
    bands = [
        discrimination_loss(discriminators.of_bands(torch.cat([_cut(batch.real, at), _cut(picture, at)])).float())
        for at in walked.bands
    ]
    return (doubts[0] + torch.stack(doubts[1:]).mean()) / 2 + torch.stack(bands).mean() * walked.steps


def _only_window(batch: Batch) -> bool:
    """Whether the window is all that is visible: then the walk changes nothing that is."""
    return int((~batch.hidden).sum()) <= batch.window.width * batch.window.height


def _cut(picture: Tensor, at: Window) -> Tensor:
    return picture[(..., *at.slices)]


def slice_losses(
    discriminators: SliceDiscriminators,
    walked: Walked,
    batch: Batch,
    features: Features,
    perceptual: Features | None = None,
) -> dict[str, Tensor]:
    """The slice generator's losses, unweighted; a perceptual one if there is a network to compare pictures with.

    Pixels beyond the photo enter none of them.
    """
    picture = batch.real_beyond(walked.picture)
    plain = discriminators.of_pictures(picture).float()
    local = plain if _only_window(batch) else discriminators.of_pictures(batch.real_where_visible(picture)).float()
    bands = [adversarial_loss(discriminators.of_bands(_cut(picture, at)).float(), real=True) for at in walked.bands]
    with torch.no_grad():
        real_features = features(batch.real)
    losses = {
        "adversarial": adversarial_loss(plain, real=True),
        "local_adversarial": adversarial_loss(local, real=True),
        "slice_adversarial": torch.stack(bands).mean() * walked.steps,
        "l1": inside_mean((picture.float() - batch.real).abs(), batch.inside),
        "color": color_loss(picture.float(), batch.real, batch.inside),
        "style": style_loss(features(picture), real_features, reduction="sum"),
    }
    if perceptual is not None:
        with torch.no_grad():
            seen = perceptual(batch.real)
        losses["perceptual"] = perceptual_loss(perceptual(picture), seen)
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
        CheckpointError: the folder holds a run of another recipe, or one of those runs is missing; or what it starts
            from is another network.
    """
    fabric = make_fabric(device, precision=precision)
    crops.check_data(JOIN.join(recipe.sets))
    run = Run(folder, recipe, fabric.device.type, minutes, finishes=finish)
    if run.is_complete:
        return True
    torch.manual_seed(recipe.seed)
    imaginer = load_imaginer(runs / recipe.imagine)[1].requires_grad_(False).to(fabric.device)
    features = channels_last(load_features(recipe.features, runs, recipe.features_size, layers="style"))
    features = features.to(fabric.device)
    gan = channels_last(start_slice_gan(recipe, features.style_encoder(), runs))
    widths = recipe.network.discriminator_width, recipe.network.slice_discriminator_width
    discriminators = channels_last(SliceDiscriminators(*widths)).to(fabric.device)
    gan = gan.to(fabric.device)
    perceptual = _perceptual(recipe, runs, fabric)

    def play(shown: Shown, step: int) -> _Round:
        batch = make_batch(shown, recipe, step, imaginer, fabric)
        walked = walk(gan, batch, recipe.bands, np.random.default_rng((recipe.seed, step, 1)))
        return _Round(walked, batch, discriminators, features, perceptual)

    facts = {"imagine": recipe.imagine, "features": recipe.features, **start_facts(recipe.start, runs)}
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
        where = self.batch.hidden
        return torch.where(where, self.walked.picture, 0), torch.where(where, self.batch.real, 0)

    def sample(self) -> Tensor:
        return torch.cat([self.batch.given, self.walked.picture, self.batch.real], dim=3)


def make_slice_gan(recipe: SliceRecipe, style: StyleEncoder) -> SliceGAN:
    """The untrained SliceGAN of a recipe."""
    network = recipe.network
    return SliceGAN(style, network.width, network.blocks, network.thickness, residual=network.residual)


def start_slice_gan(recipe: SliceRecipe, style: StyleEncoder, runs: Path) -> SliceGAN:
    """The SliceGAN that a training begins with: untrained, or as the recipe that it starts from left it.

    Raises:
        CheckpointError: that recipe isn't trained, or its network is another.
    """
    gan = make_slice_gan(recipe, style)
    return gan if recipe.start is None else go_on_from(gan, runs / recipe.start, SliceRecipe, recipe.name)


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
    prefix = "context.vgg.layers."
    layers = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    if not layers:
        raise CheckpointError(f"{recipe.name}: its weights have no style encoder; train it again")
    return make_slice_gan(recipe, StyleEncoder(style_layers_of(layers), 0.0, 1.0))
