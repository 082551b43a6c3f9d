"""Occluders: everything that can hide a part of a face, in one registry.

Recipes, training, test conditions and the command line name them; each is a pure function of the landmarks and a random
generator, and the same generator state gives the same cover.

    cover = OCCLUDERS["scarf"](landmarks, np.random.default_rng(0))
    hidden, photo_with_scarf = cover.mask, cover.over(crop)

Convention: landmarks are (68, 2) float64, (x, y) in crop pixels. Those in ``FOLLOWING`` take all 68;
``full_landmarks`` makes them for a face of which fewer are known. The others ignore them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

import numpy as np

from spiralage.occlusion.mean_shape import full_landmarks
from spiralage.occlusion.occluders.cover import Cover
from spiralage.occlusion.occluders.eyewear import glasses, sunglasses
from spiralage.occlusion.occluders.hand import hand
from spiralage.occlusion.occluders.masks import cloth_mask, n95_mask, slipped_mask, surgical_mask
from spiralage.occlusion.occluders.strands import brush, hair
from spiralage.occlusion.occluders.things import bar, cup, mosaic, phone
from spiralage.occlusion.occluders.windows import centre_window_cover, edge, paper, random_window_cover
from spiralage.occlusion.occluders.wraps import scarf, veil
from spiralage.types import AlignedFace, Doubles, Occlusion

__all__ = [
    "DISTRACTORS",
    "FOLLOWING",
    "OCCLUDERS",
    "Cover",
    "Occluder",
    "OccluderName",
    "cover_face",
    "hidden_by",
    "occluder_named",
]

OccluderName: TypeAlias = Literal[
    "paper", "random-window", "edge", "surgical-mask", "scarf", "sunglasses", "centre-window",
    "slipped-mask", "n95-mask", "cloth-mask", "veil", "hand", "hair", "cup", "phone", "bar", "mosaic", "brush",
]  # fmt: skip
Occluder: TypeAlias = Callable[[Doubles, np.random.Generator], Cover]

OCCLUDERS: dict[OccluderName, Occluder] = {
    "random-window": random_window_cover,
    "paper": paper,
    "edge": edge,
    "surgical-mask": surgical_mask,
    "scarf": scarf,
    "sunglasses": sunglasses,
    "centre-window": centre_window_cover,
    "slipped-mask": slipped_mask,
    "n95-mask": n95_mask,
    "cloth-mask": cloth_mask,
    "veil": veil,
    "hand": hand,
    "hair": hair,
    "cup": cup,
    "phone": phone,
    "bar": bar,
    "mosaic": mosaic,
    "brush": brush,
}
"""Trainings draw kinds in this order: a new one comes last, or a training that is resumed would draw others."""

DISTRACTORS: dict[str, Occluder] = {"glasses": glasses}
"""What belongs to a person and hides nothing, though it is drawn alike: its masks are empty."""

FOLLOWING: frozenset[OccluderName] = frozenset(
    set(OCCLUDERS) - {"random-window", "paper", "edge", "centre-window", "brush"}
)
"""Those that are drawn by the landmarks; to the others it is all the same where a face is."""


def occluder_named(name: str) -> OccluderName | None:
    """The occluder of that name, None where there is none."""
    return next((known for known in OCCLUDERS if known == name), None)


def cover_face(face: AlignedFace, name: OccluderName, *, seed: int = 0) -> Cover:
    """An occluder for an aligned face, drawn from its landmarks as far as they are known.

    Args:
        face: whose face.
        name: the occluder's, in ``OCCLUDERS``.
        seed: of the drawing; the same seed gives a face the same cover, whatever came before.
    """
    return OCCLUDERS[name](full_landmarks(face), np.random.default_rng(seed))


def hidden_by(name: OccluderName, *, seed: int = 0) -> Callable[[AlignedFace], Occlusion]:
    """For the pipeline: takes what an occluder would hide for hidden, without looking at the face's pixels.

    What lies beyond the photo is hidden as well.
    """
    return partial(_hidden_by, name=name, seed=seed)  # unlike a lambda it can be sent to another process


def _hidden_by(face: AlignedFace, name: OccluderName, seed: int) -> Occlusion:
    return Occlusion(cover_face(face, name, seed=seed).mask | ~face.inside, name)
