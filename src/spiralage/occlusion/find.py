"""Every way of telling what is hidden in an aligned face, by name: one table for the pipeline and the commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from spiralage.errors import OptionError
from spiralage.occlusion.occluders import OCCLUDERS, OccluderName, hidden_by
from spiralage.occlusion.segment import find_occlusion, nothing_hidden
from spiralage.types import AlignedFace, Occlusion

FindOcclusion: TypeAlias = Callable[[AlignedFace], Occlusion]
"""Tells what is hidden in an aligned face."""

OcclusionName: TypeAlias = Literal["auto", "none", OccluderName]

FINDERS: dict[OcclusionName, FindOcclusion] = {
    "auto": find_occlusion,
    "none": nothing_hidden,
    **{name: hidden_by(name) for name in OCCLUDERS},
}
"""auto: what lies beyond the photo's edge; an occluder's name: what it would hide on this face."""


def occlusion_finder(name: str) -> FindOcclusion:
    """The way of that name.

    Raises:
        OptionError: there is none.

    >>> occlusion_finder("none") is nothing_hidden
    True
    """
    for known, finder in FINDERS.items():
        if known == name:
            return finder
    raise OptionError(f"occlusion {name}: no such occlusion; choose {', '.join(FINDERS)}")
