"""Frozen activations in which pictures are compared, and whose statistics are a style."""

from __future__ import annotations

from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spiralage.errors import RecipeError
from spiralage.networks.age import AgeNetwork
from spiralage.networks.backbones.vgg import VGG, convolutions, folded
from spiralage.networks.restorers.slices import StyleEncoder

STYLE_BLOCK = 2
"""VGG's block, counted from 0, whose last activation tells styles."""


class _Activations(Protocol):
    def activations(self, x: Tensor) -> list[Tensor]: ...


class Features(nn.Module):
    """A frozen network's activations. Gradients flow through to the picture, never into the weights.

    The papers compare activations of ImageNet's VGG19; with an age network what is compared is what age is
    read from.

    Args:
        backbone: has ``activations``.
        mean, std: of the pictures that it knows, (3,) or a number, RGB in [0, 1].
        size: pictures are brought to this side before they are compared, pixels; None leaves them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, mean: Tensor | float, std: Tensor | float, size: int | None = None) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()
        self.size = size
        self.register_buffer("mean", torch.as_tensor(mean).reshape(-1, 1, 1))
        self.register_buffer("std", torch.as_tensor(std).reshape(-1, 1, 1))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """(N, 3, S, S) float in [0, 1] → activations, finest first."""
        if self.size is not None and pictures.shape[-1] != self.size:
            pictures = F.interpolate(pictures, size=(self.size, self.size), mode="bilinear", align_corners=False)
        return cast(_Activations, self.backbone).activations(self._normalised(pictures))

    def style_encoder(self) -> StyleEncoder:
        """Tells styles by VGG's last activation at a quarter of the resolution.

        Raises:
            RecipeError: the network isn't a VGG.
        """
        layers = self.backbone[0] if isinstance(self.backbone, nn.Sequential) else None
        if not isinstance(layers, nn.Sequential):
            name = type(self.backbone).__name__
            raise RecipeError(f"styles are told by a VGG, not by {name}; choose features of a VGG")
        return StyleEncoder(style_layers(layers), self.mean.flatten(), self.std.flatten())

    def _normalised(self, pictures: Tensor) -> Tensor:
        return (pictures - self.mean) / self.std


def style_layers(layers: nn.Sequential) -> nn.Sequential:
    """The leading layers of a VGG's convolutional part, up to its last ReLU at a quarter of the resolution.

    Batch norms are folded: what tells styles is part of a network that trains, and mustn't learn from its strips.
    """
    pools = [index for index, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    return folded(nn.Sequential(*list(layers)[: pools[STYLE_BLOCK]]))


class VGG19Convolutions(nn.Sequential):
    """VGG19's convolutions alone, laid out as ``VGG``."""

    def __init__(self) -> None:
        super().__init__(convolutions("vgg19"))

    activations = VGG.activations


def age_features(network: AgeNetwork, size: int | None = None) -> Features:
    """The features of an age network."""
    return Features(network.get_submodule("backbone"), network.MEAN, network.STD, size)
