"""Discriminators: networks that tell real pictures from generated ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """PatchGAN with spectral norm, conditioned on the visible picture (6 channels in).

    4×4 convolutions, all but the last of them of stride 2, and a last one to a map of logits, one per patch.

    Args:
        width: channels of the first layer; 64 in the paper.
        halvings: convolutions of stride 2; fewer for thin slices.

    Example:
        >>> picture = torch.zeros(1, 3, 64, 64)
        >>> PatchDiscriminator(8)(picture, picture).shape
        torch.Size([1, 1, 6, 6])
    """

    def __init__(self, width: int = 64, halvings: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 6
        for number in range(halvings + 1):
            out, stride = width * 2**number, 2 if number < halvings else 1
            layers += [spectral_norm(nn.Conv2d(channels, out, 4, stride, 1)), nn.LeakyReLU(0.2)]
            channels = out
        layers.append(spectral_norm(nn.Conv2d(channels, 1, 4, 1, 1)))
        self.body = nn.Sequential(*layers)

    def forward(self, picture: Tensor, visible: Tensor) -> Tensor:
        """(N, 3, S, S) each, float in [0, 1] → (N, 1, S/8 − 2, S/8 − 2) logits, positive = real.

        With another number h of halvings it is S/2^h − 2.
        """
        logits: Tensor = self.body(torch.cat([picture, visible], dim=1) * 2 - 1)
        return logits


class DenseDiscriminator(nn.Module):
    """A small DenseNet (Huang et al. 2017) with spectral norm that judges whole pictures.

    A stem of stride 2, then blocks in which every convolution sees all maps before it, with a halving
    between them. The paper says "DenseNet-like" and gives no sizes.

    Args:
        width: channels of the stem.
        growth: channels that each convolution adds.
        blocks: how many dense blocks.
        layers: convolutions in each.

    Example:
        >>> DenseDiscriminator(8, 4)(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 1])
    """

    def __init__(self, width: int = 64, growth: int = 32, blocks: int = 4, layers: int = 4) -> None:
        super().__init__()
        parts: list[nn.Module] = [spectral_norm(nn.Conv2d(3, width, 4, 2, 1)), nn.LeakyReLU(0.2)]
        channels = width
        for _ in range(blocks):
            parts += [_DenseLayer(channels + i * growth, growth) for i in range(layers)]
            grown = channels + layers * growth
            channels = grown // 2
            parts += [spectral_norm(nn.Conv2d(grown, channels, 1)), nn.LeakyReLU(0.2), nn.AvgPool2d(2)]
        self.body = nn.Sequential(*parts)
        self.head = spectral_norm(nn.Linear(channels, 1))

    def forward(self, picture: Tensor) -> Tensor:
        """(N, 3, S, S) float in [0, 1], S ≥ 2^(blocks + 1) → (N, 1) logits, positive = real."""
        logits: Tensor = self.head(self.body(picture * 2 - 1).mean(dim=(2, 3)))
        return logits


class _DenseLayer(nn.Module):
    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(spectral_norm(nn.Conv2d(channels, growth, 3, padding=1)), nn.LeakyReLU(0.2))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], dim=1)


class SliceDiscriminators(nn.Module):
    """What SliceGAN is trained against: a discriminator of whole pictures, and one of slices.

    Args:
        width, slice_width: channels of their first layers.
    """

    HALVINGS = 2
    THINNEST = 12  # pixels that so many halvings need

    def __init__(self, width: int, slice_width: int) -> None:
        super().__init__()
        self.whole = DenseDiscriminator(width, width // 2)
        self.slice = PatchDiscriminator(slice_width, self.HALVINGS)

    def of_pictures(self, pictures: Tensor) -> Tensor:
        """(N, 3, S, S) float in [0, 1] → (N, 1) logits, positive = real."""
        logits: Tensor = self.whole(pictures)
        return logits

    def of_slice(self, strip: Tensor, imaginary: Tensor) -> Tensor:
        """A slice and what was imagined there, (N, 3, H, W) each, float in [0, 1] → (N, 1, h, w) logits."""
        logits: Tensor = self.slice(self._thick(strip), self._thick(imaginary))
        return logits

    def _thick(self, strip: Tensor) -> Tensor:
        """A strip that was cut at the border, its last pixels repeated until the discriminator can see it."""
        height, width = strip.shape[2:]
        missing = (0, max(self.THINNEST - width, 0), 0, max(self.THINNEST - height, 0))
        return F.pad(strip, missing, mode="replicate")
