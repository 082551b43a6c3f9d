"""Bring the tables of a results folder that version 0.3 or older wrote into the present form; the numbers stay.

    python -m spiralage.evaluation.migrate results

A table that has the present form is left as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from spiralage.errors import SpiralageError
from spiralage.evaluation.results import (
    HoldoutRow,
    LopoRow,
    PairedRow,
    PredictionRow,
    RestorationRow,
    Row,
    read_lines,
    read_rows,
    write_rows,
)
from spiralage.evaluation.tables import lopo_page, restoration_page
from spiralage.files import write_text

Line = dict[str, str]
OCCLUDERS = MappingProxyType({"random": "random-window", "": "", "paper": "paper"})
"""What the windows of restoration were called → the occluder."""


def condition_of(text: str) -> dict[str, str]:
    """The columns of a test condition that was written in a word or two; the paper's mask was the only occluder.

    >>> condition_of("restored_mean-face"), condition_of("original")
    ({'condition': 'restored', 'occluder': 'paper', 'restorer': 'mean-face'}, {'condition': 'original'})
    """
    condition, _, restorer = text.replace("_", " ").partition(" ")
    return {"condition": condition, "occluder": "paper", "restorer": restorer} if restorer else {"condition": condition}


def lopo(line: Line) -> Iterator[Line]:
    """A line of table1.csv."""
    faces = "" if line["condition"] == "any" else line["trained_on"].rpartition(", ")[2]
    yield line | condition_of(f"{line['condition']} {line['restorer']}".strip()) | {"faces": faces}


def predictions(line: Line) -> Iterator[Line]:
    """A line of lopo/NAME.csv, which had two columns for every condition."""
    shared = {name: line[name] for name in ("image", "person", "age", "found_by")} | {"faces": line["trained_on"]}
    for name in line:
        if f"{name}_cdf" in line:
            yield shared | condition_of(name) | {"estimate": line[name], "cdf": line[f"{name}_cdf"]}


def paired(line: Line) -> Iterator[Line]:
    """A line of paired.csv."""
    against = condition_of(line.pop("against"))
    faces = line.pop("trained_on")
    told = {"against_condition": against["condition"], "against_restorer": against["restorer"], "faces": faces}
    yield line | condition_of(line["condition"]) | told


def holdout(line: Line) -> Iterator[Line]:
    """A line of utkface.csv, which is called holdout.csv since it has other sets, too."""
    yield {"data": "utkface"} | line | ({} if "occluder" in line else condition_of(line["condition"]))


def restoration(line: Line) -> Iterator[Line]:
    """A line of restore.csv."""
    yield {"occluder": OCCLUDERS[line.pop("window")]} | line


def migrate(path: Path, kind: type[Row], bring: Callable[[Line], Iterator[Line]], old: str) -> bool:
    """Write a table anew if it has a former form.

    Args:
        path: the table.
        kind: of its rows.
        bring: a line of the former form → lines of the present one.
        old: the columns that tell the former form: those there, and those not there with a "-" before them.

    Returns:
        Whether it had.
    """
    lines = list(read_lines(path))
    columns = set(lines[0]) if lines else set()
    if not all((name[1:] not in columns) if name[0] == "-" else (name in columns) for name in old.split()):
        return False
    values: list[Any] = [new for line in lines for new in bring(line)]
    write_rows(path, kind, [kind.model_validate({k: v for k, v in value.items() if v != ""}) for value in values])
    return True


TABLES: Mapping[str, tuple[type[Row], Callable[[Line], Iterator[Line]], str]] = MappingProxyType(
    {
        "table1.csv": (LopoRow, lopo, "trained_on -faces"),
        "lopo/*.csv": (PredictionRow, predictions, "trained_on -condition"),
        "paired.csv": (PairedRow, paired, "against"),
        "utkface.csv": (HoldoutRow, holdout, "network -data"),
        "restore.csv": (RestorationRow, restoration, "window"),
    }
)
"""File names → rows, and how lines of the former form are brought into the present one."""


def main(folder: Path) -> None:
    """Migrate all tables of a results folder, tell which, and write their pages anew."""
    for pattern, table in TABLES.items():
        for path in sorted(folder.glob(pattern)):
            print(f"{path}: {'migrated' if migrate(path, *table) else 'as it is'}")
    former, present = folder / "utkface.csv", folder / "holdout.csv"
    if former.exists() and not present.exists():
        former.rename(present)
        print(f"{former}: is {present.name} now")
    lopo_table, restoration_table = folder / "table1.csv", folder / "restore.csv"
    if lopo_table.exists():
        write_text(lopo_table.with_suffix(".md"), lopo_page(read_rows(lopo_table, LopoRow)))
    if restoration_table.exists():
        write_text(restoration_table.with_suffix(".md"), restoration_page(read_rows(restoration_table, RestorationRow)))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "results"))
    except SpiralageError as error:
        sys.exit(str(error))
