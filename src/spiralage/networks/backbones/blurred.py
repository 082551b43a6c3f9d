"""VGG16 and AlexNet that halve by blurring: the networks of shift-tolerant LPIPS (Ghildyal and Liu, ECCV 2022).

A picture moved by a pixel hardly changes their activations: every stride of 2 is a stride of 1 followed by a
blur that is sampled at every other pixel (Zhang, ICML 2019). Layer numbers are those of the published weights.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from spiralage.networks.backbones.vgg import LAYERS, WIDENING

_PAD = 2
"""Pixels of mirror image around a map before it is blurred; one more than the filter needs, as published."""


class BlurPool(nn.Module):
    """Halves height and width: a 3×3 binomial filter at every other pixel, after reflection padding of 2.

    (N, C, H, W) → (N, C, (H + 1) // 2 + 1, (W + 1) // 2 + 1). A map with fewer than 3 pixels in a direction,
    which can't be mirrored, has its last ones repeated first.

    Example:
        >>> import torch
        >>> BlurPool()(torch.arange(5.0).expand(1, 1, 5, 5))[0, 0, 0]  # of 2 1 0 1 2 3 4 3 2
        tensor([1., 1., 3., 3.])
    """

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if height <= _PAD or width <= _PAD:
            missing = (0, max(_PAD + 1 - width, 0), 0, max(_PAD + 1 - height, 0))
            x = F.pad(x, missing, mode="replicate")
        x = F.pad(x, (_PAD, _PAD, _PAD, _PAD), mode="reflect")
        # (1 2 1) is (1 1) twice, so two means of 2×2 pixels are the filter; no weights to keep or cast.
        return F.avg_pool2d(F.avg_pool2d(x, 2, 1), 2, 2)


def blurred_vgg16(width: int = 64) -> nn.Sequential:
    """VGG16's convolutions: (N, 3, S, S), S ≥ 2 → (N, 8·width, …). Every pooling is followed by a ``BlurPool``.

    Args:
        width: channels of the first block; 64 in the published weights.

    Example:
        >>> import torch
        >>> blurred_vgg16(4)(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 32, 3, 3])
    """
    layers: list[nn.Module] = []
    channels = 3
    for count, widening in zip(LAYERS["vgg16"], WIDENING, strict=True):
        for _ in range(count):
            layers += [nn.Conv2d(channels, width * widening, 3, padding=1), nn.ReLU()]
            channels = width * widening
        layers += [nn.MaxPool2d(2, stride=1), BlurPool()]
    return nn.Sequential(*layers)


class BlurredAlexNet(nn.Sequential):
    """AlexNet's convolutions: (N, 3, S, S) with S ≥ 9 → (N, 4·width, …).

    The first one looks at every pixel; two blurs follow before the second.

    Args:
        width: channels of the first convolution; 64 in the published weights. A multiple of it in the others.

    Example:
        >>> import torch
        >>> BlurredAlexNet(4)(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 16, 8, 8])
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__(
            nn.Conv2d(3, width, 11, padding=2),
            BlurPool(),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=1),
            BlurPool(),
            nn.Conv2d(width, 3 * width, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=1),
            BlurPool(),
            nn.Conv2d(3 * width, 6 * width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(6 * width, 4 * width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(4 * width, 4 * width, 3, padding=1),
            nn.ReLU(),
        )
