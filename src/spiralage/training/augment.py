"""Random changes of training pictures, with kornia."""

from __future__ import annotations

import kornia.augmentation as K
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spiralage.training.config import Augmentation


def make_augmentation(settings: Augmentation) -> nn.Module:
    """Flip, turn, shift, scale, colour, gray and blur of (N, 3, S, S) float pictures in [0, 1]."""
    return K.AugmentationSequential(
        K.RandomHorizontalFlip(p=0.5),
        K.RandomAffine(
            degrees=settings.rotation_degrees,
            translate=(settings.shift, settings.shift),
            scale=(1 - settings.scale, 1 + settings.scale),
            padding_mode="border",
            p=0.8,
        ),
        K.RandomBrightness((1 - settings.colour, 1 + settings.colour), p=0.5),
        K.RandomContrast((1 - settings.colour, 1 + settings.colour), p=0.5),
        K.RandomSaturation((1 - settings.colour, 1 + settings.colour), p=0.3),
        K.RandomGrayscale(p=settings.gray),
        K.RandomGaussianBlur((5, 5), (0.3, 1.2), p=settings.blur),
        data_keys=["input"],
    )


def random_view(crops: Tensor, crop: int, size: int) -> Tensor:
    """Crops at the size that a network trains on.

    Args:
        crops: (N, 256, 256, 3) uint8 RGB.
        crop: side of the square to cut, at a random place (one place per batch), pixels.
        size: side of the result, pixels.

    Returns:
        (N, 3, size, size) float in [0, 1].
    """
    if crop < crops.shape[1]:
        top, left = torch.randint(0, crops.shape[1] - crop + 1, (2,)).tolist()
        crops = crops[:, top : top + crop, left : left + crop]
    pictures = crops.permute(0, 3, 1, 2).float() / 255
    return pictures if size == crop else F.interpolate(pictures, size=(size, size), mode="area")
