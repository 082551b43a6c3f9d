"""Random changes of training pictures, with kornia."""

from __future__ import annotations

import cv2
import kornia.augmentation as K
import numpy as np
import torch
from torch import Tensor, nn

from spiralage.networks.views import CentredSquare
from spiralage.occlusion.window import PAPER_WINDOW, margin_mask
from spiralage.training.recipes import Augmentation
from spiralage.types import Pixels

JPEG_QUALITY = (20, 90)


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


def augment_told(augment: nn.Module, pictures: Tensor) -> Tensor:
    """Pictures and their masks varied together: moved alike, and only the pictures' colours changed.

    Args:
        augment: see ``make_augmentation``.
        pictures: (N, 4, S, S) float, RGB in [0, 1] and the hidden part of each pixel.
    """
    colours, hidden = augment(pictures[:, :3], pictures[:, 3:], data_keys=["input", "mask"])
    return torch.cat([colours, hidden], dim=1)


def compress_some(crops: Pixels, probability: float) -> Pixels:
    """Put some pictures through JPEG at a random quality, as photos that were saved and saved again.

    On whole crops, before they shrink: artefacts are as coarse as in the photo.

    Args:
        crops: (N, S, S, 3) uint8 RGB.
        probability: of each picture.
    """
    chosen = torch.rand(len(crops)) < probability
    qualities = torch.randint(JPEG_QUALITY[0], JPEG_QUALITY[1] + 1, (len(crops),))
    out = crops.copy() if chosen.any() else crops
    for index in chosen.nonzero().flatten().tolist():
        _, data = cv2.imencode(".jpg", crops[index, ..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(qualities[index])])
        out[index] = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1]
    return out


def cover_some(pictures: Tensor, views: CentredSquare, share: float, covered: Tensor | None = None) -> Tensor:
    """Put the paper's mask, filled with 0, on a share of the pictures.

    After all augmentation: as in a test, hidden pixels are exactly 0 and the window is where it always is,
    however the face beneath was turned and lit.

    Args:
        pictures: (N, 3, S, S) float in [0, 1], what the views showed.
        views: what they are of the crops.
        share: the part of the pictures that is masked, of those that have no other occluder.
        covered: (N,) bool, which have one.
    """
    if share == 0:
        return pictures
    seen = views.shrunk(torch.from_numpy(~margin_mask(PAPER_WINDOW)).float(), pictures.shape[-1])  # (1, 1, S, S)
    chosen = torch.rand(len(pictures)) < share
    if covered is not None:
        chosen &= ~covered
    chosen = chosen.to(pictures.device)
    return torch.where(chosen[:, None, None, None], pictures * seen.to(pictures.device), pictures)
