"""Backbones: a network's input in, logits over the ages 0…100 out. One file each, named in ``BACKBONES``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

from spiralage.networks.backbones.alexnet import AlexNet
from spiralage.networks.backbones.compact import CompactNet
from spiralage.networks.backbones.initialise import initialise
from spiralage.networks.backbones.mobilenet import MobileNet
from spiralage.networks.backbones.vgg import VGG

__all__ = ["BACKBONES", "VGG", "AlexNet", "Backbone", "BackboneName", "CompactNet", "MobileNet", "make_backbone"]

BackboneName: TypeAlias = Literal["alexnet", "compact", "mobilenet", "vgg16", "vgg16-bn"]
Backbone: TypeAlias = AlexNet | CompactNet | MobileNet | VGG


def _vgg16(dropout: float, width: int, *, normed: bool = False) -> VGG:
    network = VGG("vgg16", width, dropout, normed=normed)
    initialise(network)
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
