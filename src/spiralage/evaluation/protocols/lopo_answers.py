"""Leave one person out, the answers: folds put together, the paper's Table 1, every picture's prediction, plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spiralage.datasets.crops import Crops
from spiralage.distribution import expected_age
from spiralage.evaluation.metrics import (
    bootstrap_mae,
    cumulative_probability,
    cumulative_score,
    mae_by_person,
    mean_absolute_error,
)
from spiralage.evaluation.plots import write_plots
from spiralage.evaluation.protocols.lopo import Plan, persons_of, pictures_of, read_fold, start_of
from spiralage.evaluation.results import AnyRow, ConditionKey, LopoRow, PredictionRow, read_rows, write_rows
from spiralage.evaluation.tables import lopo_page
from spiralage.files import write_text
from spiralage.training.pretrained import TITLES, learned_from
from spiralage.training.recipes import Block
from spiralage.training.run import read_record
from spiralage.types import Doubles, Floats


@dataclass(frozen=True)
class Predictions:
    """A block's answers to every picture.

    Args:
        block: the network's.
        trained_on: all that its networks have learned from, in order.
        probabilities: test condition → (N, 101) float32, in the order of the crops.
        commits: of the code that the folds ran with, sorted.
        hardware: what they ran on, sorted.
    """

    block: Block
    trained_on: str
    probabilities: dict[ConditionKey, Floats]
    commits: tuple[str, ...]
    hardware: tuple[str, ...]


def read_predictions(plan: Plan, block: Block) -> Predictions:
    """Put a block's folds together; raises CheckpointError if one is missing or damaged."""
    crops, keys = Crops(plan.crops), [condition.key for condition in plan.conditions]
    answers = np.full((len(keys), len(crops), 101), np.nan, np.float32)
    commits, machines = set(), set()
    for person in persons_of(crops):
        theirs = pictures_of(crops, person)
        answers[:, theirs], facts = read_fold(plan, block, person, len(theirs))
        commits.add(facts["commit"])
        machines.add(facts["hardware"])
    learned = [*learned_from(read_record(start_of(plan, block))), f"{TITLES['fgnet']}, {block.faces}"]
    return Predictions(
        block,
        " → ".join(learned),
        dict(zip(keys, answers, strict=True)),
        tuple(sorted(commits)),
        tuple(sorted(machines)),
    )


def constant_estimates(crops: Crops) -> Doubles:
    """For each picture the median age of all other persons' pictures, in years: what reading nothing gives."""
    estimates = np.empty(len(crops))
    for person in persons_of(crops):
        estimates[pictures_of(crops, person)] = np.median(crops.ages[pictures_of(crops, person, others=True)])
    return estimates


def rows_of(plan: Plan, crops: Crops, blocks: Sequence[Predictions]) -> list[LopoRow]:
    """The constant predictor, then every block under every condition."""
    recipe = plan.recipe
    guess = _measures(crops, constant_estimates(crops)) | _origin(blocks[0])
    rows = [LopoRow(estimator="constant", trained_on="FG-NET's ages", condition="any", seed=0, **guess)]
    for block in blocks:
        whose: dict[str, Any] = {"trained_on": block.trained_on, "faces": block.block.faces, **_origin(block)}
        for key, answers in block.probabilities.items():
            numbers = _measures(crops, expected_age(answers))
            name: dict[str, Any] = {"estimator": recipe.estimator, "recipe": recipe.name, "seed": recipe.seed}
            rows.append(LopoRow(**name, **whose, **key._asdict(), **numbers))
    return rows


def _measures(crops: Crops, estimates: Doubles) -> dict[str, Any]:
    ages, persons = crops.ages.astype(np.float64), [row.subject for row in crops.rows]
    errors = np.abs(estimates - ages)
    low, high = bootstrap_mae(errors, persons)
    return {
        "mae": mean_absolute_error(estimates, ages),
        "mae_low": low,
        "mae_high": high,
        "mae_by_person": mae_by_person(errors, persons),
        "cs5": cumulative_score(estimates, ages),
        "images": len(ages),
        "persons": len(set(persons)),
    }


def _origin(predictions: Predictions) -> dict[str, Any]:
    return {"commit": " ".join(predictions.commits), "hardware": "; ".join(predictions.hardware)}


def prediction_rows(crops: Crops, blocks: Sequence[Predictions]) -> Iterator[PredictionRow]:
    """One row per block, condition and picture."""
    ages = crops.ages.astype(np.float64)
    for block in blocks:
        for key, answers in block.probabilities.items():
            columns = crops.ages, expected_age(answers), cumulative_probability(answers, ages)
            for row, found_by, age, estimate, cdf in zip(crops.rows, crops.found_by, *columns, strict=True):
                yield PredictionRow(
                    image=row.image,
                    person=row.subject or "",
                    age=int(age),
                    found_by=found_by,
                    faces=block.block.faces,
                    **key._asdict(),
                    estimate=float(estimate),
                    cdf=float(cdf),
                )


def write_predictions(path: Path, crops: Crops, blocks: Sequence[Predictions]) -> None:
    """Put blocks into an experiment's predictions, in place of their former rows."""
    new = {block.block.faces for block in blocks}
    kept = [row for row in _rows_there(path, PredictionRow) if row.faces not in new]
    write_rows(path, PredictionRow, [*prediction_rows(crops, blocks), *kept])


def merge_rows(path: Path, rows: Sequence[LopoRow]) -> list[LopoRow]:
    """Put a recipe's blocks into the table, in place of their former rows; the constant predictor stays first."""
    new = {row.block for row in rows}
    kept = [row for row in _rows_there(path, LopoRow) if row.block not in new]
    merged = [*(row for row in rows if row.condition == "any"), *kept]
    merged += [row for row in rows if row.condition != "any"]
    recipes = list(dict.fromkeys(row.recipe for row in merged))
    merged.sort(key=lambda row: (recipes.index(row.recipe), row.faces == "masked"))
    write_rows(path, LopoRow, merged)
    return merged


def _rows_there(path: Path, kind: type[AnyRow]) -> list[AnyRow]:
    return read_rows(path, kind) if path.exists() else []


def write_all(plan: Plan, crops: Crops, folder: Path) -> list[LopoRow]:
    """Put a finished experiment into the tables, the predictions and the plots; returns its rows."""
    blocks = [read_predictions(plan, block) for block in plan.recipe.blocks]
    rows = rows_of(plan, crops, blocks)
    merged = merge_rows(folder / "table1.csv", rows)
    write_text(folder / "table1.md", lopo_page(merged))
    write_predictions(folder / "lopo" / f"{plan.recipe.name}.csv", crops, blocks)
    title = f"{plan.recipe.estimator}, FG-NET, leave one person out"
    ages = crops.ages.astype(np.float64)
    write_plots(
        folder / "lopo" / f"{plan.recipe.name}.png", title, ages, {b.block.faces: b.probabilities for b in blocks}
    )
    return rows
