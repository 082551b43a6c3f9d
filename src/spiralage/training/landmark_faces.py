"""What a landmark network is shown in training: crops with occluders on them, turned, shifted, cut and weathered.

All crops have their face in the same place. Were they shown as they are, their edges alone would tell where the points
lie: so the square that the network sees is jittered, pictures end where slanting lines cut them, and what lies beyond
is one of many things.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from spiralage.datasets.crops import Indices
from spiralage.datasets.joined import AnyCrops
from spiralage.faces.align import transform
from spiralage.faces.heatmap import FRAME, joined
from spiralage.occlusion.mean_shape import mirror_landmarks
from spiralage.occlusion.weather import weather
from spiralage.training.covers import draw_cover
from spiralage.training.recipes import LandmarkRecipe
from spiralage.training.recipes.landmarks import Boxes
from spiralage.types import CROP_SIZE, Doubles, Mask, Pixels

NEAR = 0.25
"""How much of a jitter is left in a second pass."""
DEEPEST_CUT = 36
"""How far into the crop a cut may reach in the middle of a side, crop pixels."""
STEEPEST_CUT = 15
"""How far it may slant, degrees."""


class Faces(NamedTuple):
    """Faces as the network sees them.

    Args:
        pictures: (N, 256, 256, 3) uint8 RGB.
        points: (N, 68, 2) float64, (x, y) in their pixels.
    """

    pictures: Pixels
    points: Doubles


def with_points(crops: AnyCrops, indices: Indices) -> Indices:
    """Those of these positions whose 68 points are known: neither five nor none."""
    known = np.isfinite(crops.landmarks(indices)).all(axis=(1, 2))
    return indices[known]


def draw_faces(crops: AnyCrops, chosen: Indices, recipe: LandmarkRecipe, rng: np.random.Generator) -> Faces:
    """A step's faces, as the recipe varies them.

    Args:
        crops: the aligned crops.
        chosen: positions of crops whose 68 points are known.
        recipe: says how.
        rng: draws everything.
    """
    pictures, landmarks = crops.take(chosen), crops.landmarks(chosen).astype(np.float64)
    inside = crops.inside(chosen)
    drawn = []
    for index in range(len(chosen)):
        picture, points, shown = pictures[index], landmarks[index], inside[index]
        if rng.random() < 0.5:
            picture, points, shown = picture[:, ::-1], mirror_landmarks(points), shown[:, ::-1]
        if rng.random() < sum(recipe.occluders.values()):
            picture = draw_cover(points, recipe.occluders, rng).over(picture)
        if rng.random() < recipe.cut:
            shown = shown & ~draw_cut(rng)
        matrix = draw_square(recipe.boxes, rng, near=rng.random() < recipe.boxes.near)
        other = pictures[int(rng.integers(len(chosen)))]
        seen = weather(seen_in(picture, shown, matrix, other, rng), rng, strength=recipe.weather)
        drawn.append((seen, transform(points, matrix)))
    return Faces(*map(np.stack, zip(*drawn, strict=True)))


def fixed_faces(crops: AnyCrops, chosen: Indices, recipe: LandmarkRecipe, *, occluded: bool) -> Faces:
    """Faces to measure a network by, the same each time: in nearly the right square, each under an occluder or none."""
    drawn = []
    for index, picture, points, shown in zip(
        chosen, crops.take(chosen), crops.landmarks(chosen).astype(np.float64), crops.inside(chosen), strict=True
    ):
        rng = np.random.default_rng((recipe.seed, int(index)))
        matrix = draw_square(recipe.boxes, rng, near=True)
        if occluded:
            picture = draw_cover(points, recipe.occluders, rng).over(picture)
        drawn.append((seen_in(picture, shown, matrix, picture, rng), transform(points, matrix)))
    return Faces(*map(np.stack, zip(*drawn, strict=True)))


def draw_square(boxes: Boxes, rng: np.random.Generator, *, near: bool) -> Doubles:
    """The (2, 3) matrix from an aligned crop to what the network sees: turned, scaled and shifted at random.

    Args:
        boxes: how much, at most.
        rng: draws it.
        near: as in a second pass.
    """
    part = NEAR if near else 1.0
    turn = np.deg2rad(part * rng.uniform(-boxes.turn_degrees, boxes.turn_degrees))
    scale = np.exp(part * rng.uniform(-1, 1) * np.log1p(boxes.scale))
    shift = CROP_SIZE * part * rng.uniform(-boxes.shift, boxes.shift, 2)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.full(2, (CROP_SIZE - 1) / 2)
    return joined(np.column_stack([linear, middle + shift - linear @ middle]), FRAME)


def draw_cut(rng: np.random.Generator) -> Mask:
    """What a photo that ends within the crop doesn't show of it, (256, 256) bool: beyond one slanting line a side."""
    y, x = np.mgrid[:CROP_SIZE, :CROP_SIZE] - (CROP_SIZE - 1) / 2
    cut = np.zeros((CROP_SIZE, CROP_SIZE), np.bool_)
    for side in range(4):
        angle = np.deg2rad(90 * side + rng.uniform(-STEEPEST_CUT, STEEPEST_CUT))
        cut |= np.cos(angle) * x + np.sin(angle) * y > CROP_SIZE / 2 - rng.uniform(-10, DEEPEST_CUT)
    return cut


def seen_in(picture: Pixels, shown: Mask, matrix: Doubles, other: Pixels, rng: np.random.Generator) -> Pixels:
    """What the network sees of a crop.

    Args:
        picture: (256, 256, 3) uint8 RGB.
        shown: (256, 256) bool, which of its pixels are to be seen.
        matrix: (2, 3), from its pixels to those that are seen.
        other: another crop: what lies beyond may be of it.
        rng: draws what lies beyond.
    """
    size = (CROP_SIZE, CROP_SIZE)
    seen: Pixels = cv2.warpAffine(  # type: ignore[assignment]
        np.ascontiguousarray(picture), matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    within = cv2.warpAffine(shown.astype(np.uint8), matrix, size, flags=cv2.INTER_NEAREST).astype(bool)
    kind = int(rng.choice(len(_BEYOND), p=_OFTEN))
    beyond = _BEYOND[kind](seen, other, rng)
    return np.where(within[..., None], seen, beyond)


def _black(seen: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """As the pipeline has it."""
    return np.zeros_like(seen)


def _mirrored(seen: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    return seen


def _one_colour(seen: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    return np.broadcast_to(rng.integers(0, 256, 3).astype(np.uint8), seen.shape)


def _noise(seen: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    side = int(2 ** rng.integers(2, 8))
    coarse = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR), np.uint8)


def _other(seen: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """A magnified, turned part of another crop: it looks like a photo."""
    middle = rng.uniform(0, CROP_SIZE, 2)
    turn = cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), rng.uniform(-180, 180), rng.uniform(1.5, 4))
    return np.asarray(
        cv2.warpAffine(np.ascontiguousarray(other), turn, (CROP_SIZE, CROP_SIZE), borderMode=cv2.BORDER_REFLECT_101),
        np.uint8,
    )


_BEYOND: tuple[Callable[[Pixels, Pixels, np.random.Generator], Pixels], ...] = (
    _black, _mirrored, _one_colour, _noise, _other,
)  # fmt: skip
_OFTEN = (0.35, 0.2, 0.1, 0.1, 0.25)
