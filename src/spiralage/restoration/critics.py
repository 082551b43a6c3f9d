"""Critics: networks that tell real pictures from generated ones. Needs PyTorch (extra ``train``)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchCritic(nn.Module):
    """PatchGAN with spectral norm, conditioned on the visible picture (6 channels in).

    Four 4×4 convolutions (strides 2, 2, 2, 1) and a last one to a map of logits, one per patch.

    Args:
        width: channels of the first layer; 64 in the paper.

    Example:
        >>> picture = torch.zeros(1, 3, 64, 64)
        >>> PatchCritic(8)(picture, picture).shape
        torch.Size([1, 1, 6, 6])
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 6
        for out, stride in ((width, 2), (2 * width, 2), (4 * width, 2), (8 * width, 1)):
            layers += [spectral_norm(nn.Conv2d(channels, out, 4, stride, 1)), nn.LeakyReLU(0.2)]
            channels = out
        layers.append(spectral_norm(nn.Conv2d(channels, 1, 4, 1, 1)))
        self.body = nn.Sequential(*layers)

    def forward(self, picture: Tensor, visible: Tensor) -> Tensor:
        """(N, 3, S, S) each, float in [0, 1] → (N, 1, S/8 − 2, S/8 − 2) logits, positive = real."""
        logits: Tensor = self.body(torch.cat([picture, visible], dim=1) * 2 - 1)
        return logits
