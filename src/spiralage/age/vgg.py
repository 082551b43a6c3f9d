"""VGG (Simonyan and Zisserman 2015): DEX's backbone, and the network whose activations compare pictures.

Needs PyTorch (extra ``train``).
"""

from __future__ import annotations

from typing import Literal, TypeAlias, cast

from torch import Tensor, nn

from spiralage.age.distribution import MAX_AGE

VGGName: TypeAlias = Literal["vgg16", "vgg19"]

LAYERS: dict[VGGName, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions in each of the five blocks; a max-pooling of 2 ends each."""
WIDENING = (1, 2, 4, 8, 8)
"""Channels of the blocks, in widths of the first."""


def convolutions(name: VGGName, width: int = 64) -> nn.Sequential:
    """The convolutional part, with torchvision's layer numbers: (N, 3, S, S) → (N, 8·width, S/32, S/32).

    Args:
        name: which VGG.
        width: channels of the first block; 64 in the paper.
    """
    layers: list[nn.Module] = []
    channels = 3
    for count, widening in zip(LAYERS[name], WIDENING, strict=True):
        for _ in range(count):
            layers += [_scaled(nn.Conv2d(channels, width * widening, 3, padding=1)), nn.ReLU()]
            channels = width * widening
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def _scaled(convolution: nn.Conv2d) -> nn.Conv2d:
    """He's initialisation, as in torchvision; an age network's backbone is initialised so once more, as all are."""
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    nn.init.zeros_(cast(Tensor, convolution.bias))
    return convolution


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
    """VGG16 with a 101-way head, as DEX (Rothe et al. 2015) reads ages with.

    Input (N, 3, S, S) with S ≥ 32, 224 in the papers; output (N, 101) logits; 134.7 million parameters at
    width 64, of which the convolutions have 14.7.

    Args:
        name: which VGG.
        width: channels of the first block; the linear layers have 64 times as many.
        dropout: before each of the last two layers.

    Example:
        >>> import torch
        >>> VGG(width=4)(torch.zeros(1, 3, 32, 32)).shape
        torch.Size([1, 101])
    """

    def __init__(self, name: VGGName = "vgg16", width: int = 64, dropout: float = 0.5) -> None:
        hidden = 64 * width
        super().__init__(
            convolutions(name, width),
            nn.AdaptiveAvgPool2d(7),
            nn.Flatten(),
            nn.Linear(8 * width * 49, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, MAX_AGE + 1),
        )

    def features(self, x: Tensor) -> list[Tensor]:
        """relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1, finest first."""
        layers = self[0]
        assert isinstance(layers, nn.Sequential)
        return [block[0] for block in block_activations(layers, x)]
