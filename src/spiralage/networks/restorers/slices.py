"""SliceGAN's generator (Guo et al., ECCV 2020): one slice of the spiral from what is imagined there.

    imaginary slice → encoder → AdaIN (style of what is visible) → residual blocks → decoder → slice
                                                       SPADE (the strip beside it) ↗

What depends on the visible window alone, the style, is computed once per picture by ``ContextEncoder``, not once per
slice. Heights and widths of strips are multiples of 4 inside: what is missing repeats the last row or column.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spiralage.networks.restorers.imagine import DilatedBlock
from spiralage.networks.restorers.norm import InstanceNorm, instance_norm
from spiralage.networks.restorers.up_convolution import UpConvolution
from spiralage.occlusion.window import Window
from spiralage.restoration.spiral import Step, grow

SHRINK = 4
"""The encoder's features are a quarter of the slice in height and width."""
SMALLEST = 12
"""Pixels that a strip has at least in either direction: three at a quarter, as mirroring two of them needs."""
SURE = 1 / 256
"""How far from 0 and 1 an imaginary slice's pixels are kept, so that their logits are finite."""


def statistics(features: Tensor) -> Tensor:
    """Mean and standard deviation of every channel over its pixels: what AdaIN calls a style.

    Args:
        features: (N, C, H, W) float.

    Returns:
        (N, 2C) float: C means, then C standard deviations.
    """
    mean = features.mean(dim=(2, 3))
    std = (features - mean[:, :, None, None]).square().mean(dim=(2, 3)).add(1e-5).sqrt()
    return torch.cat([mean, std], dim=1)


def adain(content: Tensor, style: Tensor) -> Tensor:
    """Adaptive instance normalisation (Huang and Belongie 2017, equation 8).

    σ(style) · (content − μ(content)) / σ(content) + μ(style), per channel.

    Args:
        content: (N, C, H, W) float.
        style: (N, 2C) float, as ``statistics`` gives it.

    Example:
        >>> style = torch.tensor([[3.0, 2.0]])
        >>> statistics(adain(torch.rand(1, 1, 8, 8), style)).round(decimals=2)
        tensor([[3., 2.]])
    """
    mean, std = style[:, :, None, None].chunk(2, dim=1)
    own_mean, own_std = statistics(content)[:, :, None, None].chunk(2, dim=1)
    return std * (content - own_mean) / own_std + mean


class StyleEncoder(nn.Module):
    """A picture → its style: the statistics of a frozen VGG's activations at a quarter of the resolution.

    Args:
        layers: VGG's layers up to the style's ReLU (relu3_4 of VGG19, relu3_3 of VGG16).
        mean, std: of the pictures that it knows, (3,) or a number, RGB in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Sequential, mean: Tensor | float, std: Tensor | float) -> None:
        super().__init__()
        self.layers = layers.requires_grad_(False).eval()
        self.register_buffer("mean", torch.as_tensor(mean).expand(3).reshape(-1, 1, 1).clone())
        self.register_buffer("std", torch.as_tensor(std).expand(3).reshape(-1, 1, 1).clone())

    @property
    def channels(self) -> int:
        """The channels of the activations; the style has twice as many numbers."""
        return int(next(layer.out_channels for layer in reversed(self.layers) if isinstance(layer, nn.Conv2d)))

    def forward(self, picture: Tensor) -> Tensor:
        """(N, 3, H, W) float in [0, 1], of any height and width → (N, 2·channels) float, see ``statistics``."""
        return statistics(self.layers((_padded(picture) - self.mean) / self.std).float())


def _padded(strip: Tensor) -> Tensor:
    """The strip with its last rows and columns repeated until both are multiples of 4, and 12 at least."""
    height, width = (max(SMALLEST, side + -side % SHRINK) for side in strip.shape[2:])
    if (height, width) == strip.shape[2:]:
        return strip
    return F.pad(strip, (0, width - strip.shape[3], 0, height - strip.shape[2]), mode="replicate")


class ContextEncoder(nn.Module):
    """What is visible → the style of all slices of its picture.

    Args:
        vgg: tells the style of what is visible; frozen.
        width: channels of the slice generator's residual blocks. Where they aren't VGG's, 256 in the paper, a linear
            layer brings one to the other; it begins near means of 0 and standard deviations of 1.
    """

    def __init__(self, vgg: StyleEncoder, width: int = 256) -> None:
        super().__init__()
        self.vgg = vgg
        self.to_width = nn.Identity() if vgg.channels == width else _near_normal(nn.Linear(2 * vgg.channels, 2 * width))

    def forward(self, visible: Tensor) -> Tensor:
        """What the window shows, (N, 3, H, W) float in [0, 1] → (N, 2·width) float, see ``adain``."""
        style: Tensor = self.to_width(self.vgg(visible))
        return style


@torch.no_grad()
def _near_normal(layer: nn.Linear) -> nn.Linear:
    means, stds = layer.bias.chunk(2)
    means.zero_()
    stds.fill_(1)
    return layer


class Spade(nn.Module):
    """Spatially adaptive normalisation (Park et al. 2019), as SpiralNet has it: by one γ and one β a channel.

    leaky ReLU((1 + γ) · (x − μ(x)) / σ(x) + β), slope 0.2. γ and β come from the strip beside the slice, through a
    3×3 convolution of 128 channels, ReLU, and a 3×3 convolution each, averaged over space. The mean of a convolution
    is the convolution of means, so the last two see 3×3 numbers a channel.

    Args:
        channels: of x.
        shrink: the strip is brought to x's resolution by means of so many pixels squared.
    """

    HIDDEN = 128

    def __init__(self, channels: int, shrink: int) -> None:
        super().__init__()
        self.shrink = shrink
        self.shared = nn.Conv2d(3, self.HIDDEN, 3, padding=1)
        self.gamma = nn.Conv2d(self.HIDDEN, channels, 3)
        self.beta = nn.Conv2d(self.HIDDEN, channels, 3)

    def modulation(self, beside: Tensor) -> tuple[Tensor, Tensor]:
        """γ and β, (N, channels, 1, 1) each, of a strip, (N, 3, H, W) float in [0, 1]; sides are multiples of 4."""
        seen = F.relu(self.shared(F.avg_pool2d(beside * 2 - 1, self.shrink)))
        means = shifted_means(seen.float())
        return self.gamma(means), self.beta(means)

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        """(N, channels, h, w) and the strip, (N, 3, H, W) → (N, channels, h, w)."""
        gamma, beta = self.modulation(beside)
        return F.leaky_relu(instance_norm(x) * (1 + gamma) + beta, 0.2)


def shifted_means(x: Tensor) -> Tensor:
    """What a 3×3 convolution has to know of maps, if only its mean is wanted: their means, shifted by up to a pixel.

    Args:
        x: (N, C, H, W) float, 0 beyond its border.

    Returns:
        (N, C, 3, 3); at [i, j] the mean over all pixels of the map moved up by i − 1 and left by j − 1.

    Example:
        >>> x, convolution = torch.rand(1, 8, 5, 7), nn.Conv2d(8, 2, 3)
        >>> mean = F.conv2d(x, convolution.weight, convolution.bias, padding=1).mean(dim=(2, 3), keepdim=True)
        >>> torch.allclose(convolution(shifted_means(x)), mean, atol=1e-6)
        True
    """
    height, width = x.shape[2:]
    rows = x.sum(dim=2, keepdim=True)
    rows = torch.cat([rows - x[:, :, -1:], rows, rows - x[:, :, :1]], dim=2)  # (N, C, 3, W)
    columns = rows.sum(dim=3, keepdim=True)
    columns = torch.cat([columns - rows[..., -1:], columns, columns - rows[..., :1]], dim=3)
    return columns / (height * width)


class SliceGenerator(nn.Module):
    """Imaginary slice, the strip beside it and the picture's style in, slice out; of any height and width.

    Args:
        width: channels of the residual blocks; 256 in the paper.
        blocks: how many of them; 6 in the paper.
        residual: paint the difference to the imaginary slice, as logits, from 0 on: a short training then
            begins with what was imagined. The paper's generator paints everything anew.

    Example:
        >>> generator = SliceGenerator(16, 1)
        >>> generator(torch.rand(1, 3, 30, 128), torch.rand(1, 3, 32, 128), torch.rand(1, 32)).shape
        torch.Size([1, 3, 30, 128])
    """

    def __init__(self, width: int = 256, blocks: int = 6, *, residual: bool = False) -> None:
        super().__init__()
        self.residual = residual
        quarter, half = width // 4, width // 2
        self.encoder = nn.Sequential(
            *_normed(nn.Conv2d(3, quarter, 7, padding=3, padding_mode="reflect")),
            *_normed(nn.Conv2d(quarter, half, 4, 2, 1)),
            *_normed(nn.Conv2d(half, width, 4, 2, 1)),
        )
        self.blocks = nn.Sequential(*(DilatedBlock(width) for _ in range(blocks)))
        self.spade_quarter = Spade(width, SHRINK)
        self.to_half = nn.Sequential(UpConvolution(width, half), InstanceNorm(half), nn.ReLU())
        self.spade_half = Spade(half, SHRINK // 2)
        self.to_full = nn.Sequential(UpConvolution(half, quarter), nn.ReLU())
        self.to_picture = nn.Conv2d(quarter, 3, 7, padding=3, padding_mode="reflect")
        if residual:
            for parameter in self.to_picture.parameters():
                nn.init.zeros_(parameter)

    def forward(self, imaginary: Tensor, beside: Tensor, style: Tensor) -> Tensor:
        """Paint a slice.

        Args:
            imaginary: what is imagined there, (N, 3, H, W) float in [0, 1].
            beside: the strip on the other side of the edge, (N, 3, h, w) float in [0, 1].
            style: ``ContextEncoder``'s, of what is visible, (N, 2·width) float.

        Returns:
            (N, 3, H, W) float in [0, 1].
        """
        padded, beside = _padded(imaginary), _padded(beside)
        x = adain(self.encoder(padded * 2 - 1), style)  # (N, width, H/4, W/4)
        x = self.to_half(self.spade_quarter(self.blocks(x), beside))
        logits: Tensor = 2 * self.to_picture(self.to_full(self.spade_half(x, beside)))
        if self.residual:
            logits = logits + torch.logit(padded, eps=SURE)
        height, width = imaginary.shape[2:]
        return torch.sigmoid(logits)[:, :, :height, :width]  # of 2x it is the paper's (tanh(x) + 1) / 2


def _normed(convolution: nn.Conv2d) -> tuple[nn.Module, ...]:
    return convolution, InstanceNorm(convolution.out_channels), nn.ReLU()


class SliceGAN(nn.Module):
    """All that walks the spiral: context encoder and slice generator.

    Args:
        style: what tells the style of what is visible; frozen.
        width: channels of the residual blocks.
        blocks: how many of them.
        thickness: of a slice, pixels of the frame.
        residual: see ``SliceGenerator``.
    """

    def __init__(
        self, style: StyleEncoder, width: int = 256, blocks: int = 6, thickness: int = 32, *, residual: bool = False
    ) -> None:
        super().__init__()
        self.context = ContextEncoder(style, width)
        self.generator = SliceGenerator(width, blocks, residual=residual)
        self.thickness = thickness

    def walk(self, visible: Tensor, imagined: Tensor, window: Window) -> Iterator[tuple[Step, Tensor, Tensor]]:
        """Grow the window to its frame; see ``spiral.grow``.

        Gradients reach every slice through the picture that it becomes a part of, and through the strips of later
        slices.

        Args:
            visible: what the window shows, (N, 3, window.height, window.width) float in [0, 1].
            imagined: the imagined whole, (N, 3, frame, frame) float in [0, 1].
            window: where ``visible`` lies, the same for every picture of the batch.
        """
        style = self.context(visible)

        def paint(imaginary: Tensor, beside: Tensor) -> Tensor:
            return self.generator(imaginary, beside, style)  # type: ignore[no-any-return]

        return grow(visible, imagined, window, paint, thickness=self.thickness, join=torch.cat)


class WindowContext(nn.Module):
    """What of a SliceGAN is computed once per picture.

    Args:
        gan: the whole.
    """

    def __init__(self, gan: SliceGAN) -> None:
        super().__init__()
        self.context = gan.context

    def forward(self, visible: Tensor) -> Tensor:
        """What the window shows, (N, 3, H, W) float in [0, 1] → the style of every slice, (N, 2·width)."""
        style: Tensor = self.context(visible)
        return style


class StyledSlice(nn.Module):
    """What of a SliceGAN is computed once per slice.

    Args:
        gan: the whole.
    """

    def __init__(self, gan: SliceGAN) -> None:
        super().__init__()
        self.generator = gan.generator

    def forward(self, imaginary: Tensor, beside: Tensor, style: Tensor) -> Tensor:
        """Strips (N, 3, H, W) and (N, 3, h, w) float in [0, 1], and the style → (N, 3, H, W) float in [0, 1]."""
        strip: Tensor = self.generator(imaginary, beside, style)
        return strip
