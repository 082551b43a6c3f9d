"""MobileNet (Howard et al. 2017) as Savchenko (PeerJ Computer Science 2019) trained it on faces.

His network learned to recognise people on VGGFace2, then age and sex on IMDB-WIKI. The published file has
its batch norms folded into the convolutions, so this network has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

STAGES = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
"""Channels and stride of the thirteen separable convolutions."""
EMBEDDING, HIDDEN = 1024, 256


class SameConv(nn.Conv2d):
    """A 3×3 convolution padded as TensorFlow's "SAME": at stride 2 only right and below."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride, padding=1 if stride == 1 else 0, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)) if self.stride[0] == 2 else x)


class MobileNet(nn.Sequential):
    """Convolution, thirteen depthwise separable convolutions, mean over places, a linear layer.

    Input (N, 3, S, S) with S divisible by 32, 224 in the original; output (N, 256); 3.5 million
    parameters.

    Layers: 0 the first convolution, 1…13 the separable ones, then pooling and the linear layer.

    Args:
        dropout: of the output.
    """

    width = HIDDEN
    smallest: ClassVar[int] = 32
    former: ClassVar[Mapping[str, str]] = {"backbone.19.": "head.logits."}

    def __init__(self, dropout: float = 0.2) -> None:
        layers: list[nn.Module] = [nn.Sequential(SameConv(3, 32, 2), nn.ReLU6())]
        channels = 32
        for width, stride in STAGES:
            layers.append(
                nn.Sequential(
                    SameConv(channels, channels, stride, groups=channels),
                    nn.ReLU6(),
                    nn.Conv2d(channels, width, 1),
                    nn.ReLU6(),
                )
            )
            channels = width
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(EMBEDDING, HIDDEN), nn.ReLU()]
        layers += [nn.Dropout(dropout)]
        super().__init__(*layers)

    def activations(self, x: Tensor) -> list[Tensor]:
        """The activations at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input's side, finest first."""
        out = []
        for index in range(len(STAGES) + 1):
            x = self[index](x)
            if index in (1, 3, 5, 11, 13):
                out.append(x)
        return out
