"""The paper's Table 1 as files: rows with intervals, every picture's prediction, and a page beside the paper."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
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
from spiralage.evaluation.protocols.lopo import Plan, Predictions, persons_of, pictures_of, read_predictions
from spiralage.files import write_text
from spiralage.types import Doubles

PAPER = {"original": 4.47, "masked": 11.33, "restored": 7.86}
"""Choi's Table 1: MAE in years over FG-NET, leave one person out; AlexNet, trained on unmasked faces."""
CONSTANT = "constant"


@dataclass(frozen=True)
class TableRow:
    """A row of ``results/table1.csv``.

    Args:
        estimator: what estimates.
        trained_on: data in order, and whether faces were masked.
        condition: original, masked or restored.
        restorer: who filled the hidden pixels; "none" is 0.
        mae, mae_low, mae_high: years, over images; the 95 % interval is a bootstrap over persons.
        mae_by_person: years, the mean of the persons' own MAEs.
        cs5: the part of images within 5 years.
    """

    estimator: str
    trained_on: str
    condition: str
    restorer: str
    mae: float
    mae_low: float
    mae_high: float
    mae_by_person: float
    cs5: float
    images: int
    persons: int
    recipe: str
    seed: int
    commit: str
    hardware: str

    @property
    def block(self) -> tuple[str, str]:
        """The recipe, and whether the folds' networks were trained on masked or unmasked faces."""
        return self.recipe, self.trained_on.rpartition(", ")[2]


def constant_estimates(crops: Crops) -> Doubles:
    """For each picture the median age of all other persons' pictures, in years: what reading nothing gives."""
    estimates = np.empty(len(crops))
    for person in persons_of(crops):
        estimates[pictures_of(crops, person)] = np.median(crops.ages[pictures_of(crops, person, others=True)])
    return estimates


def rows_of(plan: Plan, crops: Crops, blocks: Sequence[Predictions]) -> list[TableRow]:
    """The constant predictor, then every block under every condition."""
    recipe = plan.recipe
    constant = _measures(crops, constant_estimates(crops)) | _origin(blocks[0])
    rows = [_row(CONSTANT, "FG-NET's ages", "any", "", constant | {"recipe": "", "seed": 0})]
    for predictions in blocks:
        origin = _origin(predictions) | {"recipe": recipe.name, "seed": recipe.seed}
        for condition in plan.conditions:
            measured = _measures(crops, expected_age(predictions.probabilities[condition.label]))
            whose = recipe.estimator, predictions.trained_on
            rows.append(_row(*whose, condition.name, condition.filled_by, measured | origin))
    return rows


def _row(estimator: str, trained_on: str, condition: str, restorer: str, numbers: dict[str, Any]) -> TableRow:
    return TableRow(estimator, trained_on, condition, restorer, **numbers)


def _measures(crops: Crops, estimates: Doubles) -> dict[str, Any]:
    ages, persons = crops.ages.astype(np.float64), [row.subject for row in crops.rows]
    errors = np.abs(estimates - ages)
    low, high = bootstrap_mae(errors, persons)
    return {
        "mae": round(mean_absolute_error(estimates, ages), 3),
        "mae_low": round(low, 3),
        "mae_high": round(high, 3),
        "mae_by_person": round(mae_by_person(errors, persons), 3),
        "cs5": round(cumulative_score(estimates, ages), 4),
        "images": len(ages),
        "persons": len(set(persons)),
    }


def _origin(predictions: Predictions) -> dict[str, Any]:
    return {"commit": " ".join(predictions.commits), "hardware": "; ".join(predictions.hardware)}


def write_predictions(path: Path, plan: Plan, crops: Crops, blocks: Sequence[Predictions]) -> None:
    """One line per picture and block: the truth, then per condition the estimate and P(age < truth).

    The last is uniform over pictures if the distributions are honest: coverage of any interval can be read
    off it. Lines of a block that isn't written anew stay, if it was asked under the same conditions.
    """
    labels = [condition.label.replace(" ", "_") for condition in plan.conditions]
    header = ["image", "person", "age", "found_by", "trained_on", *(f"{x}{y}" for x in labels for y in ("", "_cdf"))]
    new = {block.block.faces for block in blocks}
    kept = [line for line in _lines_under(path, header) if line[header.index("trained_on")] not in new]
    write_csv(path, header, itertools.chain(_prediction_lines(plan, crops, blocks), kept))


def _lines_under(path: Path, header: list[str]) -> list[list[object]]:
    """A table's lines, if it is there and has that header."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        found, *lines = csv.reader(file)
    return [list(line) for line in lines] if found == header else []


def _prediction_lines(plan: Plan, crops: Crops, blocks: Sequence[Predictions]) -> Iterator[list[object]]:
    ages = crops.ages.astype(np.float64)
    for block in blocks:
        columns = []
        for condition in plan.conditions:
            p = block.probabilities[condition.label]
            columns += [[f"{x:.2f}" for x in expected_age(p)], [f"{x:.4f}" for x in cumulative_probability(p, ages)]]
        for row, found_by, *values in zip(crops.rows, crops.found_by, *columns, strict=True):
            yield [row.image, row.subject, row.age, found_by, block.block.faces, *values]


def merge_rows(path: Path, rows: Sequence[TableRow]) -> list[TableRow]:
    """Put a recipe's blocks into the table, in place of their former rows; the constant predictor stays first."""
    new = {row.block for row in rows}
    kept = [row for row in read_rows(path) if row.block not in new] if path.exists() else []
    merged = [*(row for row in rows if row.estimator == CONSTANT), *kept]
    merged += [row for row in rows if row.estimator != CONSTANT]
    recipes = list(dict.fromkeys(row.recipe for row in merged))
    merged.sort(key=lambda row: (recipes.index(row.recipe), row.block[1] == "masked"))
    write_csv(path, [field.name for field in fields(TableRow)], (list(asdict(row).values()) for row in merged))
    return merged


def read_rows(path: Path) -> list[TableRow]:
    """The rows of a table that ``merge_rows`` wrote."""
    kinds = {"int": int, "float": float, "str": str}
    with path.open(newline="", encoding="utf-8") as file:
        return [
            TableRow(**{field.name: kinds[str(field.type)](line[field.name]) for field in fields(TableRow)})
            for line in csv.DictReader(file)
        ]


def write_csv(path: Path, header: list[str], lines: Iterable[list[object]]) -> None:
    """Write a table, whole or not at all."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    write_text(path, buffer.getvalue())


HEAD = """# Table 1: FG-NET, leave one person out

Written by `spiralage evaluate lopo`. Mean absolute error in years over images, with the 95 % interval of a bootstrap
over persons; *by person* is the mean of the persons' own errors; CS@5 the part of images within 5 years. *Paper*:
Choi's AlexNet, pre-trained on IMDB-WIKI and UTKFace, and the difference to it; its restorer is SpiralNet. *Constant*:
always the median age of the training persons.

| estimator | trained on | condition | filled by | MAE | 95 % | by person | CS@5 | paper |
|---|---|---|---|---:|---:|---:|---:|---:|
"""


def write_page(path: Path, rows: Sequence[TableRow]) -> None:
    """The table for readers, beside the paper's numbers."""
    seen = sorted({(row.recipe, row.seed, row.commit, row.hardware) for row in rows if row.recipe})
    runs = [f"- `recipes/{name}.toml`, seed {seed}, commit {commit}, {machine}" for name, seed, commit, machine in seen]
    counted = f"{rows[0].images} images of {rows[0].persons} persons. Runs:"
    write_text(path, HEAD + "\n".join([*map(_page_line, rows), "", counted, "", *runs]) + "\n")


def _page_line(row: TableRow) -> str:
    paper = PAPER.get(row.condition) if row.trained_on.endswith(", unmasked") else None
    cells = (
        row.estimator,
        row.trained_on,
        row.condition,
        row.restorer,
        f"{row.mae:.2f}",
        f"{row.mae_low:.2f}–{row.mae_high:.2f}",
        f"{row.mae_by_person:.2f}",
        f"{row.cs5:.3f}",
        "" if paper is None else f"{paper:.2f} ({row.mae - paper:+.2f})",
    )
    return "| " + " | ".join(cells) + " |"


def write_all(plan: Plan, crops: Crops, folder: Path) -> list[TableRow]:
    """Put a finished experiment into the tables, the predictions and the plots; returns its rows."""
    blocks = [read_predictions(plan, block) for block in plan.recipe.blocks]
    rows = rows_of(plan, crops, blocks)
    merged = merge_rows(folder / "table1.csv", rows)
    write_page(folder / "table1.md", merged)
    write_predictions(folder / "lopo" / f"{plan.recipe.name}.csv", plan, crops, blocks)
    title = f"{plan.recipe.estimator}, FG-NET, leave one person out"
    write_plots(folder / "lopo" / f"{plan.recipe.name}.png", title, crops.ages.astype(np.float64), blocks)
    return rows
