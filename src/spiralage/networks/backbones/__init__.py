"""Backbones: what the views show in, features out. Named in ``BACKBONES``.

A new backbone is a class in a file of its own that does what ``Backbone`` says, a name in ``BackboneName``, which type
checkers and recipes read, and a row in ``BACKBONES``; any head takes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias

from torch import Tensor

from spiralage.networks.backbones.alexnet import AlexNet
from spiralage.networks.backbones.compact import CompactNet
from spiralage.networks.backbones.mobilenet import MobileNet
from spiralage.networks.backbones.vgg import VGG

__all__ = ["BACKBONES", "VGG", "AlexNet", "Backbone", "BackboneName", "CompactNet", "MobileNet", "make_backbone"]

BackboneName: TypeAlias = Literal["alexnet", "compact", "mobilenet", "vgg16", "vgg16-bn"]


class Backbone(Protocol):
    """A PyTorch module that reads features off pictures.

    Args:
        dropout: before its last layers and of its output.
        settings: those of its row, and ``width``, the first layer's channels, where the row says that they vary.
    """

    smallest: ClassVar[int]
    """The smallest side of a picture that it takes, pixels."""
    former: ClassVar[Mapping[str, str]]
    """How old files name its layers: what a name began with → what it begins with now in an age network."""
    width: int
    """How many features it gives."""

    def __init__(self, *, dropout: float, **settings: Any) -> None: ...

    def __call__(self, x: Tensor, /) -> Any:
        """What the views show, (N, 3, S, S) float32, mean about 0, standard deviation about 1 → (N, width) features."""

    def activations(self, x: Tensor) -> list[Tensor]:
        """The maps of some layers, (N, C, H, W) each, finest first: what a perceptual loss compares."""


class Row(NamedTuple):
    """A backbone of a name.

    Args:
        kind: its class.
        settings: what the class is made with beside the dropout.
        widths: whether a recipe chooses the width of its first layer.
    """

    kind: type[Backbone]
    settings: Mapping[str, Any] = MappingProxyType({})
    widths: bool = False


BACKBONES: dict[BackboneName, Row] = {
    "alexnet": Row(AlexNet),
    "compact": Row(CompactNet),
    "mobilenet": Row(MobileNet),
    "vgg16": Row(VGG, widths=True),
    "vgg16-bn": Row(VGG, MappingProxyType({"normed": True}), widths=True),
}


def make_backbone(name: BackboneName, dropout: float, width: int = 64) -> Backbone:
    """The untrained network of that name.

    Args:
        name: which.
        dropout: before its last layers and of its output.
        width: channels of the first layer, where a recipe chooses them; the others have one width.
    """
    row = BACKBONES[name]
    chosen = {"width": width} if row.widths else {}
    return row.kind(dropout=dropout, **row.settings, **chosen)
