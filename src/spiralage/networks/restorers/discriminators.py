"""Discriminators: networks that tell real pictures from generated ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

HALVINGS = 3
"""Convolutions of stride 2 in ``PatchDiscriminator``."""
SMALLEST = 3 * 2**HALVINGS
"""Pixels that it needs in either direction."""


class PatchDiscriminator(nn.Module):
    """PatchGAN with spectral norm, conditioned on the visible picture (6 channels in) or on nothing (3).

    4×4 convolutions, all but the last of them of stride 2, and a last one to a map of logits, one per patch.

    Args:
        width: channels of the first layer; 64 in the paper.
        conditioned: whether it is shown what is visible, too.

    Example:
        >>> picture = torch.zeros(1, 3, 64, 64)
        >>> PatchDiscriminator(8)(picture, picture).shape
        torch.Size([1, 1, 6, 6])
    """

    def __init__(self, width: int = 64, *, conditioned: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 6 if conditioned else 3
        for number in range(HALVINGS + 1):
            out, stride = width * 2**number, 2 if number < HALVINGS else 1
            layers += [spectral_norm(nn.Conv2d(channels, out, 4, stride, 1)), nn.LeakyReLU(0.2)]
            channels = out
        layers.append(spectral_norm(nn.Conv2d(channels, 1, 4, 1, 1)))
        self.body = nn.Sequential(*layers)

    def forward(self, picture: Tensor, visible: Tensor | None = None) -> Tensor:
        """(N, 3, H, W) each, float in [0, 1], 24 pixels at least → (N, 1, H/8 − 2, W/8 − 2) logits, positive = real."""
        seen = picture if visible is None else torch.cat([picture, visible], dim=1)
        logits: Tensor = self.body(seen * 2 - 1)
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
    """What SliceGAN is trained against: a discriminator of whole pictures, and one of bands over the seams.

    Args:
        width, band_width: channels of their first layers.
    """

    def __init__(self, width: int, band_width: int) -> None:
        super().__init__()
        self.whole = DenseDiscriminator(width, width // 2)
        self.band = PatchDiscriminator(band_width, conditioned=False)

    def of_pictures(self, pictures: Tensor) -> Tensor:
        """(N, 3, S, S) float in [0, 1] → (N, 1) logits, positive = real."""
        logits: Tensor = self.whole(pictures)
        return logits

    def of_bands(self, bands: Tensor) -> Tensor:
        """Bands of pictures, see ``spiral.Step``, (N, 3, H, W) float in [0, 1] → (N, 1, h, w) logits.

        The last pixels of one that is too small for the discriminator are repeated.
        """
        height, width = bands.shape[2:]
        missing = (0, max(SMALLEST - width, 0), 0, max(SMALLEST - height, 0))
        logits: Tensor = self.band(F.pad(bands, missing, mode="replicate") if any(missing) else bands)
        return logits
