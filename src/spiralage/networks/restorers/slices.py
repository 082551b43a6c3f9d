"""SliceGAN's generator (Guo et al., ECCV 2020): one slice of the spiral from what is imagined there.

    imaginary slice → encoder → AdaIN (style of the strip beside it) → residual blocks → decoder → slice
                                                     SPADE (what is visible) ↗

What depends on the visible window alone, the modulation of both SPADEs, is
computed once per picture by ``ContextEncoder``, not once per slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spiralage.networks.restorers.imagine import DilatedBlock
from spiralage.networks.restorers.norm import InstanceNorm, instance_norm
from spiralage.occlusion.window import Window
from spiralage.restoration.spiral import Step, grow

Modulation: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]
"""γ and β at the decoder's quarter resolution, then at its half resolution."""

SHRINK = 4
"""The encoder's features are a quarter of the slice in height and width."""
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


def spade(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """Spatially adaptive normalisation (Park et al. 2019, equation 1), with instance norm.

    (1 + γ) · (x − μ(x)) / σ(x) + β, with γ and β brought to x's height and width.

    Args:
        x: (N, C, H, W) float.
        gamma, beta: (N, C, h, w) float.
    """
    size = x.shape[2:]
    gamma, beta = (F.interpolate(m, size=size, mode="bilinear", align_corners=False) for m in (gamma, beta))
    return instance_norm(x) * (1 + gamma) + beta


class StyleEncoder(nn.Module):
    """A strip → its style: the statistics of a frozen VGG's activations at a quarter of the resolution.

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
        self.register_load_state_dict_pre_hook(_rename_std)  # type: ignore[no-untyped-call]

    @property
    def channels(self) -> int:
        """The channels of the activations; the style has twice as many numbers."""
        return int(next(layer.out_channels for layer in reversed(self.layers) if isinstance(layer, nn.Conv2d)))

    def forward(self, strip: Tensor) -> Tensor:
        """(N, 3, H, W) float in [0, 1], of any height and width → (N, 2·channels) float, see ``statistics``."""
        return statistics(self.layers((_padded(strip) - self.mean) / self.std).float())


def _rename_std(_: nn.Module, tensors: dict[str, Any], prefix: str, *__: object) -> None:
    """Old files call the standard deviation otherwise."""
    if prefix + "deviation" in tensors:
        tensors[prefix + "std"] = tensors.pop(prefix + "deviation")


def _padded(strip: Tensor) -> Tensor:
    """The strip with its last rows and columns repeated until both divide by 4: two halvings lose nothing."""
    height, width = strip.shape[2:]
    return F.pad(strip, (0, -width % SHRINK, 0, -height % SHRINK), mode="replicate")


class ContextEncoder(nn.Module):
    """What is visible → how the slice generator's decoder is modulated.

    Args:
        width: channels of the slice generator's residual blocks.
    """

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        hidden = max(width // 4, 8)
        self.at_quarter = _Branch(SHRINK, hidden, width)
        self.at_half = _Branch(SHRINK // 2, hidden, width // 2)

    def forward(self, visible: Tensor) -> Modulation:
        """The modulation of every slice of a picture.

        Args:
            visible: (N, 3, S, S) float in [0, 1], the window alone, resized to a square.

        Returns:
            γ, β (N, width, S/4, S/4) and γ, β (N, width/2, S/2, S/2).
        """
        picture = visible * 2 - 1
        return (*self.at_quarter(picture), *self.at_half(picture))


class _Branch(nn.Module):
    def __init__(self, shrink: int, hidden: int, channels: int) -> None:
        super().__init__()
        self.shrink = shrink
        self.shared = nn.Sequential(nn.Conv2d(3, hidden, 3, padding=1), nn.ReLU())
        self.gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        x = self.shared(F.avg_pool2d(picture, self.shrink))
        return self.gamma(x), self.beta(x)


class SliceGenerator(nn.Module):
    """Imaginary slice, style and modulation in, slice out; of any height and width.

    Args:
        width: channels of the residual blocks; 256 in the paper.
        blocks: how many of them; 6 in the paper.
        style_channels: channels of the features that styles are taken from; where they are not ``width``, a
            linear layer brings one to the other.
        residual: paint the difference to the imaginary slice, as logits, from 0 on: a short training then
            begins with what was imagined. The paper's generator paints everything anew.

    Example:
        >>> generator, context = SliceGenerator(16, 1), ContextEncoder(16)
        >>> strip, style = torch.rand(1, 3, 30, 128), torch.rand(1, 32)
        >>> generator(strip, style, *context(torch.rand(1, 3, 64, 64))).shape
        torch.Size([1, 3, 30, 128])
    """

    def __init__(
        self, width: int = 256, blocks: int = 6, style_channels: int | None = None, *, residual: bool = False
    ) -> None:
        super().__init__()
        self.residual = residual
        quarter, half, channels = width // 4, width // 2, style_channels or width
        self.encoder = nn.Sequential(
            *_normed(nn.Conv2d(3, quarter, 7, padding=3)),
            *_normed(nn.Conv2d(quarter, half, 4, 2, 1)),
            nn.Conv2d(half, width, 4, 2, 1),
        )
        self.style = nn.Identity() if channels == width else nn.Linear(2 * channels, 2 * width)
        self.blocks = nn.Sequential(*(DilatedBlock(width) for _ in range(blocks)))
        self.to_half = nn.ConvTranspose2d(width, half, 4, 2, 1)
        self.to_full = nn.ConvTranspose2d(half, quarter, 4, 2, 1)
        self.to_picture = nn.Conv2d(quarter, 3, 7, padding=3)
        if residual:
            for parameter in self.to_picture.parameters():
                nn.init.zeros_(parameter)

    def forward(
        self, strip: Tensor, style: Tensor, gamma4: Tensor, beta4: Tensor, gamma2: Tensor, beta2: Tensor
    ) -> Tensor:
        """Paint a slice.

        Args:
            strip: the imaginary slice, (N, 3, H, W) float in [0, 1].
            style: ``statistics`` of the features of the strip beside it, (N, 2·style_channels) float.
            gamma4, beta4, gamma2, beta2: ``ContextEncoder``'s modulation.

        Returns:
            (N, 3, H, W) float in [0, 1].
        """
        height, width = strip.shape[2:]
        padded = _padded(strip)
        x = F.relu(adain(self.encoder(padded * 2 - 1), self.style(style)))  # (N, width, H/4, W/4)
        x = self.blocks(x)
        x = self.to_half(F.relu(spade(x, gamma4, beta4)))
        x = self.to_full(F.relu(spade(x, gamma2, beta2)))
        logits: Tensor = self.to_picture(F.relu(x))
        if self.residual:
            logits = logits + torch.logit(padded, eps=SURE)
        return torch.sigmoid(logits)[:, :, :height, :width]


def _normed(convolution: nn.Conv2d) -> tuple[nn.Module, ...]:
    return convolution, InstanceNorm(convolution.out_channels), nn.ReLU()


class SliceGAN(nn.Module):
    """All that walks the spiral: style encoder, context encoder, slice generator.

    Args:
        style: what tells the style of a strip; frozen.
        width: channels of the residual blocks.
        blocks: how many of them.
        thickness: of a slice, pixels of the frame.
        residual: see ``SliceGenerator``.
    """

    def __init__(
        self, style: StyleEncoder, width: int = 256, blocks: int = 6, thickness: int = 32, *, residual: bool = False
    ) -> None:
        super().__init__()
        self.style = style
        self.context = ContextEncoder(width)
        self.generator = SliceGenerator(width, blocks, style.channels, residual=residual)
        self.thickness = thickness

    def walk(self, visible: Tensor, imagined: Tensor, window: Window) -> Iterator[tuple[Step, Tensor, Tensor]]:
        """Grow the window to its frame; see ``spiral.grow``.

        Gradients reach every slice through the picture that it becomes a part of, but not through the style
        of those after it.

        Args:
            visible: what the window shows, (N, 3, window.height, window.width) float in [0, 1].
            imagined: the imagined whole, (N, 3, frame, frame) float in [0, 1].
            window: where ``visible`` lies, the same for every picture of the batch.
        """
        modulation = self.context(context_view(visible, window.frame))

        def paint(imaginary: Tensor, beside: Tensor) -> Tensor:
            return self.generator(imaginary, self.style(beside.detach()), *modulation)  # type: ignore[no-any-return]

        return grow(visible, imagined, window, paint, thickness=self.thickness, join=torch.cat)


def context_view(visible: Tensor, frame: int) -> Tensor:
    """The window, of whatever shape, as the context encoder sees it: a square of half the frame's side."""
    return F.interpolate(visible, size=(frame // 2, frame // 2), mode="bilinear", align_corners=False)


class WindowContext(nn.Module):
    """What of a SliceGAN depends on the visible window alone: what is computed once per picture.

    Args:
        gan: the whole.
        frame: side of the pictures that it knows, pixels.
    """

    def __init__(self, gan: SliceGAN, frame: int) -> None:
        super().__init__()
        self.context, self.frame = gan.context, frame

    def forward(self, visible: Tensor) -> Modulation:
        """What the window shows, (N, 3, H, W) float in [0, 1] → the modulation of every slice."""
        modulation: Modulation = self.context(context_view(visible, self.frame))
        return modulation


class StyledSlice(nn.Module):
    """One slice, its style read off the strip beside it: what is computed once per slice.

    Args:
        gan: the whole.
    """

    def __init__(self, gan: SliceGAN) -> None:
        super().__init__()
        self.style, self.generator = gan.style, gan.generator

    def forward(
        self, imaginary: Tensor, beside: Tensor, gamma4: Tensor, beta4: Tensor, gamma2: Tensor, beta2: Tensor
    ) -> Tensor:
        """Slices (N, 3, H, W) and (N, 3, h, w) float in [0, 1], and the modulation → (N, 3, H, W) float in [0, 1]."""
        strip: Tensor = self.generator(imaginary, self.style(beside), gamma4, beta4, gamma2, beta2)
        return strip
