"""Paired differences, read off written predictions."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from spiralage.evaluation.paired import PairedRow, paired_rows, write_paired
from spiralage.evaluation.tables import TableRow, merge_rows

ROW = TableRow("x", "y, unmasked", "original", "", 1, 1, 1, 1, 1, 4, 2, "try", 5, "abc", "cpu")
MASKED = replace(ROW, trained_on="y, masked", commit="def")


def write_predictions(folder: Path, name: str = "try") -> None:
    """Two persons, two pictures each, true age 10; two blocks."""
    columns = ("original", "masked_none", "restored_imagine", "restored_spiral", "restored_other")
    header = ["image", "person", "age", "found_by", "trained_on", *(f"{c}{s}" for c in columns for s in ("", "_cdf"))]
    lines = []
    for block in ("unmasked", "masked"):
        for person in "ab":
            for estimates in ((10, 16, 14, 13, 11), (10, 4, 8, 12, 19)):  # errors 0 6 4 3 1, 0 6 2 2 9
                values = [v for e in estimates for v in (e, 0.5)]
                lines.append(["p.jpg", person, 10, "dlib", block, *values])
    (folder / "lopo").mkdir(parents=True, exist_ok=True)
    with (folder / "lopo" / f"{name}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *lines])


def test_differences_by_hand(tmp_path: Path) -> None:
    write_predictions(tmp_path)
    merge_rows(tmp_path / "table1.csv", [ROW, MASKED])
    rows = paired_rows(tmp_path)
    assert [(r.condition, r.against, r.difference) for r in rows if r.trained_on == "masked"] == [
        ("restored_imagine", "masked_none", -3),
        ("restored_spiral", "masked_none", -3.5),
        ("restored_other", "masked_none", -1),
        ("restored_spiral", "restored_imagine", -0.5),
        ("restored_other", "restored_imagine", 2),
        ("restored_other", "restored_spiral", 2.5),
    ]
    assert len(rows) == 12
    for row in rows:  # both persons have the same errors, so every draw has the same mean
        assert row.low == row.high == row.difference
    assert rows[0] == PairedRow("try", "unmasked", "restored_imagine", "masked_none", -3, -3, -3, 4, 2, 5, "abc", "cpu")
    assert {(row.trained_on, row.commit) for row in rows} == {("unmasked", "abc"), ("masked", "def")}


def test_an_experiment_that_the_table_does_not_know_is_left_out(tmp_path: Path) -> None:
    write_predictions(tmp_path)
    write_predictions(tmp_path, "other")
    merge_rows(tmp_path / "table1.csv", [replace(ROW, recipe="other")])
    assert {(row.recipe, row.trained_on) for row in paired_rows(tmp_path)} == {("other", "unmasked")}


def test_the_file(tmp_path: Path) -> None:
    write_predictions(tmp_path)
    merge_rows(tmp_path / "table1.csv", [ROW, MASKED])
    rows = write_paired(tmp_path)
    with (tmp_path / "paired.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["difference"]) for line in lines] == pytest.approx([row.difference for row in rows])
    assert lines[0]["hardware"] == "cpu"
