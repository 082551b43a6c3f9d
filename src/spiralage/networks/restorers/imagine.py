"""ImagineGAN's generator (Guo et al., ECCV 2020): the whole face from what is visible, at low resolution."""

from __future__ import annotations

from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spiralage.networks.restorers.norm import InstanceNorm
from spiralage.networks.restorers.smooth import pull_push
from spiralage.types import CROP_SIZE

Padding: TypeAlias = Literal["zeros", "reflect"]
"""What stands beyond a map's border."""

SURE = 1 / 64
"""How far from 0 and 1 pixels are kept before they become logits."""


class DilatedBlock(nn.Module):
    """x + norm(conv(relu(norm(dilated conv(x))))), 3×3, dilation 2 then 1, instance norm.

    Args:
        channels: of x.
        padding: what stands beyond the border.
    """

    def __init__(self, channels: int, padding: Padding = "reflect") -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=2, dilation=2, padding_mode=padding),
            InstanceNorm(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode=padding),
            InstanceNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return x + out


class ImagineGenerator(nn.Module):
    """Encoder, dilated residual blocks, decoder: 7 channels in, a picture of the same size out.

    The encoder shrinks by 4 (channels width/4, width/2, width) and the decoder mirrors it. The paper has
    width 256 and 8 blocks on 128×128 pictures.

    Args:
        width: channels of the residual blocks.
        blocks: how many of them.
        up: how the decoder doubles its maps: "resize" repeats pixels and convolves, "transposed" is a transposed
            convolution, which leaves a checkerboard.
        padding: of all convolutions but the strided and the transposed ones. Zeros leave dark stripes at the border.
        size: side of the pictures, pixels, for a generator of differences: it paints the difference to the mean face
            bent towards what is visible, see ``bent``, as logits, from 0 on: a short training then begins with a
            face. None: it paints everything anew, as the paper's.
    """

    NOISE_CHANNELS = 3

    mean_face: Tensor

    def __init__(
        self,
        width: int = 256,
        blocks: int = 8,
        *,
        up: Literal["resize", "transposed"] = "resize",
        padding: Padding = "reflect",
        size: int | None = None,
    ) -> None:
        super().__init__()
        quarter, half = width // 4, width // 2
        double = partial(_resized, padding=padding) if up == "resize" else _transposed
        self.encoder = nn.Sequential(
            _normed(nn.Conv2d(7, quarter, 7, padding=3, padding_mode=padding)),
            _normed(nn.Conv2d(quarter, half, 4, 2, 1)),
            _normed(nn.Conv2d(half, width, 4, 2, 1)),
        )
        self.blocks = nn.Sequential(*(DilatedBlock(width, padding) for _ in range(blocks)))
        self.decoder = nn.Sequential(
            double(width, half),
            double(half, quarter),
            nn.Conv2d(quarter, 3, 7, padding=3, padding_mode=padding),
        )
        self.residual = size is not None
        if size is not None:
            self.register_buffer("mean_face", torch.full((3, size, size), 0.5))
            for parameter in self.decoder[-1].parameters():
                nn.init.zeros_(parameter)

    def forward(self, visible: Tensor, hidden: Tensor, noise: Tensor) -> Tensor:
        """Imagine the whole picture.

        Args:
            visible: (N, 3, S, S) float in [0, 1], 0 where hidden.
            hidden: (N, 1, S, S) float, the margin mask, 1 = hidden.
            noise: (N, 3, S, S) float, uniform in [0, 1).

        Returns:
            (N, 3, S, S) float in [0, 1], visible part included.
        """
        base = bent(self.mean_face, visible, hidden) if self.residual else None  # (N, 3, S, S) logits
        seen = visible if base is None else torch.sigmoid(base)
        x = torch.cat([seen * 2 - 1, hidden, noise], dim=1)  # (N, 7, S, S)
        picture: Tensor = self.decoder(self.blocks(self.encoder(x)))
        return torch.sigmoid(picture if base is None else picture + base)


def bent(mean_face: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
    """The mean face, its difference to what is visible carried smoothly into what is hidden; as logits.

    Args:
        mean_face: (3, S, S) float in [0, 1].
        visible: (N, 3, S, S) float in [0, 1].
        hidden: (N, 1, S, S) float, 1 = hidden.

    Returns:
        (N, 3, S, S) float: the logits of what is visible, and of the bent mean face elsewhere.
    """
    with torch.autocast(visible.device.type, enabled=False):  # bfloat16 would band the smooth parts
        mean = torch.logit(mean_face.float(), eps=SURE)
        return mean + pull_push(torch.logit(visible.float(), eps=SURE) - mean, 1 - hidden.float())


def _resized(channels: int, out: int, padding: Padding) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2), _normed(nn.Conv2d(channels, out, 3, padding=1, padding_mode=padding))
    )


def _transposed(channels: int, out: int) -> nn.Sequential:
    return _normed(nn.ConvTranspose2d(channels, out, 4, 2, 1))


def _normed(convolution: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    return nn.Sequential(convolution, InstanceNorm(convolution.out_channels), nn.ReLU())


def at_size(crops: Tensor, hidden: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The visible picture and margin mask at the generator's size.

    A small pixel is the mean of its *visible* crop pixels, and hidden if all of them are.

    Args:
        crops: (N, 256, 256, 3) uint8 RGB.
        hidden: (N, 256, 256) bool or uint8, 1 = hidden.
        size: side in pixels; divides 256.

    Returns:
        visible (N, 3, size, size) float in [0, 1] and hidden (N, 1, size, size) float.
    """
    factor = CROP_SIZE // size
    seen = 1 - hidden[:, None].float()  # (N, 1, 256, 256)
    pictures = crops.permute(0, 3, 1, 2).float() / 255
    share = F.avg_pool2d(seen, factor)
    visible = F.avg_pool2d(pictures * seen, factor) / share.clamp(min=1e-6)
    return visible, (share == 0).float()


class CropImaginer(nn.Module):
    """A generator with its preprocessing, on crops: what is exported to ONNX.

    Args:
        generator: the trained generator.
        size: the side that it works at, pixels.
    """

    def __init__(self, generator: ImagineGenerator, size: int) -> None:
        super().__init__()
        self.generator = generator
        self.size = size

    def forward(self, crops: Tensor, hidden: Tensor, noise: Tensor) -> Tensor:
        """(N, 256, 256, 3) uint8, (N, 256, 256) uint8, (N, 3, size, size) float → (N, 256, 256, 3) uint8."""
        visible, small_hidden = at_size(crops, hidden, self.size)
        picture = self.generator(visible, small_hidden, noise)
        picture = F.interpolate(picture, scale_factor=CROP_SIZE // self.size, mode="bilinear", align_corners=False)
        return (picture * 255).round().clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8)
