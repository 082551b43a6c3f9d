"""Frozen activations in which pictures are compared, and whose statistics are a style."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Literal, Protocol, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spiralage.errors import RecipeError
from spiralage.networks.age import AgeNetwork
from spiralage.networks.backbones.blurred import BlurredAlexNet, blurred_vgg16
from spiralage.networks.backbones.vgg import LAYERS, VGGName, convolutions, folded
from spiralage.networks.restorers.slices import StyleEncoder

STYLE_BLOCK = 2
"""VGG's block, counted from 0, whose last activation tells styles."""

_BLURRED = 6
"""A layer that is a convolution where a VGG16 blurs, and none where it doesn't."""

Layers: TypeAlias = Literal["perceptual", "style", "lpips"]
"""Which activations of a network are compared."""
_LAST = 4
"""No block of a VGG has more ReLUs."""
RELUS: dict[Layers, dict[int, int]] = {
    "perceptual": {1: 1, 2: 1, 3: 1, 4: 1, 5: 1},
    "style": {2: 2, 3: _LAST, 4: _LAST, 5: 2},
    "lpips": {1: _LAST, 2: _LAST, 3: _LAST, 4: _LAST, 5: _LAST},
}
"""The ReLU that counts in each block, as the papers count them; a block that has fewer gives its last.

"perceptual": relu1_1 … relu5_1 (SpiralNet, whose loss sums their distances). "style": relu2_2, relu3_4, relu4_4
and relu5_2 of VGG19 (SpiralNet), of VGG16 the nearest ones: relu2_2, relu3_3, relu4_3 and relu5_2. "lpips": the
last of each block (Zhang et al. 2018; relu1_2, relu2_2, relu3_3, relu4_3, relu5_3 of VGG16). A block of
ImageNet's AlexNet is one convolution. Age networks of other families have one list of activations, whatever is
asked for.
"""


class _Activations(Protocol):
    def activations(self, x: Tensor) -> list[Tensor]: ...


class Features(nn.Module):
    """A frozen network's activations. Gradients flow through to the picture, never into the weights.

    The papers compare activations of ImageNet's VGG19; with an age network what is compared is what age is
    read from.

    Args:
        backbone: a VGG, or its convolutional part alone as first layer; a ``BlurredAlexNet``; or what has
            ``activations``.
        mean, std: of the pictures that it knows, (3,) or a number, RGB in [0, 1].
        size: pictures are brought to this side before they are compared, pixels; None leaves them.
        layers: which activations, see ``RELUS``.
        deepest: the last block that is looked at, 1 … 5; what lies deeper isn't computed. None: the last there is.

    Example:
        >>> features = Features(nn.Sequential(convolutions("vgg16", 4)), 0.5, 0.25, layers="style", deepest=3)
        >>> [tuple(a.shape[1:]) for a in features(torch.zeros(1, 3, 32, 32))]  # relu2_2 and relu3_3
        [(8, 16, 16), (16, 8, 8)]
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        mean: Tensor | float,
        std: Tensor | float,
        size: int | None = None,
        *,
        layers: Layers = "perceptual",
        deepest: int | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()
        self.size = size
        self.deepest = deepest
        self.taps = _taps(backbone, RELUS[layers], deepest)
        self.register_buffer("mean", torch.as_tensor(mean).reshape(-1, 1, 1))
        self.register_buffer("std", torch.as_tensor(std).reshape(-1, 1, 1))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """(N, 3, S, S) float in [0, 1] → activations, finest first."""
        if self.size is not None and pictures.shape[-1] != self.size:
            pictures = F.interpolate(pictures, size=(self.size, self.size), mode="bilinear", align_corners=False)
        x = self._normalised(pictures)
        layers = _convolutional(self.backbone)
        if layers is None:
            return cast(_Activations, self.backbone).activations(x)[: self.deepest]
        found = []
        for number, layer in enumerate(islice(layers, self.taps[-1] + 1)):
            x = layer(x)
            if number in self.taps:
                found.append(x)
        return found

    def style_encoder(self) -> StyleEncoder:
        """Tells styles by VGG's last activation at a quarter of the resolution.

        Raises:
            RecipeError: the network isn't a VGG.
        """
        layers = _vgg(self.backbone)
        if layers is None:
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


def style_layers_of(tensors: Mapping[str, Tensor]) -> nn.Sequential:
    """Layers that fit the tensors of a ``style_layers``, by their names and shapes; the tensors aren't loaded.

    Example:
        >>> style_layers_of(style_layers(convolutions("vgg19", 4)).state_dict())[-2].out_channels
        16
    """
    numbers = sorted({int(name.partition(".")[0]) for name in tensors})
    width = len(tensors[f"{numbers[0]}.weight"])
    if _BLURRED in numbers:
        return style_layers(blurred_vgg16(width))
    return style_layers(convolutions(vgg_with(len(numbers)), width))


def vgg_with(count: int) -> VGGName:
    """The VGG that has so many convolutions up to where styles are taken from."""
    return "vgg16" if count == sum(LAYERS["vgg16"][: STYLE_BLOCK + 1]) else "vgg19"


def _vgg(backbone: nn.Module) -> nn.Sequential | None:
    """The convolutional part of a VGG: a MobileNet begins with a Sequential, too, but pools nothing."""
    layers = backbone[0] if isinstance(backbone, nn.Sequential) else None
    pools = isinstance(layers, nn.Sequential) and any(isinstance(layer, nn.MaxPool2d) for layer in layers)
    return cast(nn.Sequential, layers) if pools else None


def _convolutional(backbone: nn.Module) -> nn.Sequential | None:
    """The layers one after the other, of a network in which activations can be chosen."""
    return backbone if isinstance(backbone, BlurredAlexNet) else _vgg(backbone)


def _taps(backbone: nn.Module, relus: Mapping[int, int], deepest: int | None) -> list[int]:
    """The numbers of the layers whose answers count."""
    layers = _convolutional(backbone)
    if layers is None:
        return []
    starts = nn.Conv2d if isinstance(backbone, BlurredAlexNet) else nn.MaxPool2d
    blocks: list[list[int]] = [[]]
    for number, layer in enumerate(layers):
        if isinstance(layer, nn.ReLU):
            blocks[-1].append(number)
        elif isinstance(layer, starts) and blocks[-1]:
            blocks.append([])
    chosen = [(block, number) for block, number in relus.items() if deepest is None or block <= deepest]
    return [blocks[block - 1][min(number, len(blocks[block - 1])) - 1] for block, number in chosen]


def age_features(
    network: AgeNetwork, size: int | None = None, *, layers: Layers = "perceptual", deepest: int | None = None
) -> Features:
    """The features of an age network."""
    backbone = network.get_submodule("backbone")
    return Features(backbone, network.MEAN, network.STD, size, layers=layers, deepest=deepest)
