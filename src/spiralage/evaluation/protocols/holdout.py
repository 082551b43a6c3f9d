"""``spiralage evaluate utkface``: age networks on UTKFace's test split, original, masked and restored."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from spiralage.datasets.crops import Crops
from spiralage.datasets.manifest import Split
from spiralage.distribution import expected_age
from spiralage.evaluation.conditions import all_conditions, pictures_under
from spiralage.evaluation.metrics import cumulative_score, interval_coverage, mean_absolute_error
from spiralage.files import write_text
from spiralage.networks.age import AgeNetwork
from spiralage.provenance import commit, hardware
from spiralage.training.tasks.age import load_age_network
from spiralage.types import Doubles, Floats, Pixels


@dataclass(frozen=True)
class Result:
    """A row of ``results/utkface.csv``; mae in years, cs5 and coverage90 in [0, 1]."""

    network: str
    condition: str
    mae: float
    cs5: float
    images: int
    recipe: str
    seed: int
    commit: str
    hardware: str
    coverage90: float | None


class Origin(NamedTuple):
    """What stands beside every number."""

    commit: str
    hardware: str


def evaluate_utkface(
    runs: Sequence[Path],
    crops: Crops,
    *,
    split: Split = "test",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Result]:
    """Every network under every condition, after the constant predictor.

    Each condition's pictures are made once and shown to every network, whatever it was trained on.

    Args:
        runs: folders of finished age runs.
        crops: UTKFace's aligned crops.
        split: which part of it.
        progress: told (images done, images in all).
    """
    ages = crops.ages[crops.indices(split)].astype(np.float64)
    networks = {run: load_age_network(run) for run in runs}
    origin = Origin(commit(), hardware())  # of the code that runs, not of the moment it ends
    results = [_constant(crops, ages, origin)]
    conditions, indices = all_conditions(), crops.indices(split)
    total, done = len(conditions) * len(ages), 0
    for condition in conditions:
        outputs: dict[Path, list[Floats]] = {run: [] for run in runs}
        for pictures in pictures_under(condition, crops, indices):
            for run, (_, network) in networks.items():
                outputs[run].append(probabilities(network, pictures))
            done += len(pictures)
            progress(done, total)
        for run, (recipe, _) in networks.items():
            estimates = np.concatenate(outputs[run])
            results.append(
                _result(recipe.network.backbone, condition.label, recipe.name, recipe.seed, estimates, ages, origin)
            )
    return results


@torch.no_grad()
def probabilities(network: AgeNetwork, pictures: Pixels) -> Floats:
    """P(age = j) from a PyTorch network in fp32: (N, 256, 256, 3) uint8 → (N, 101) float32."""
    logits: Tensor = network(torch.from_numpy(pictures))
    return np.asarray(logits.softmax(dim=1).numpy(), np.float32)


def _constant(crops: Crops, ages: Doubles, origin: Origin) -> Result:
    """The predictor that always answers the median age of the training split."""
    median = float(np.median(crops.ages[crops.indices("train")]))
    guess = np.full_like(ages, median)
    mae, cs5 = mean_absolute_error(guess, ages), cumulative_score(guess, ages)
    name = f"constant {median:g} years"
    return Result(name, "any", round(mae, 3), round(cs5, 4), len(ages), "", 0, *origin, None)


def _result(
    network: str, condition: str, recipe: str, seed: int, estimates: Floats, ages: Doubles, origin: Origin
) -> Result:
    means = expected_age(estimates)
    return Result(
        network,
        condition,
        round(mean_absolute_error(means, ages), 3),
        round(cumulative_score(means, ages), 4),
        len(ages),
        recipe,
        seed,
        *origin,
        round(interval_coverage(estimates, ages), 4),
    )


def write_results(results: Sequence[Result], path: Path) -> None:
    """Write the rows as CSV, whole or not at all; raises OutputError."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [field.name for field in fields(Result)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(result) for result in results)
    write_text(path, buffer.getvalue())
