"""Backbones: what the views show in, features out. One file each, named in ``BACKBONES``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from spiralage.networks.backbones.alexnet import AlexNet
from spiralage.networks.backbones.compact import CompactNet
from spiralage.networks.backbones.mobilenet import MobileNet
from spiralage.networks.backbones.vgg import VGG

__all__ = ["BACKBONES", "VGG", "AlexNet", "Backbone", "BackboneName", "CompactNet", "MobileNet", "make_backbone"]

BackboneName: TypeAlias = Literal["alexnet", "compact", "mobilenet", "vgg16", "vgg16-bn"]
Backbone: TypeAlias = AlexNet | CompactNet | MobileNet | VGG
"""A module with

- ``width``: how many features it gives;
- ``smallest``: the smallest side of a picture that it takes, pixels;
- ``former``: how old files name its layers, what a name began with → what it begins with now in an age network;
- ``activations(x)``: the maps of some layers, (N, C, H, W) each, finest first: what a perceptual loss compares.

Called with what the views show, for one view (N, 3, S, S) float32 with mean about 0 and standard deviation about 1,
it gives (N, width) features.
"""

BACKBONES: dict[BackboneName, Callable[[float, int], Backbone]] = {
    "alexnet": lambda dropout, _: AlexNet(dropout),
    "compact": lambda dropout, _: CompactNet(dropout=dropout),
    "mobilenet": lambda dropout, _: MobileNet(dropout),
    "vgg16": lambda dropout, width: VGG("vgg16", width, dropout),
    "vgg16-bn": lambda dropout, width: VGG("vgg16", width, dropout, normed=True),
}

SMALLEST: dict[BackboneName, int] = {
    "alexnet": AlexNet.smallest,
    "compact": CompactNet.smallest,
    "mobilenet": MobileNet.smallest,
    "vgg16": VGG.smallest,
    "vgg16-bn": VGG.smallest,
}
"""The smallest side of a picture that each takes, pixels."""


def make_backbone(name: BackboneName, dropout: float, width: int = 64) -> Backbone:
    """The untrained network of that name.

    Args:
        name: which.
        dropout: before its last layers and of its output.
        width: channels of vgg16's or vgg16-bn's first layer; the others have one width.
    """
    return BACKBONES[name](dropout, width)
