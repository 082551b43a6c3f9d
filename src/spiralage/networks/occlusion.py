"""What hides a face: a small encoder-decoder, aligned crop → probability hidden of every pixel."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spiralage.networks.initialise import initialise

PRIOR = 0.15
"""The part of pixels that an untrained network takes for hidden: about what drawn occluders hide in training."""


class OcclusionNetwork(nn.Module):
    """Aligned crops in, P(hidden) of each pixel out.

    Few, wide convolutions at low resolution: a 4×4 convolution of stride 4 is the first thing, so that fine detail
    (cloth, the edge of a mask) is in its channels, and no convolution runs at more than 64×64 places. Residual blocks
    at 1/8, 1/16 and 1/32 of the side; each level is added to the one above it, brought to its size (Lin et al. 2017,
    FPN). The answer has ``SIDE`` pixels: each of the 64×64 places tells four (Shi et al. 2016).

    Normalising and bringing the answer to the crop's size are part of the network, so training, evaluation and the
    exported ONNX file can't disagree on them.

    Args:
        widths: channels at 1/4, 1/8, 1/16 and 1/32 of the crop's side.
        blocks: residual blocks at the last three.
        threshold: from which probability on a pixel is hidden: what was chosen on validation faces. The network gives
            probabilities all the same; whoever reads them finds it beside the weights.
    """

    SIDE = 128
    MEAN, STD = 0.5, 0.25
    """Of pictures in [0, 1]."""

    threshold: Tensor

    def __init__(
        self,
        widths: tuple[int, int, int, int] = (24, 64, 128, 192),
        blocks: tuple[int, int, int] = (1, 1, 2),
        threshold: float = 0.5,
    ) -> None:
        super().__init__()
        first, *deeper = widths
        self.stem = nn.Sequential(nn.Conv2d(3, first, 4, 4), nn.ReLU(), _normed(first, first))
        self.levels = nn.ModuleList(
            nn.Sequential(_normed(before, width, stride=2), *(Block(width) for _ in range(count)))
            for before, width, count in zip(widths, deeper, blocks, strict=False)
        )
        shared = deeper[0]
        self.lateral = nn.ModuleList(nn.Conv2d(width, shared, 1) for width in deeper)
        self.smooth = nn.ModuleList(_normed(shared, shared) for _ in deeper[1:])
        self.narrow = nn.Conv2d(shared, first, 1)
        self.last = _normed(first, first)
        self.logits4 = nn.Conv2d(first, 4, 1)
        self.register_buffer("threshold", torch.tensor(threshold))
        initialise(self)
        nn.init.normal_(self.logits4.weight, std=0.01)
        if self.logits4.bias is not None:
            nn.init.constant_(self.logits4.bias, math.log(PRIOR / (1 - PRIOR)))

    def logits(self, crops: Tensor) -> Tensor:
        """(N, 256, 256, 3) uint8 RGB → logits of P(hidden), (N, 128, 128) float32."""
        # (crop / 255 − MEAN) / STD, with a pass over the pixels less.
        pictures = crops.permute(0, 3, 1, 2).float() * (1 / (255 * self.STD)) - self.MEAN / self.STD
        fine = self.stem(pictures)  # (N, 24, 64, 64)
        found, x = [], fine
        for level in self.levels:
            x = level(x)
            found.append(x)  # (N, 64, 32, 32), (N, 128, 16, 16), (N, 192, 8, 8)
        x = self.lateral[-1](found[-1])
        for index in range(len(found) - 2, -1, -1):
            x = self.smooth[index](self.lateral[index](found[index]) + F.interpolate(x, scale_factor=2))
        x = self.last(fine + F.interpolate(self.narrow(x), scale_factor=2))  # (N, 24, 64, 64)
        return F.pixel_shuffle(self.logits4(x), 2)[:, 0].float()

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 256, 256, 3) uint8 RGB, 0 beyond the photo → P(hidden), (N, 256, 256) float32 in [0, 1]."""
        small = self.logits(crops)[:, None]
        whole = F.interpolate(small, size=crops.shape[1:3], mode="bilinear", align_corners=False)
        return torch.sigmoid(whole[:, 0])


class Block(nn.Module):
    """relu(x + norm(conv(relu(norm(conv(x)))))), 3×3, channels and size kept (He et al. 2016).

    Batch norms follow their convolutions, so that ONNX Runtime folds them into these.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _normed(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


def _normed(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU())
