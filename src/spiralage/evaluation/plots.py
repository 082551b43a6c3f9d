"""Plots of a leave-one-person-out experiment: error by age, calibration, cumulative score. No person's photo."""

from __future__ import annotations

import io
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure  # no pyplot: no display, no global state

from spiralage.distribution import expected_age
from spiralage.evaluation.metrics import cumulative_probability, cumulative_score
from spiralage.evaluation.results import ConditionKey
from spiralage.files import write_bytes
from spiralage.types import Doubles, Floats

AGE_EDGES = (0, 5, 10, 15, 20, 30, 40, 50, 70)
"""Edges of the age groups, years."""
MOST_YEARS = 15

Answers: TypeAlias = Mapping[ConditionKey, Floats]
"""(N, 101) float32 under each condition."""


def write_plots(path: Path, title: str, ages: Doubles, blocks: Mapping[str, Answers]) -> None:
    """A PNG: a row of three plots for each block, a line for each condition.

    Args:
        path: the file to write.
        title: above the plots.
        ages: true ages, (N,), years.
        blocks: which faces a block's networks were trained on → its answers under every condition.
    """
    figure = Figure(figsize=(14, 4.2 * len(blocks)), layout="constrained")
    figure.suptitle(title)
    for (faces, answers), row in zip(blocks.items(), figure.subplots(len(blocks), 3, squeeze=False), strict=True):
        for key, p in answers.items():
            estimates = expected_age(p)
            draw_error_by_age(row[0], key.label, estimates, ages)
            draw_calibration(row[1], key.label, cumulative_probability(p, ages))
            draw_cumulative_score(row[2], key.label, estimates, ages)
        row[1].plot([0, 1], [0, 1], color="0.7", linewidth=1, zorder=0)
        for axes in row:
            axes.set_title(f"trained on {faces} faces", fontsize=9)
            axes.grid(alpha=0.3)
        row[0].legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())


def draw_error_by_age(axes: Axes, label: str, estimates: Doubles, ages: Doubles) -> None:
    """The MAE of each age group, in years."""
    errors, groups = np.abs(estimates - ages), np.digitize(ages, AGE_EDGES[1:-1])
    names = [f"{low}–{high - 1}" for low, high in pairwise(AGE_EDGES)]
    means = [float(errors[groups == g].mean()) if (groups == g).any() else np.nan for g in range(len(names))]
    axes.plot(names, means, marker="o", markersize=3, label=label)
    axes.set(xlabel="true age, years", ylabel="mean absolute error, years")


def draw_calibration(axes: Axes, label: str, cumulative: Doubles) -> None:
    """How often the central interval of a level holds the true age; on the diagonal if it is honest."""
    levels = np.linspace(0, 1, 51)
    held = [float((np.abs(cumulative - 0.5) <= level / 2).mean()) for level in levels]
    axes.plot(levels, held, label=label)
    axes.set(xlabel="level of the interval", ylabel="part of images inside")


def draw_cumulative_score(axes: Axes, label: str, estimates: Doubles, ages: Doubles) -> None:
    """The part of images within so many years."""
    years = np.arange(MOST_YEARS + 1)
    axes.plot(years, [cumulative_score(estimates, ages, float(y)) for y in years], label=label)
    axes.set(xlabel="absolute error at most, years", ylabel="part of images")
