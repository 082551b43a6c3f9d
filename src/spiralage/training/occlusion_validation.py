"""Validation faces of the network that finds occlusions, and the threshold that is chosen on them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from spiralage.datasets.crops import Indices, spread
from spiralage.datasets.hidden_labels import known_pixels, set_names
from spiralage.datasets.joined import AnyCrops
from spiralage.occlusion.occluders import OCCLUDERS
from spiralage.training.hidden_scores import hidden_score
from spiralage.training.occlusion_examples import Examples, as_in_use, with_cover
from spiralage.training.recipes import OcclusionRecipe
from spiralage.types import Floats, Pixels

MOST = 96
"""Validation faces that something is drawn on; the same faces are looked at as they are, too."""
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
MOST_FALSE = 0.005
"""The part of clean faces that may falsely be called hidden: half of what the goal allows."""
BATCH = 32


class Validation(NamedTuple):
    """Faces of the validation splits, the same at every look.

    Args:
        outlined: of MaskedFace-Net, all of them: masks that others drew; None without that set.
        drawn: of the other sets, under the recipe's occluders in turn.
        clean: the same as they are.
    """

    outlined: Examples | None
    drawn: Examples
    clean: Examples


class Chosen(NamedTuple):
    """A threshold, and how the network does with it; NaN where there are no such faces.

    Args:
        threshold: a pixel of this probability or more is hidden.
        outlined_iou, drawn_iou: the mean over pictures.
        falsely_hidden: the mean over clean pictures of the part of their pixels.
    """

    threshold: float
    outlined_iou: float
    drawn_iou: float
    falsely_hidden: float


def validation_of(crops: AnyCrops, recipe: OcclusionRecipe) -> Validation:
    """The validation faces of a recipe's sets."""
    indices = crops.indices("val")
    is_outlined = set_names(crops)[indices] == "maskedface"
    others = indices[~is_outlined]
    others = spread(others, MOST)
    names = [name for name in OCCLUDERS if recipe.occluders.get(name)]
    clean = clean_examples(crops, others)
    points = crops.full_landmarks(others) if len(others) else np.empty((0, 68, 2))
    drawn = [
        with_cover(clean.pictures[n], clean.known[n], points[n], names[n % len(names)], seed=n)
        for n in range(len(others))
    ]
    return Validation(
        clean_examples(crops, indices[is_outlined]) if is_outlined.any() else None, _stacked(drawn), clean
    )


def clean_examples(crops: AnyCrops, indices: Indices) -> Examples:
    """Faces as the pipeline has them, nothing drawn on them."""
    if not len(indices):
        return _stacked([])
    known = known_pixels(crops, indices)
    return Examples(as_in_use(crops.take(indices), known), known)


def _stacked(pairs: list[tuple[Pixels, Pixels]]) -> Examples:
    if not pairs:
        return Examples(np.empty((0, 256, 256, 3), np.uint8), np.empty((0, 256, 256), np.uint8))
    return Examples(np.stack([picture for picture, _ in pairs]), np.stack([known for _, known in pairs]))


def choose_threshold(network: nn.Module, validation: Validation, fabric: Fabric) -> Chosen:
    """The threshold of the largest intersection over union whose false finds on clean faces are few.

    Where none has so few, the one with the fewest.
    """
    sets = [validation.outlined, validation.drawn, validation.clean]
    answers = [None if one is None else _answers(network, one, fabric) for one in sets]
    tried = []
    for threshold in THRESHOLDS:
        outlined, drawn, _ = (
            [] if one is None or answer is None else _scores(answer >= threshold, one, "iou")
            for one, answer in zip(sets, answers, strict=True)
        )
        clean = [] if answers[2] is None else _scores(answers[2] >= threshold, validation.clean, "falsely_hidden")
        tried.append(Chosen(threshold, *map(_mean, (outlined, drawn, clean))))
    few = [one for one in tried if not one.falsely_hidden > MOST_FALSE]
    if not few:
        return min(tried, key=lambda one: one.falsely_hidden)
    return max(few, key=lambda one: np.nansum([one.outlined_iou, one.drawn_iou]))


def _mean(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _scores(found: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], examples: Examples, name: str) -> list[float]:
    pairs = zip(found, examples.known, strict=True)
    return [float(getattr(hidden_score(mask, known), name)) for mask, known in pairs]


@torch.no_grad()
def _answers(network: nn.Module, examples: Examples, fabric: Fabric) -> Floats:
    """P(hidden), (N, 256, 256) float32."""
    network.eval()
    found = [np.empty((0, 256, 256), np.float32)]
    for start in range(0, len(examples.pictures), BATCH):
        with fabric.autocast():
            answer = network(torch.from_numpy(examples.pictures[start : start + BATCH]).to(fabric.device))
        found.append(answer.float().cpu().numpy())
    return np.concatenate(found)
