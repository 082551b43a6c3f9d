"""How a training went on faces that it didn't learn from: ``results/training/NAME.csv`` and a plot."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure  # no pyplot: no display, no global state

from spiralage.errors import InputError
from spiralage.evaluation.protocols.validation import TABLE
from spiralage.evaluation.results import ValidationRow, read_rows, write_rows
from spiralage.files import write_bytes

MEASURES = {"psnr": "PSNR, dB", "ssim": "SSIM", "lpips": "LPIPS", "feature_fid": "feature FID"}
"""Column → label of its axis; the first two are better when higher, the others when lower."""


def write_training(run: Path, folder: Path) -> list[ValidationRow]:
    """Write ``training/NAME.csv`` and ``training/NAME.png`` into the results folder; returns the rows.

    Args:
        run: the folder of a run that was validated; NAME is its recipe's name.
        folder: the results folder.

    Raises:
        InputError: the run has no rows, or they are damaged.
        OutputError: a file can't be written.
    """
    rows = read_rows(run / TABLE, ValidationRow)
    if not rows:
        raise InputError(f"{run / TABLE}: no rows; train on until the first validation")
    place = folder / "training" / rows[-1].recipe
    write_rows(place.with_name(f"{place.name}.csv"), ValidationRow, rows)
    write_curves(place.with_name(f"{place.name}.png"), rows)
    return rows


def write_curves(path: Path, rows: Sequence[ValidationRow]) -> None:
    """A PNG: a plot for each measure that was taken, over the hours of training; raises OutputError."""
    taken = [name for name in MEASURES if any(getattr(row, name) is not None for row in rows)]
    figure = Figure(figsize=(4.2 * len(taken), 3.6), layout="constrained")
    last = rows[-1]
    figure.suptitle(f"{last.recipe}, {last.images} faces, commit {last.commit}, {last.hardware}", fontsize=9)
    for axes, name in zip(figure.subplots(1, len(taken), squeeze=False)[0], taken, strict=True):
        draw_curve(axes, name, rows)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())


def draw_curve(axes: Axes, name: str, rows: Sequence[ValidationRow]) -> None:
    """A measure over hours; rows without it leave a gap."""
    values = [float("nan") if getattr(row, name) is None else getattr(row, name) for row in rows]
    axes.plot([row.minutes / 60 for row in rows], values, marker="o", markersize=3, label=name)
    axes.set(xlabel=f"hours of training ({rows[-1].step} steps)", ylabel=MEASURES[name])
    axes.grid(alpha=0.3)
