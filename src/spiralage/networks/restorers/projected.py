"""A discriminator that looks through a frozen network's eyes (Sauer et al. 2021, Projected GANs)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

GRID = 16
"""The side of a map of logits: finer activations are halved while they have twice as much."""


class ProjectedDiscriminator(nn.Module):
    """Judges pictures by a feature network's activations, conditioned on what is visible.

    Each layer's activations are mixed by a fixed random 1×1 convolution, so that a head can't rest on a few channels,
    and judged by a head of its own: convolutions with spectral norm to a map of logits.

    Layers differ in size a hundredfold, and many are far smaller than the visible picture beside them; spectral norm
    lets no head make up for that. So the mixing divides every layer by its standard deviation.

    Args:
        known: the feature network's activations for ``reference_pictures``, finest first.
        width: channels of the heads' first convolutions; the mixed activations have twice as many.

    Example:
        >>> layers = [torch.rand(2, 8, 32, 32), torch.rand(2, 16, 16, 16)]
        >>> ProjectedDiscriminator(layers, 8)(layers, torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 512])
    """

    def __init__(self, known: Sequence[Tensor], width: int = 32) -> None:
        super().__init__()
        self.mixers = nn.ModuleList(_mixer(layer, 2 * width) for layer in known)
        self.heads = nn.ModuleList(_Head(2 * width + 3, width, layer.shape[3]) for layer in known)

    def forward(self, activations: Sequence[Tensor], visible: Tensor) -> Tensor:
        """Activations (N, C, H, W), and what is visible of the pictures, (N, 3, S, S) float in [0, 1] → (N, K) logits.

        Positive = real; K counts the places of all layers' maps.
        """
        maps = []
        for layer, mixer, head in zip(activations, self.mixers, self.heads, strict=True):
            seen = F.interpolate(visible * 2 - 1, size=layer.shape[2:], mode="area")
            maps.append(head(torch.cat([mixer(layer), seen.to(layer.dtype)], dim=1)).flatten(1))
        return torch.cat(maps, dim=1)


def reference_pictures(size: int) -> Tensor:
    """Always the same pictures whose amplitudes fall with frequency as those of photos do: (2, 3, size, size) float.

    Values in [0, 1]. The activations of ImageNet's networks are about as large for them as for faces.
    """
    generator = torch.Generator().manual_seed(0)
    frequency = (torch.fft.fftfreq(size)[:, None].square() + torch.fft.rfftfreq(size).square()).sqrt()
    grey, colour = (torch.randn(2, channels, size, size, generator=generator) for channels in (1, 3))
    noise = torch.fft.irfft2(torch.fft.rfft2(grey + 0.2 * colour) / frequency.clamp(min=1 / size) ** 1.25)
    pictures: Tensor = (0.5 + 0.25 * noise / noise.std()).clamp(0, 1)
    return pictures


def _mixer(known: Tensor, width: int) -> nn.Conv2d:
    """A random 1×1 convolution that never learns: standardised activations → as large ones."""
    mixer = nn.Conv2d(known.shape[1], width, 1, bias=False).requires_grad_(False)
    nn.init.kaiming_normal_(mixer.weight, nonlinearity="linear")
    mixer.weight /= (known - known.mean(dim=(0, 2, 3), keepdim=True)).std().cpu()
    return mixer


class _Head(nn.Sequential):
    """Halves maps down to about ``GRID``, then judges every place."""

    def __init__(self, channels: int, width: int, side: int) -> None:
        parts: list[nn.Module] = [spectral_norm(nn.Conv2d(channels, width, 3, padding=1)), nn.LeakyReLU(0.2)]
        while side >= 2 * GRID:
            parts += [spectral_norm(nn.Conv2d(width, width, 4, 2, 1)), nn.LeakyReLU(0.2)]
            side //= 2
        parts += [spectral_norm(nn.Conv2d(width, 2 * width, 3, padding=1)), nn.LeakyReLU(0.2)]
        super().__init__(*parts, spectral_norm(nn.Conv2d(2 * width, 1, 3, padding=1)))
