"""Every way of telling what is hidden in an aligned face, by name: one table for the pipeline and the commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from spiralage.errors import ModelFileError, OptionError
from spiralage.occlusion.network import NetworkFinder
from spiralage.occlusion.occluders import OCCLUDERS, OccluderName, hidden_by
from spiralage.occlusion.segment import find_occlusion, nothing_hidden
from spiralage.store import resolve
from spiralage.types import AlignedFace, Occlusion

FindOcclusion: TypeAlias = Callable[[AlignedFace], Occlusion]
"""Tells what is hidden in an aligned face."""

OcclusionName: TypeAlias = Literal["auto", "network", "frame", "none", OccluderName]

FINDERS: dict[OcclusionName, FindOcclusion] = {
    "auto": NetworkFinder(),
    "network": NetworkFinder(),
    "frame": find_occlusion,
    "none": nothing_hidden,
    **{name: hidden_by(name) for name in OCCLUDERS},
}
"""auto, the default, and network: what lies beyond the photo's edge, and what the stored network "occlusion" finds;
frame: the photo's edge alone; an occluder's name: the edge, and what the occluder would hide on this face."""


def occlusion_finder(name: str, *, threads: int | None = None) -> FindOcclusion:
    """The way of that name, or by a network of the user's.

    Args:
        name: one of ``FINDERS``; or the name or path of a stored network of kind "occlusion", see ``store``.
        threads: of a network, see ``threads.thread_count``.

    Raises:
        OptionError: there is neither.
        ModelFileError: the network's file can't be used.

    >>> occlusion_finder("none") is nothing_hidden
    True
    """
    for known, finder in FINDERS.items():
        if known == name and not isinstance(finder, NetworkFinder):
            return finder
    if name in ("auto", "network"):
        own = NetworkFinder(threads=threads)
    else:
        try:
            own = NetworkFinder(resolve(name, "occlusion"), threads=threads)
        except ModelFileError as error:
            raise OptionError(f"occlusion {name}: no such occlusion; choose {', '.join(FINDERS)} ({error})") from error
    own.open()  # says now, and not for every photo, if there is none
    return own
