"""A small residual network, quick to train on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from spiralage.networks.initialise import initialise


class ResidualBlock(nn.Module):
    """x + conv(relu(norm(conv(relu(norm(x)))))), 3×3; channels and size kept (He et al. 2016, v2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        )

    def start_as_identity(self) -> None:
        """Zero the last convolution, so that training starts from x alone."""
        for parameter in self.body[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return x + out


class CompactNet(nn.Module):
    """A residual network of few, wide convolutions at low resolution: fast on a CPU in bfloat16.

    Input (N, 3, S, S) with S ≥ 32, 112 in its recipe; output (N, 384); 6.9 million parameters.

    Args:
        widths: channels at 1/8, 1/16 and 1/32 of the input's side.
        blocks: residual blocks at each of them.
        dropout: of the output.
    """

    smallest: ClassVar[int] = 32
    former: ClassVar[Mapping[str, str]] = {"backbone.head.0.": "backbone.norm.", "backbone.head.2.": "head.logits."}

    def __init__(
        self,
        widths: tuple[int, int, int] = (128, 256, 384),
        blocks: tuple[int, int, int] = (2, 2, 1),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0] // 2, 4, 4), nn.ReLU(), nn.Conv2d(widths[0] // 2, widths[0], 3, 2, 1)
        )
        stages: list[nn.Module] = []
        for index, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            down = [nn.Conv2d(widths[index - 1], width, 3, 2, 1)] if index else []
            stages.append(nn.Sequential(*down, *(ResidualBlock(width) for _ in range(count))))
        self.stages = nn.ModuleList(stages)
        self.width = widths[-1]
        self.norm = nn.LayerNorm(self.width)
        self.dropout = nn.Dropout(dropout)
        initialise(self)
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                module.start_as_identity()

    def activations(self, x: Tensor) -> list[Tensor]:
        """The activations after the stem and after each stage, finest first."""
        out = [self.stem(x)]
        for stage in self.stages:
            out.append(stage(out[-1]))
        return out

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.relu(self.activations(x)[-1]).mean(dim=(2, 3))  # (N, 384)
        features: Tensor = self.dropout(self.norm(pooled))
        return features
