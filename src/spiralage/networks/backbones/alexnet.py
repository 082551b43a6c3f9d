"""AlexNet, the backbone of the paper's age estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from spiralage.networks.initialise import initialise


class AlexNet(nn.Sequential):
    """AlexNet (Krizhevsky 2014, "one weird trick") with torchvision's layer widths.

    Input (N, 3, S, S) with S ≥ 63, 224 in the paper; output (N, 4096); 57.0 million parameters.

    >>> import torch
    >>> AlexNet()(torch.zeros(1, 3, 224, 224)).shape
    torch.Size([1, 4096])
    """

    width = 4096
    smallest: ClassVar[int] = 63
    former: ClassVar[Mapping[str, str]] = {"backbone.21.": "head.logits."}

    def __init__(self, dropout: float = 0.5) -> None:
        layers: list[nn.Module] = []
        channels = 3
        for width, kernel, stride, padding, pool in (
            (64, 11, 4, 2, True),
            (192, 5, 1, 2, True),
            (384, 3, 1, 1, False),
            (256, 3, 1, 1, False),
            (256, 3, 1, 1, True),
        ):
            layers += [nn.Conv2d(channels, width, kernel, stride, padding), nn.ReLU()]
            layers += [nn.MaxPool2d(3, 2)] if pool else []
            channels = width
        layers += [nn.AdaptiveAvgPool2d(6), nn.Flatten()]
        layers += [nn.Dropout(dropout), nn.Linear(256 * 6 * 6, 4096), nn.ReLU()]
        layers += [nn.Dropout(dropout), nn.Linear(4096, self.width), nn.ReLU()]
        super().__init__(*layers)
        initialise(self)

    def activations(self, x: Tensor) -> list[Tensor]:
        """The activations after each convolution's ReLU, finest first."""
        out = []
        for layer in self:
            if isinstance(layer, nn.AdaptiveAvgPool2d):
                break
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                out.append(x)
        return out
