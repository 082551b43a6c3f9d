"""Feature networks: frozen activations in which pictures are compared, and whose statistics are a style."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spiralage.errors import CheckpointError, ModelFileError, RecipeError
from spiralage.files import sha256_of
from spiralage.networks.age import AgeNetwork
from spiralage.networks.backbones.vgg import VGG, convolutions, folded
from spiralage.networks.restorers.slices import StyleEncoder
from spiralage.training.tasks.age import load_age_network

IMAGENET = "vgg19"
"""The recipe value that asks for ImageNet's VGG19 instead of an age network."""
IMAGENET_FILE = "vgg19-dcbb9e9d.pth"
"""torchvision's name of its weights; the digits are the start of the file's SHA-256."""
STYLE_BLOCK = 2


class _Backbone(Protocol):
    def features(self, x: Tensor) -> list[Tensor]: ...


class Features(nn.Module):
    """A frozen network's activations. Gradients flow through to the picture, never into the weights.

    The papers compare activations of ImageNet's VGG19; with an age network what is compared is what age is
    read from.

    Args:
        backbone: has ``features``.
        mean, deviation: of the pictures that it knows, (3,) or a number, RGB in [0, 1].
        size: pictures are brought to this side before they are compared, pixels; None leaves them.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, backbone: nn.Module, mean: Tensor | float, deviation: Tensor | float, size: int | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()
        self.size = size
        self.register_buffer("mean", torch.as_tensor(mean).reshape(-1, 1, 1))
        self.register_buffer("deviation", torch.as_tensor(deviation).reshape(-1, 1, 1))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """(N, 3, S, S) float in [0, 1] → activations, finest first."""
        if self.size is not None and pictures.shape[-1] != self.size:
            pictures = F.interpolate(pictures, size=(self.size, self.size), mode="bilinear", align_corners=False)
        return cast(_Backbone, self.backbone).features(self._normalised(pictures))

    def style_encoder(self) -> StyleEncoder:
        """Tells styles by VGG's last activation at a quarter of the resolution.

        Raises:
            RecipeError: the network isn't a VGG.
        """
        layers = self.backbone[0] if isinstance(self.backbone, nn.Sequential) else None
        if not isinstance(layers, nn.Sequential):
            name = type(self.backbone).__name__
            raise RecipeError(f"styles are told by a VGG, not by {name}; choose features of a VGG")
        return StyleEncoder(style_layers(layers), self.mean.flatten(), self.deviation.flatten())

    def _normalised(self, pictures: Tensor) -> Tensor:
        return (pictures - self.mean) / self.deviation


def style_layers(layers: nn.Sequential) -> nn.Sequential:
    """The leading layers of a VGG's convolutional part, up to its last ReLU at a quarter of the resolution.

    Batch norms are folded: what tells styles is part of a network that trains, and mustn't learn from its strips.
    """
    pools = [index for index, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    return folded(nn.Sequential(*list(layers)[: pools[STYLE_BLOCK]]))


class _ImageNetVGG19(nn.Sequential):
    """VGG19's convolutions alone, laid out as ``VGG``."""

    def __init__(self) -> None:
        super().__init__(convolutions("vgg19"))

    features = VGG.features


def age_features(network: AgeNetwork, size: int | None = None) -> Features:
    """The features of an age network."""
    return Features(network.backbone, network.MEAN, network.DEVIATION, size)


def imagenet_features(path: Path, size: int | None = None) -> Features:
    """The features of VGG19, trained on ImageNet, from torchvision's file.

    Args:
        path: ``vgg19-dcbb9e9d.pth``.
        size: see ``Features``.

    Raises:
        ModelFileError: missing, changed, or not VGG19.
    """
    pinned = IMAGENET_FILE.removesuffix(".pth").rpartition("-")[2]
    if not path.is_file():
        raise ModelFileError(f"{path}: no such file; put torchvision's {IMAGENET_FILE} there or set SPIRALAGE_MODELS")
    if not sha256_of(path).startswith(pinned):
        raise ModelFileError(f"{path}: its SHA-256 doesn't begin with {pinned}; fetch the file again")
    network = _ImageNetVGG19()
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)  # tensors alone: no code is run
        kept = {name.replace("features.", "0.", 1): t for name, t in tensors.items() if name.startswith("features.")}
        network.load_state_dict(kept)
    except (RuntimeError, AttributeError, EOFError, ValueError) as error:
        raise ModelFileError(f"{path}: not torchvision's VGG19 ({str(error).splitlines()[0]})") from error
    return Features(network, torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225]), size)


def imagenet_file() -> Path:
    """Where torchvision's VGG19 is: in the folder that ``SPIRALAGE_MODELS`` names, else in torch's hub cache."""
    folder = os.environ.get("SPIRALAGE_MODELS")
    if folder and (Path(folder) / IMAGENET_FILE).is_file():
        return Path(folder) / IMAGENET_FILE
    return Path(torch.hub.get_dir()) / "checkpoints" / IMAGENET_FILE


def load_features(name: str, runs: Path, size: int | None = None) -> Features:
    """The feature network that a recipe names.

    Args:
        name: "vgg19", or the name of an age recipe.
        runs: the folder with the age recipes' runs.
        size: see ``Features``.

    Raises:
        ModelFileError: torchvision's file is neither in ``SPIRALAGE_MODELS`` nor in the hub cache, or was changed.
        CheckpointError: the age network isn't trained yet.
    """
    if name == IMAGENET:
        return imagenet_features(imagenet_file(), size)
    if not (runs / name).is_dir():
        raise CheckpointError(f"{runs / name}: no such run; run: spiralage train age recipes/{name}.toml")
    return age_features(load_age_network(runs / name)[1], size)
