"""``spiralage evaluate goals``: what the project set itself against what its tables say."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from spiralage.errors import InputError
from spiralage.files import write_text

Where = Mapping[str, str]


@dataclass(frozen=True)
class Goal:
    """An error to stay below.

    Args:
        what: in words.
        table: the file that has it, in the results folder.
        where: column → value of the row that has it; the first such row.
        below: years of mean absolute error.
    """

    what: str
    table: str
    where: Where
    below: float


def _original(recipe: str) -> Where:
    return MappingProxyType({"recipe": recipe, "condition": "original"})


GOALS = (
    Goal("FG-NET originals, the paper's AlexNet (the paper's own error)", "table1.csv", _original("lopo-paper"), 4.47),
    Goal("FG-NET originals, `best`", "table1.csv", _original("lopo-best"), 3.6),
    Goal("UTKFace test originals, `best`", "utkface.csv", _original("best"), 4.6),
)

HEAD = """# Goals

Written by `spiralage evaluate goals` from the tables beside it. Mean absolute error in years.

| what | goal: below | measured | |
|---|---:|---:|---|
"""


def goals_page(folder: Path, goals: Sequence[Goal] = GOALS) -> str:
    """The goals and what was measured, as Markdown.

    Args:
        folder: the results folder.
        goals: which.

    Raises:
        InputError: a table, or its row, isn't there.
    """
    return HEAD + "".join(map(_line, goals, (_measured(folder, goal) for goal in goals)))


def _line(goal: Goal, measured: float) -> str:
    verdict = "met" if measured < goal.below else f"missed by {measured - goal.below:.2f}"
    return f"| {goal.what} | {goal.below:.2f} | {measured:.2f} | {verdict} |\n"


def _measured(folder: Path, goal: Goal) -> float:
    path = folder / goal.table
    try:
        lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); choose the results folder") from error
    for line in lines:
        if all(line.get(column) == value for column, value in goal.where.items()):
            return float(line["mae"])
    asked = ", ".join(f"{column} {value}" for column, value in goal.where.items())
    raise InputError(f"{path}: no row with {asked}; measure it first")


def write_goals(folder: Path) -> str:
    """Write ``goals.md`` into the results folder; returns its text."""
    text = goals_page(folder)
    write_text(folder / "goals.md", text)
    return text
