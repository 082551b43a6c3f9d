"""VGG (Simonyan and Zisserman 2015): DEX's backbone, and the network whose activations compare pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias, cast

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from spiralage.networks.initialise import initialise

VGGName: TypeAlias = Literal["vgg16", "vgg19"]

LAYERS: dict[VGGName, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions in each of the five blocks; a max-pooling of 2 ends each."""
WIDENING = (1, 2, 4, 8, 8)
"""Channels of the blocks, in widths of the first."""


def convolutions(name: VGGName, width: int = 64, *, normed: bool = False) -> nn.Sequential:
    """The convolutional part, with torchvision's layer numbers: (N, 3, S, S) → (N, 8·width, S/32, S/32).

    Args:
        name: which VGG.
        width: channels of the first block; 64 in the paper.
        normed: with batch norm after every convolution, as torchvision's ``vgg16_bn``.
    """
    layers: list[nn.Module] = []
    channels = 3
    for count, widening in zip(LAYERS[name], WIDENING, strict=True):
        for _ in range(count):
            layers.append(nn.Conv2d(channels, width * widening, 3, padding=1))
            channels = width * widening
            layers += [nn.BatchNorm2d(channels), nn.ReLU()] if normed else [nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def folded(layers: nn.Sequential) -> nn.Sequential:
    """The same function, every batch norm of a trained convolutional part folded into the convolution before it.

    Example:
        >>> import torch
        >>> layers, x = convolutions("vgg16", 4, normed=True).eval(), torch.rand(1, 3, 32, 32)
        >>> bool(torch.allclose(folded(layers)(x), layers(x), atol=1e-4)), len(layers) - len(folded(layers))
        (True, 13)
    """
    kept: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            kept.append(fuse_conv_bn_eval(cast(nn.Conv2d, kept.pop()), layer))
        else:
            kept.append(layer)
    return nn.Sequential(*kept)


def block_activations(layers: nn.Sequential, x: Tensor) -> list[list[Tensor]]:
    """What every ReLU answers, block by block: ``[2][0]`` is relu3_1 in the paper's counting."""
    blocks: list[list[Tensor]] = [[]]
    for layer in layers:
        if isinstance(layer, nn.MaxPool2d):
            blocks.append([])
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            blocks[-1].append(x)
    return blocks[:-1]


class VGG(nn.Sequential):
    """VGG16, as DEX (Rothe et al. 2015) reads ages with.

    Input (N, 3, S, S) with S ≥ 32, 224 in the papers; output (N, 64·width); 134.3 million parameters at
    width 64, of which the convolutions have 14.7.

    Args:
        name: which VGG.
        width: channels of the first block; the linear layers have 64 times as many.
        dropout: after each of the two linear layers.
        normed: see ``convolutions``; DEX's has none and starts from ImageNet's weights instead.

    Example:
        >>> import torch
        >>> VGG(width=4)(torch.zeros(1, 3, 32, 32)).shape
        torch.Size([1, 256])
    """

    smallest: ClassVar[int] = 32
    former: ClassVar[Mapping[str, str]] = {"backbone.9.": "head.logits."}

    def __init__(self, name: VGGName = "vgg16", width: int = 64, dropout: float = 0.5, *, normed: bool = False) -> None:
        hidden = 64 * width
        super().__init__(
            convolutions(name, width, normed=normed),
            nn.AdaptiveAvgPool2d(7),
            nn.Flatten(),
            nn.Linear(8 * width * 49, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.width = hidden
        initialise(self)

    def activations(self, x: Tensor) -> list[Tensor]:
        """relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1, finest first."""
        layers = self[0]
        assert isinstance(layers, nn.Sequential)
        return [block[0] for block in block_activations(layers, x)]
