"""Restorers compared picture by picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spiralage.evaluation.restore_paired import LpipsPairs
from spiralage.evaluation.results import PairedRestorationRow, read_rows

PERSONS = ["a", "a", "b", "c", "d", "e"]


def some_pairs() -> LpipsPairs:
    rng = np.random.default_rng(0)
    imagined, pairs = rng.uniform(0.3, 0.5, 6), LpipsPairs(seed=4)
    for data in ("FG-NET", "AAF test"):
        pairs.keep(data, "paper", "inpaint", imagined + rng.normal(0, 0.2, 6), PERSONS)
        pairs.keep(data, "paper", "imagine", imagined, PERSONS)
        pairs.keep(data, "paper", "spiral", imagined - np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.4]), PERSONS)
    pairs.keep("FG-NET", "centre-window", "spiral", imagined, PERSONS)  # nothing to compare with
    return pairs


def test_differences_are_taken_picture_by_picture() -> None:
    rows = some_pairs().rows()
    asked = [(data, "paper", name) for data in ("FG-NET", "AAF test") for name in ("inpaint", "spiral")]
    assert [(row.data, row.occluder, row.restorer) for row in rows] == asked
    spiral = rows[1]
    assert spiral.difference == pytest.approx(-0.15)
    assert spiral.low < -0.15 < spiral.high <= -0.1 + 1e-9  # however persons are drawn
    assert (spiral.against, spiral.images, spiral.persons, spiral.seed) == ("imagine", 6, 5, 4)
    assert spiral.commit
    inpaint = rows[0]
    assert inpaint.low < 0 < inpaint.high


def test_the_table(tmp_path: Path) -> None:
    rows = some_pairs().write(tmp_path)
    assert read_rows(tmp_path / "restore-paired.csv", PairedRestorationRow) == rows
    assert LpipsPairs().write(tmp_path / "none") == []
    assert not (tmp_path / "none").exists()
