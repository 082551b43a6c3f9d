"""What of an aligned crop an age network sees."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spiralage.types import CROP_SIZE

Place: TypeAlias = tuple[int, int]
"""Top and left of a square in the crop, pixels."""


class CentredSquare(nn.Module):
    """The crop's centred square, shrunk: one view.

    Training and use share this code. Training may ask for another place, and for another size in early stages; its
    last stage has ``side``.

    Args:
        crop: side of the square, crop pixels.
        pool: it is average-pooled by this factor, which divides ``crop``; side = crop / pool.

    Example:
        >>> CentredSquare(crop=224, pool=2)(torch.zeros(5, 256, 256, 3, dtype=torch.uint8)).shape
        torch.Size([5, 3, 112, 112])
    """

    def __init__(self, *, crop: int, pool: int) -> None:
        super().__init__()
        if crop % pool:
            raise ValueError(f"pool must divide crop, got {crop} and {pool}")
        self.crop, self.pool = crop, pool

    @property
    def side(self) -> int:
        """Side of the view as it is used, pixels."""
        return self.crop // self.pool

    @property
    def centre(self) -> Place:
        """Where the square is in use."""
        start = (CROP_SIZE - self.crop) // 2
        return start, start

    def random_place(self) -> Place:
        """Somewhere in the crop, from PyTorch's generator."""
        if self.crop == CROP_SIZE:
            return self.centre
        top, left = torch.randint(0, CROP_SIZE - self.crop + 1, (2,)).tolist()
        return top, left

    def forward(self, crops: Tensor, *, size: int | None = None, place: Place | None = None) -> Tensor:
        """Cut the square out and shrink it; every pixel is the mean of those that it stands for.

        Args:
            crops: (N, 256, 256, 3) uint8 RGB.
            size: side of the result, pixels; None = ``side``.
            place: of the square; None = ``centre``.

        Returns:
            (N, 3, size, size) float32 in [0, 1].
        """
        top, left = place or self.centre
        square = crops[:, top : top + self.crop, left : left + self.crop]
        return shrink(square.permute(0, 3, 1, 2).float() / 255, size or self.side)

    def shrunk(self, masks: Tensor, size: int) -> Tensor:
        """What (256, 256) float is where the square is in use, shrunk: (1, 1, size, size)."""
        return self.masks(masks[None], size=size)

    def masks(self, masks: Tensor, *, size: int | None = None, place: Place | None = None) -> Tensor:
        """What the square shows of masks, shrunk as pictures are.

        Args:
            masks: (N, 256, 256) bool, uint8 or float, 1 = hidden.
            size: side of the result, pixels; None = ``side``.
            place: of the square; None = ``centre``.

        Returns:
            (N, 1, size, size) float32 in [0, 1]: the hidden part of what each pixel stands for.
        """
        top, left = place or self.centre
        square = masks[:, None, top : top + self.crop, left : left + self.crop]
        return shrink(square.float(), size or self.side)


def shrink(pictures: Tensor, size: int) -> Tensor:
    """(N, C, S, S) → (N, C, size, size), means over areas."""
    side = pictures.shape[-1]
    if side == size:
        return pictures
    if side % size == 0:  # the same numbers, and what ONNX has an operator for
        return F.avg_pool2d(pictures, side // size)
    return F.interpolate(pictures, size=(size, size), mode="area")
