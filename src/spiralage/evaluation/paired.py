"""``results/paired.csv``: is one fill better than another? Errors on the same pictures, subtracted picture by picture.

Read off the predictions that ``spiralage evaluate lopo`` wrote, so that every experiment can be asked at any time.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from spiralage.evaluation.metrics import bootstrap_mae
from spiralage.evaluation.tables import TableRow, read_rows, write_csv
from spiralage.types import Doubles

AGAINST = ("masked_none", "restored_imagine", "restored_spiral")
"""What is compared with: doing nothing; SpiralNet without SliceGAN; and, for its ablations, SpiralNet."""
RESTORED = "restored_"


@dataclass(frozen=True)
class PairedRow:
    """A row of ``results/paired.csv``.

    Args:
        recipe: the experiment.
        trained_on: unmasked or masked, the block.
        condition, against: columns of the experiment's predictions.
        difference, low, high: years; the mean of |error| under the condition less |error| under the other, and
            its 95 % interval, a bootstrap over persons. Below 0 the condition is better.
    """

    recipe: str
    trained_on: str
    condition: str
    against: str
    difference: float
    low: float
    high: float
    images: int
    persons: int
    seed: int
    commit: str
    hardware: str


def paired_rows(folder: Path) -> list[PairedRow]:
    """All comparisons that the predictions in a results folder allow, experiment by experiment.

    Args:
        folder: has ``table1.csv`` and ``lopo/*.csv``.
    """
    origins = {row.block: row for row in read_rows(folder / "table1.csv")}
    return [row for path in sorted((folder / "lopo").glob("*.csv")) for row in _experiment(path, origins)]


def _experiment(path: Path, origins: Mapping[tuple[str, str], TableRow]) -> Iterator[PairedRow]:
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for block in dict.fromkeys(line["trained_on"] for line in lines):
        origin = origins.get((path.stem, block))
        if origin is None:  # predictions that no table knows
            continue
        asked = [line for line in lines if line["trained_on"] == block]
        persons = [line["person"] for line in asked]
        errors = {name: _errors(asked, name) for name in asked[0] if f"{name}_cdf" in asked[0]}
        for against in filter(errors.__contains__, AGAINST):
            for name in _compared(list(errors), against):
                difference = errors[name] - errors[against]
                low, high = bootstrap_mae(difference, persons)
                yield PairedRow(
                    origin.recipe,
                    block,
                    name,
                    against,
                    round(float(difference.mean()), 3),
                    round(low, 3),
                    round(high, 3),
                    len(asked),
                    len(set(persons)),
                    origin.seed,
                    origin.commit,
                    origin.hardware,
                )


def _compared(names: Sequence[str], against: str) -> list[str]:
    """The restorations that are compared with one; those that stand after it, so that no pair comes twice."""
    return [name for name in names[names.index(against) + 1 :] if name.startswith(RESTORED)]


def _errors(lines: Sequence[dict[str, str]], name: str) -> Doubles:
    return np.array([abs(float(line[name]) - float(line["age"])) for line in lines])


def write_paired(folder: Path) -> list[PairedRow]:
    """Write ``paired.csv`` into the results folder; returns its rows."""
    rows = paired_rows(folder)
    header = [field.name for field in fields(PairedRow)]
    write_csv(folder / "paired.csv", header, (list(asdict(row).values()) for row in rows))
    return rows
