"""The age networks: crop in, logits over the ages 0…100 out. Needs PyTorch (extra ``train``)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from spiralage.age.distribution import MAX_AGE
from spiralage.age.mobilenet import MobileNet
from spiralage.age.vgg import VGG

BackboneName: TypeAlias = Literal["alexnet", "compact", "mobilenet", "vgg16", "vgg16-bn"]
Backbone: TypeAlias = "AlexNet | CompactNet | MobileNet | VGG"
CLASSES = MAX_AGE + 1


class AlexNet(nn.Sequential):
    """AlexNet (Krizhevsky 2014, "one weird trick") with torchvision's layer widths, 101 outputs.

    Input (N, 3, S, S) with S ≥ 63, 224 in the paper; 57.4 million parameters.

    >>> AlexNet()(torch.zeros(1, 3, 224, 224)).shape
    torch.Size([1, 101])
    """

    def __init__(self, dropout: float = 0.5) -> None:
        layers: list[nn.Module] = []
        channels = 3
        for width, kernel, stride, padding, pool in (
            (64, 11, 4, 2, True),
            (192, 5, 1, 2, True),
            (384, 3, 1, 1, False),
            (256, 3, 1, 1, False),
            (256, 3, 1, 1, True),
        ):
            layers += [nn.Conv2d(channels, width, kernel, stride, padding), nn.ReLU()]
            layers += [nn.MaxPool2d(3, 2)] if pool else []
            channels = width
        layers += [nn.AdaptiveAvgPool2d(6), nn.Flatten()]
        layers += [nn.Dropout(dropout), nn.Linear(256 * 6 * 6, 4096), nn.ReLU()]
        layers += [nn.Dropout(dropout), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, CLASSES)]
        super().__init__(*layers)
        _initialise(self)

    def features(self, x: Tensor) -> list[Tensor]:
        """The activations after each convolution's ReLU, finest first."""
        out = []
        for layer in self:
            if isinstance(layer, nn.AdaptiveAvgPool2d):
                break
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                out.append(x)
        return out


class ResidualBlock(nn.Module):
    """x + conv(relu(norm(conv(relu(norm(x)))))), 3×3; channels and size kept (He et al. 2016, v2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        )

    def start_as_identity(self) -> None:
        """Zero the last convolution, so that training starts from x alone."""
        for parameter in self.body[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return x + out


class CompactNet(nn.Module):
    """A residual network of few, wide convolutions at low resolution: fast on a CPU in bfloat16.

    Input (N, 3, S, S), 112 in its recipe; 6.9 million parameters.

    Args:
        widths: channels at 1/8, 1/16 and 1/32 of the input's side.
        blocks: residual blocks at each of them.
        dropout: before the last layer.
    """

    def __init__(
        self,
        widths: tuple[int, int, int] = (128, 256, 384),
        blocks: tuple[int, int, int] = (2, 2, 1),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0] // 2, 4, 4), nn.ReLU(), nn.Conv2d(widths[0] // 2, widths[0], 3, 2, 1)
        )
        stages: list[nn.Module] = []
        for index, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            down = [nn.Conv2d(widths[index - 1], width, 3, 2, 1)] if index else []
            stages.append(nn.Sequential(*down, *(ResidualBlock(width) for _ in range(count))))
        self.stages = nn.ModuleList(stages)
        self.head = nn.Sequential(nn.LayerNorm(widths[-1]), nn.Dropout(dropout), nn.Linear(widths[-1], CLASSES))
        _initialise(self)
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                module.start_as_identity()

    def features(self, x: Tensor) -> list[Tensor]:
        """The activations after the stem and after each stage, finest first."""
        out = [self.stem(x)]
        for stage in self.stages:
            out.append(stage(out[-1]))
        return out

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.relu(self.features(x)[-1]).mean(dim=(2, 3)))
        return logits


def _initialise(network: nn.Module) -> None:
    """He initialisation; small last layers so that training starts near the uniform distribution."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias) if module.bias is not None else None
        if isinstance(module, nn.Linear) and module.out_features == CLASSES:
            nn.init.normal_(module.weight, std=0.01)


def _vgg16(dropout: float, width: int, *, normed: bool = False) -> VGG:
    network = VGG("vgg16", width, dropout, normed=normed)
    _initialise(network)
    return network


BACKBONES: dict[BackboneName, Callable[[float, int], Backbone]] = {
    "alexnet": lambda dropout, _: AlexNet(dropout),
    "compact": lambda dropout, _: CompactNet(dropout=dropout),
    "mobilenet": lambda dropout, _: MobileNet(dropout),
    "vgg16": _vgg16,
    "vgg16-bn": partial(_vgg16, normed=True),
}


def make_backbone(name: BackboneName, dropout: float, width: int = 64) -> Backbone:
    """The untrained network of that name.

    Args:
        name: which.
        dropout: before its last layers.
        width: channels of vgg16's or vgg16-bn's first layer; the others have one width.
    """
    return BACKBONES[name](dropout, width)


class AgeNetwork(nn.Module):
    """A backbone with its preprocessing: aligned crops in, logits out.

    Cutting, shrinking and normalising are part of the network, so training, evaluation and the exported
    ONNX file can't disagree on them.

    Args:
        backbone: takes (N, 3, side, side) float32 with mean about 0 and deviation about 1.
        crop: side of the centred square that it sees, in crop pixels.
        pool: that square is average-pooled by this factor; side = crop / pool.
    """

    MEAN, DEVIATION = 0.5, 0.25

    def __init__(self, backbone: Backbone, *, crop: int, pool: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.crop, self.pool = crop, pool

    def normalise(self, pictures: Tensor) -> Tensor:
        """(N, 3, S, S) float in [0, 1] → the backbone's range."""
        return (pictures - self.MEAN) / self.DEVIATION

    def view(self, crops: Tensor) -> Tensor:
        """(N, 256, 256, 3) uint8 RGB → the backbone's input, (N, 3, side, side) float32."""
        start = (crops.shape[1] - self.crop) // 2
        seen = crops[:, start : start + self.crop, start : start + self.crop]
        x = seen.permute(0, 3, 1, 2).float() / 255  # (N, 3, crop, crop)
        if self.pool > 1:
            x = nn.functional.avg_pool2d(x, self.pool)
        return self.normalise(x)

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 256, 256, 3) uint8 RGB → (N, 101) logits."""
        logits: Tensor = self.backbone(self.view(crops))
        return logits
