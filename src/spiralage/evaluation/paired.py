"""``results/paired.csv``: is one fill better than another? Errors on the same pictures, subtracted picture by picture.

Read off the predictions that ``spiralage evaluate lopo`` wrote, so that every experiment can be asked at any time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from spiralage.errors import InputError
from spiralage.evaluation.metrics import bootstrap_mae
from spiralage.evaluation.results import (
    ConditionKey,
    ConditionName,
    LopoRow,
    PairedRow,
    PredictionRow,
    read_rows,
    write_rows,
)
from spiralage.types import Doubles

AGAINST: tuple[tuple[ConditionName, str], ...] = (
    ("masked", "none"),
    ("restored", "inpaint"),
    ("restored", "imagine"),
    ("restored", "spiral"),
)
"""What is compared with: nothing done, OpenCV's inpainting, SpiralNet without SliceGAN; its ablations: SpiralNet."""


def paired_rows(folder: Path) -> list[PairedRow]:
    """All comparisons that the predictions in a results folder allow, experiment by experiment.

    Args:
        folder: has ``table1.csv`` and ``lopo/*.csv``.

    Raises:
        InputError: a table can't be read, or pictures of an experiment have no answer under one of its conditions.
    """
    origins = {row.block: row for row in read_rows(folder / "table1.csv", LopoRow)}
    return [row for path in sorted((folder / "lopo").glob("*.csv")) for row in _experiment(path, origins)]


def _experiment(path: Path, origins: Mapping[tuple[str, str], LopoRow]) -> Iterator[PairedRow]:
    for faces, answers in groupby(read_rows(path, PredictionRow), key=lambda row: row.faces):
        origin = origins.get((path.stem, faces))
        if origin is not None:  # else predictions that no table knows
            yield from _block(path, list(answers), origin)


def _block(path: Path, answers: Sequence[PredictionRow], origin: LopoRow) -> Iterator[PairedRow]:
    by_key: dict[ConditionKey, list[PredictionRow]] = {}
    for answer in answers:
        by_key.setdefault(answer.key, []).append(answer)
    (first, *_) = by_key.values()
    images, persons = [answer.image for answer in first], [answer.person for answer in first]
    errors: dict[ConditionKey, Doubles] = {}
    for key, rows in by_key.items():
        if [row.image for row in rows] != images:
            raise InputError(f"{path}: other pictures under {key.label} than under the rest; measure it anew")
        errors[key] = np.array([abs(row.estimate - row.age) for row in rows])
    for against in _references(list(errors)):
        for key in _compared(list(errors), against):
            difference = errors[key] - errors[against]
            low, high = bootstrap_mae(difference, persons)
            yield PairedRow(
                recipe=origin.recipe,
                faces=answers[0].faces,
                **key._asdict(),
                against_condition=against.condition,
                against_restorer=against.restorer,
                difference=float(difference.mean()),
                low=low,
                high=high,
                images=len(images),
                persons=len(set(persons)),
                seed=origin.seed,
                commit=origin.commit,
                hardware=origin.hardware,
            )


def _references(keys: Sequence[ConditionKey]) -> list[ConditionKey]:
    """What is compared with, as far as it was asked, occluder by occluder."""
    occluders = dict.fromkeys(key.occluder for key in keys)
    wanted = [ConditionKey(name, occluder, filler) for occluder in occluders for name, filler in AGAINST]
    return [key for key in wanted if key in keys]


def _compared(keys: Sequence[ConditionKey], against: ConditionKey) -> list[ConditionKey]:
    """The restorations that are compared with one; those that stand after it, so that no pair comes twice."""
    later = keys[keys.index(against) + 1 :]
    return [key for key in later if key.condition == "restored" and key.occluder == against.occluder]


def write_paired(folder: Path) -> list[PairedRow]:
    """Write ``paired.csv`` into the results folder; returns its rows."""
    rows = paired_rows(folder)
    write_rows(folder / "paired.csv", PairedRow, rows)
    return rows
