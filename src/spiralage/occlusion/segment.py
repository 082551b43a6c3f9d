"""What is hidden in an aligned face, as far as it can be told without a network: what lies beyond the photo."""

from __future__ import annotations

import numpy as np

from spiralage.types import AlignedFace, Occlusion


def find_occlusion(face: AlignedFace) -> Occlusion:
    """The part of the crop that the photo does not show, kind "frame"; "none" if it shows all.

    Masks and hands in front of the face are not found: they count as visible. ``network`` finds them.
    """
    mask = ~face.inside
    return Occlusion(mask, "frame" if mask.any() else "none")


def nothing_hidden(face: AlignedFace) -> Occlusion:
    """Take the crop as it is, black corners and all."""
    return Occlusion(np.zeros_like(face.inside), "none")
