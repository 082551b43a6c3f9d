"""``spiralage train slices recipes/NAME.toml``: train SliceGAN to walk the spiral on aligned crops."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F

from spiralage.datasets.crops import Crops
from spiralage.networks.backbones.vgg import LAYERS, VGGName, convolutions
from spiralage.networks.restorers.discriminators import DenseCritic, PatchCritic
from spiralage.networks.restorers.imagine import CropImaginer
from spiralage.networks.restorers.slices import SliceGAN, StyleEncoder
from spiralage.occlusion.window import Window, margin_mask
from spiralage.restoration.spiral import Step
from spiralage.training.adversarial import train_adversarially
from spiralage.training.features import STYLE_BLOCK, Features, load_features, style_layers
from spiralage.training.loop import Device, Run, channels_last, load_run, make_fabric
from spiralage.training.losses import adversarial_loss, hue_color_loss, perceptual_loss, style_loss
from spiralage.training.recipes import SliceRecipe
from spiralage.training.tasks.age import Progress, no_progress
from spiralage.training.tasks.imagine import draw_window, load_imaginer, mirror_some
from spiralage.types import Pixels

SLICE_HALVINGS = 2
THINNEST = 12  # what the slices' critic needs, pixels


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


def make_batch(pictures: Pixels, recipe: SliceRecipe, step: int, imaginer: CropImaginer, fabric: Fabric) -> Batch:
    """A step's pictures, half of them mirrored, its window, and what is imagined around it."""
    rng = np.random.default_rng((recipe.seed, step))
    crops = torch.from_numpy(mirror_some(pictures, rng)).to(fabric.device)
    window, size = draw_window(recipe.windows, rng), recipe.network.size
    hidden = torch.from_numpy(margin_mask(window).astype(np.uint8)).to(fabric.device)
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


class Critics(nn.Module):
    """The critic of whole pictures and that of slices.

    Args:
        width, slice_width: channels of their first layers.
    """

    def __init__(self, width: int, slice_width: int) -> None:
        super().__init__()
        self.whole = DenseCritic(width, width // 2)
        self.slice = PatchCritic(slice_width, SLICE_HALVINGS)

    def judge_slices(self, slices: list[tuple[Tensor, Tensor]], *, real: bool) -> Tensor:
        """The mean adversarial loss of (slice, imaginary slice) pairs."""
        losses = [adversarial_loss(self.slice(*map(_thick, pair)).float(), real=real) for pair in slices]
        return torch.stack(losses).mean()

    def judge(self, pictures: Tensor, *, real: bool) -> Tensor:
        """The adversarial loss of whole pictures."""
        return adversarial_loss(self.whole(pictures).float(), real=real)


def _thick(strip: Tensor) -> Tensor:
    """A strip that was cut at the border, its last pixels repeated until the critic can see it."""
    height, width = strip.shape[2:]
    missing = (0, max(THINNEST - width, 0), 0, max(THINNEST - height, 0))
    return F.pad(strip, missing, mode="replicate")


def critic_loss(critics: Critics, walked: Walked, batch: Batch) -> Tensor:
    """How badly the critics tell real from painted, whole pictures and slices."""
    whole = critics.judge(batch.real, real=True) + critics.judge(walked.picture.detach(), real=False)
    painted = [(strip.detach(), batch.imagined[(..., *step.strip.slices)]) for step, strip in walked.slices]
    real = [(batch.real[(..., *s.strip.slices)], batch.imagined[(..., *s.strip.slices)]) for s, _ in walked.slices]
    slices = critics.judge_slices(real, real=True) + critics.judge_slices(painted, real=False)
    return (whole + slices) / 2


def slice_losses(
    critics: Critics, walked: Walked, batch: Batch, features: Features, perceptual: Features | None = None
) -> dict[str, Tensor]:
    """The painter's losses, unweighted; a perceptual one if there is a network to compare pictures with.

    L1 and hue-color are means over the margin: what is visible is equal anyway and would only thin them.
    """
    painted = [(strip, batch.imagined[(..., *step.strip.slices)]) for step, strip in walked.slices]
    picture, size = walked.picture.float(), batch.window.frame
    margin = 1 - batch.window.width * batch.window.height / size**2
    with torch.no_grad():
        real_features = features(batch.real)
    losses = {
        "adversarial": critics.judge(walked.picture, real=True),
        "slice_adversarial": critics.judge_slices(painted, real=True),
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
    crops: Crops,
    folder: Path,
    runs: Path,
    *,
    device: Device = "auto",
    minutes: float | None = None,
    progress: Progress = no_progress,
) -> bool:
    """Train, or go on training, the SliceGAN of a recipe.

    Args:
        recipe: what to train and how.
        crops: the aligned crops; only the training split is seen.
        folder: the run's folder; gets weights.safetensors when done.
        runs: the folder with the runs of the ImagineGAN and of the feature networks.
        device, minutes, progress: as in ``train_age``.

    Returns:
        True when the training is complete, False when it ran out of time.

    Raises:
        CheckpointError: the folder holds a run of another recipe, or one of those runs is missing.
    """
    fabric = make_fabric(device)
    crops.check_data(recipe.data)
    run = Run(folder, recipe, fabric.device.type, minutes)
    if run.is_complete:
        return True
    torch.manual_seed(recipe.seed)
    imaginer = load_imaginer(runs / recipe.imagine)[1].requires_grad_(False).to(fabric.device)
    features = channels_last(load_features(recipe.features, runs, recipe.features_size)).to(fabric.device)
    gan = channels_last(make_slice_gan(recipe, features.style_encoder()))
    critics = channels_last(Critics(recipe.network.critic_width, recipe.network.slice_critic_width))
    gan, critics = gan.to(fabric.device), critics.to(fabric.device)
    perceptual = _perceptual(recipe, runs, fabric)

    def play(faces: Pixels, step: int) -> _Turn:
        batch = make_batch(faces, recipe, step, imaginer, fabric)
        return _Turn(walk(gan, batch), batch, critics, features, perceptual)

    facts = {"imagine": recipe.imagine, "features": recipe.features}
    return train_adversarially(recipe, crops, run, fabric, gan, critics, play, progress, facts)


def _perceptual(recipe: SliceRecipe, runs: Path, fabric: Fabric) -> Features | None:
    if recipe.perceptual_features is None:
        return None
    return channels_last(load_features(recipe.perceptual_features, runs, recipe.perceptual_size)).to(fabric.device)


@dataclass(frozen=True)
class _Turn:
    walked: Walked
    batch: Batch
    critics: Critics
    features: Features
    perceptual: Features | None

    def critic_loss(self) -> Tensor:
        return critic_loss(self.critics, self.walked, self.batch)

    def losses(self) -> dict[str, Tensor]:
        return slice_losses(self.critics, self.walked, self.batch, self.features, self.perceptual)

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
    gan = build_slice_gan(recipe, tensors)
    gan.load_state_dict(tensors)
    return recipe, gan.eval()


def build_slice_gan(recipe: SliceRecipe, tensors: dict[str, Tensor]) -> SliceGAN:
    """The SliceGAN of a recipe, its style encoder of the VGG that these weights are of; they aren't loaded yet."""
    kernels = [value for name, value in tensors.items() if name.startswith("style.layers.") and value.ndim == 4]
    layers = convolutions(vgg_with(len(kernels)), width=len(kernels[0]))
    return make_slice_gan(recipe, StyleEncoder(style_layers(layers), 0.0, 1.0))


def vgg_with(count: int) -> VGGName:
    """The VGG that has so many convolutions up to where styles are taken from."""
    return "vgg16" if count == sum(LAYERS["vgg16"][: STYLE_BLOCK + 1]) else "vgg19"
