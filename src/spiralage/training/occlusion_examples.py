"""What the network that finds occlusions learns from: faces with something drawn on them, and what is known of them."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from spiralage.datasets.crops import Indices
from spiralage.datasets.hidden_labels import Known, known_pixels, set_names
from spiralage.datasets.joined import AnyCrops
from spiralage.occlusion.occluders import DISTRACTORS, OCCLUDERS, Cover, OccluderName
from spiralage.occlusion.weather import weather
from spiralage.training.covers import draw_cover
from spiralage.training.recipes import Disorder, DistractorName, OcclusionRecipe
from spiralage.types import CROP_SIZE, Doubles, Pixels

HIDDEN_ALREADY = 0.02
"""Who has so much of a crop hidden gets nothing drawn over it."""


class Examples(NamedTuple):
    """Faces, and what is known of their pixels.

    Args:
        pictures: (N, 256, 256, 3) uint8 RGB, 0 beyond the photo, as the pipeline has it.
        known: (N, 256, 256) uint8, each a ``Known``; what is drawn and hides is ``HIDDEN``.
    """

    pictures: Pixels
    known: Pixels


def training_indices(crops: AnyCrops, recipe: OcclusionRecipe) -> Indices:
    """The positions of an epoch's pictures, those of some sets several times."""
    train = crops.indices("train")
    times = dict[str, int](recipe.times.items())
    return np.repeat(train, [times.get(name, 1) for name in set_names(crops)[train].tolist()])


def training_examples(crops: AnyCrops, chosen: Indices, recipe: OcclusionRecipe, rng: np.random.Generator) -> Examples:
    """A step's pictures: distractors and occluders drawn by their shares, then moved, mirrored and weathered."""
    rows = zip(crops.take(chosen), known_pixels(crops, chosen), crops.full_landmarks(chosen), strict=True)
    made = [_disorder(*_drawn(*row, recipe, rng), recipe.disorder, rng) for row in rows]
    return Examples(np.stack([picture for picture, _ in made]), np.stack([known for _, known in made]))


def _drawn(
    picture: Pixels, known: Pixels, points: Doubles, recipe: OcclusionRecipe, rng: np.random.Generator
) -> tuple[Pixels, Pixels]:
    for name in sorted(recipe.distractors):
        if rng.random() < recipe.distractors[name]:
            picture, known = put_on(picture, known, distractor(name, points, rng), Known.PERSON)
    covered = rng.random() < sum(recipe.occluders.values())
    if covered and (known == Known.HIDDEN).mean() < HIDDEN_ALREADY:
        picture, known = put_on(picture, known, draw_cover(points, recipe.occluders, rng), Known.HIDDEN)
    return picture, known


def distractor(name: DistractorName, points: Doubles, rng: np.random.Generator) -> Cover:
    """What belongs to a person, drawn; its mask tells where it is, though it is not to be found."""
    if name == "hair":
        return OCCLUDERS["hair"](points, rng)
    cover = DISTRACTORS[name](points, rng)
    return cover if cover.coverage is None else cover._replace(mask=cover.coverage >= FAINT)


FAINT = 64
"""Of 255: less of a pixel is not covered enough to be taken for anything."""


def put_on(picture: Pixels, known: Pixels, cover: Cover, what: Known) -> tuple[Pixels, Pixels]:
    """A face with a cover in front of it, and what is known of it then; beyond the photo there is none."""
    where = cover.mask & (known != Known.BEYOND)
    return cover.over(picture), np.where(where, np.uint8(what), known)


def with_cover(picture: Pixels, known: Pixels, points: Doubles, name: OccluderName, seed: int) -> tuple[Pixels, Pixels]:
    """A face under one kind of occluder, drawn by its own seed: for validation and tests.

    Args:
        picture: (256, 256, 3) uint8 RGB.
        known: (256, 256) uint8, each a ``Known``.
        points: (68, 2) float64, (x, y) in crop pixels.
        name: the occluder's.
        seed: of the drawing.

    Returns:
        The picture, 0 beyond the photo, and what is then known.
    """
    picture, known = put_on(picture, known, OCCLUDERS[name](points, np.random.default_rng(seed)), Known.HIDDEN)
    return as_in_use(picture, known), known


def as_in_use(picture: Pixels, known: Pixels) -> Pixels:
    """A crop as the pipeline has it: 0 beyond the photo, where training pictures have its mirror image."""
    return np.where((known == Known.BEYOND)[..., None], np.uint8(0), picture)


def _disorder(picture: Pixels, known: Pixels, settings: Disorder, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
    """Turned, scaled and moved, as where landmarks were found under a mask; mirrored by half; weathered."""
    matrix = _similarity(settings, rng)
    size = (CROP_SIZE, CROP_SIZE)
    picture = np.asarray(
        cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )
    known = np.asarray(
        cv2.warpAffine(
            known, matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=(Known.BEYOND,)
        ),
        np.uint8,
    )
    if rng.random() < 0.5:
        picture, known = np.ascontiguousarray(picture[:, ::-1]), np.ascontiguousarray(known[:, ::-1])
    if rng.random() < settings.weather:
        picture = weather(picture, rng)
    return as_in_use(picture, known), known


def _similarity(settings: Disorder, rng: np.random.Generator) -> Doubles:
    """(2, 3), about the crop's middle."""
    middle = (CROP_SIZE - 1) / 2
    angle = rng.uniform(-settings.rotation_degrees, settings.rotation_degrees)
    scale = 1 + rng.uniform(-settings.scale, settings.scale)
    matrix = np.asarray(cv2.getRotationMatrix2D((middle, middle), angle, scale), np.float64)
    matrix[:, 2] += rng.uniform(-settings.shift, settings.shift, 2) * CROP_SIZE
    return matrix
