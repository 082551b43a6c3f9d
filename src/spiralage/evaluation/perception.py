"""What ImageNet's networks say of restored pictures: LPIPS, and activations in which sets of pictures are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from spiralage.errors import ModelFileError
from spiralage.evaluation.image_metrics import activations, as_tensor
from spiralage.networks.features import Features
from spiralage.networks.lpips import Lpips
from spiralage.training.imagenet import imagenet_features, imagenet_lpips
from spiralage.types import Doubles, Floats, Pixels

SIZE = 128
"""What the VGG16 is shown, pixels: SpiralNet's frame."""


@dataclass(frozen=True)
class Perception:
    """Networks that were trained on ImageNet and on what people find alike.

    Args:
        similarity: LPIPS in AlexNet's activations; sees pictures as they are, so that what is blurred differs from
            what is sharp.
        features: VGG16's.
    """

    similarity: Lpips
    features: Features

    @torch.no_grad()
    def lpips(self, restored: Pixels, original: Pixels) -> Doubles:
        """How different pictures look from their originals, 0 = not at all: (N,) float64.

        Args:
            restored, original: (N, height, width, 3) uint8 RGB.
        """
        distances = self.similarity(as_tensor(restored), as_tensor(original))
        return np.asarray(distances.double().numpy(), np.float64)

    def activations(self, pictures: Pixels) -> Floats:
        """Those in which the Fréchet distance of two sets is taken: (N, channels) float32."""
        return activations(self.features, pictures)


def load_perception(tell: Callable[[str], None]) -> Perception | None:
    """ImageNet's networks; None where their weights can't be had.

    Args:
        tell: takes a line about what is missing, and how to get it.
    """
    try:
        return Perception(imagenet_lpips("imagenet-alexnet"), imagenet_features("imagenet-vgg16", SIZE, layers="lpips"))
    except ModelFileError as error:
        tell(f"no LPIPS and no ImageNet FID: {error}")
        return None
