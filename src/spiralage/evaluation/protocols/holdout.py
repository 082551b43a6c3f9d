"""``spiralage evaluate holdout``: age networks on faces kept back, original, masked and restored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spiralage.datasets.crops import Crops
from spiralage.datasets.manifest import Split
from spiralage.distribution import expected_age
from spiralage.evaluation.conditions import all_conditions, pictures_under
from spiralage.evaluation.metrics import cumulative_score, interval_coverage, mean_absolute_error
from spiralage.evaluation.results import ConditionKey, HoldoutRow, Origin
from spiralage.networks.age import AgeNetwork
from spiralage.occlusion.occluders import OccluderName
from spiralage.provenance import commit, hardware
from spiralage.training.tasks.age import load_age_network
from spiralage.types import Doubles, Floats, Pixels

COVERED = 0.9
"""The level of the interval whose coverage is measured."""


def evaluate_holdout(
    runs: Sequence[Path],
    sets: Sequence[Crops],
    *,
    split: Split = "test",
    occluders: Sequence[OccluderName] = ("paper",),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[HoldoutRow]:
    """Every network on every set under every condition, after the set's constant predictor.

    Each condition's pictures are made once and shown to every network, whatever it was trained on. A network answers
    as it is used: with its own view, and mirror images if it looks at them.

    Args:
        runs: folders of finished age runs.
        sets: aligned crops of data sets with ages.
        split: which part of them.
        occluders: what hides.
        progress: told (images done, images in all).
    """
    networks = {run: load_age_network(run) for run in runs}
    origin = Origin(commit(), hardware())  # of the code that runs, not of the moment it ends
    conditions, results = all_conditions(occluders=occluders), []
    total, done = len(conditions) * sum(len(crops.indices(split)) for crops in sets), 0
    for crops in sets:
        indices = crops.indices(split)
        ages = crops.ages[indices].astype(np.float64)
        results.append(_constant(crops, ages, origin))
        for condition in conditions:
            outputs: dict[Path, list[Floats]] = {run: [] for run in runs}
            for pictures in pictures_under(condition, crops, indices):
                for run, (_, network) in networks.items():
                    outputs[run].append(probabilities(network, pictures))
                done += len(pictures)
                progress(done, total)
            for run, (recipe, _) in networks.items():
                name = crops.data, recipe.network.backbone, recipe.name, recipe.seed
                results.append(_measured(*name, condition.key, np.concatenate(outputs[run]), ages, origin))
    return results


def renewed(former: Sequence[HoldoutRow], rows: Sequence[HoldoutRow]) -> list[HoldoutRow]:
    """New rows, and of the former ones those of other sets and recipes: a network is measured whole or not at all."""
    measured = {(row.data, row.recipe) for row in rows}
    return [*rows, *(row for row in former if (row.data, row.recipe) not in measured)]


@torch.no_grad()
def probabilities(network: AgeNetwork, pictures: Pixels) -> Floats:
    """P(age = j) from a PyTorch network in fp32: (N, 256, 256, 3) uint8 → (N, 101) float32."""
    found: Tensor = network(torch.from_numpy(pictures))
    return np.asarray(found.numpy(), np.float32)


def _constant(crops: Crops, ages: Doubles, origin: Origin) -> HoldoutRow:
    """The predictor that always answers the median age of the training split."""
    median = float(np.median(crops.ages[crops.indices("train")]))
    guess = np.full_like(ages, median)
    return HoldoutRow(
        data=crops.data,
        network=f"constant {median:g} years",
        condition="any",
        mae=mean_absolute_error(guess, ages),
        cs5=cumulative_score(guess, ages),
        images=len(ages),
        seed=0,
        **origin._asdict(),
    )


def _measured(
    data: str, network: str, recipe: str, seed: int, key: ConditionKey, answers: Floats, ages: Doubles, origin: Origin
) -> HoldoutRow:
    means = expected_age(answers)
    return HoldoutRow(
        data=data,
        network=network,
        **key._asdict(),
        mae=mean_absolute_error(means, ages),
        cs5=cumulative_score(means, ages),
        images=len(ages),
        recipe=recipe,
        seed=seed,
        **origin._asdict(),
        coverage90=interval_coverage(answers, ages, COVERED),
    )
