"""Paired differences, read off written predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from spiralage.errors import InputError
from spiralage.evaluation.paired import paired_rows, write_paired
from spiralage.evaluation.results import (
    ConditionName,
    FacesName,
    LopoRow,
    PairedRow,
    PredictionRow,
    read_rows,
    write_rows,
)

NONE: tuple[ConditionName, str] = ("masked", "none")
IMAGINE: tuple[ConditionName, str] = ("restored", "imagine")
SPIRAL: tuple[ConditionName, str] = ("restored", "spiral")
OTHER: tuple[ConditionName, str] = ("restored", "other")
FACES: tuple[FacesName, ...] = ("unmasked", "masked")
ROW = LopoRow(
    estimator="x",
    trained_on="y, unmasked",
    faces="unmasked",
    condition="original",
    mae=1,
    mae_low=1,
    mae_high=1,
    mae_by_person=1,
    cs5=1,
    images=4,
    persons=2,
    recipe="try",
    seed=5,
    commit="abc",
    hardware="cpu",
)
MASKED = ROW.model_copy(update={"trained_on": "y, masked", "faces": "masked", "commit": "def"})


def predictions(shift: float = 0, occluders: Sequence[str] = ("paper",)) -> list[PredictionRow]:
    """Two persons, two pictures each, true age 10; two blocks."""
    errors: dict[tuple[ConditionName, str], tuple[float, float]] = {
        ("original", ""): (0, 0),
        NONE: (6, -6),
        IMAGINE: (4 + shift, -2 - shift),
        SPIRAL: (3, 2),
        OTHER: (1, 9),
    }
    return [
        PredictionRow(
            image=f"{person}{number}.jpg",
            person=person,
            age=10,
            found_by="dlib",
            faces=faces,
            condition=condition,
            occluder=occluder,
            restorer=restorer,
            estimate=10 + by,
            cdf=0.5,
        )
        for faces in FACES
        for occluder in occluders
        for (condition, restorer), pair in errors.items()
        for person in "ab"
        for number, by in enumerate(pair)
    ]


def write_tables(folder: Path, *lopo: LopoRow, name: str = "try", answers: Sequence[PredictionRow] = ()) -> None:
    write_rows(folder / "lopo" / f"{name}.csv", PredictionRow, answers or predictions())
    write_rows(folder / "table1.csv", LopoRow, lopo)


def against(row: PairedRow) -> tuple[str, str]:
    return row.against_condition, row.against_restorer


def test_differences_by_hand(tmp_path: Path) -> None:
    write_tables(tmp_path, ROW, MASKED)
    rows = paired_rows(tmp_path)
    assert [((r.condition, r.restorer), against(r), r.difference) for r in rows if r.faces == "masked"] == [
        (IMAGINE, NONE, -3),
        (SPIRAL, NONE, -3.5),
        (OTHER, NONE, -1),
        (SPIRAL, IMAGINE, -0.5),
        (OTHER, IMAGINE, 2),
        (OTHER, SPIRAL, 2.5),
    ]
    assert len(rows) == 12
    for row in rows:  # both persons have the same errors, so every draw has the same mean
        assert row.low == row.high == row.difference
    first = rows[0]
    assert (first.recipe, first.faces, first.occluder, first.images, first.persons) == (
        "try",
        "unmasked",
        "paper",
        4,
        2,
    )
    assert (first.seed, first.hardware) == (5, "cpu")
    assert {(row.faces, row.commit) for row in rows} == {("unmasked", "abc"), ("masked", "def")}


def test_differences_are_of_all_digits(tmp_path: Path) -> None:
    write_tables(tmp_path, ROW, answers=predictions(1e-6))
    assert paired_rows(tmp_path)[0].difference == pytest.approx(-3 + 1e-6, abs=1e-12)
    write_paired(tmp_path)
    assert read_rows(tmp_path / "paired.csv", PairedRow) == paired_rows(tmp_path)


def test_an_occluder_is_compared_with_itself(tmp_path: Path) -> None:
    write_tables(tmp_path, ROW, answers=predictions(occluders=("paper", "scarf")))
    rows = paired_rows(tmp_path)
    assert [row.occluder for row in rows] == 6 * ["paper"] + 6 * ["scarf"]
    assert [row.difference for row in rows[:6]] == [row.difference for row in rows[6:]]


def test_pictures_must_be_the_same(tmp_path: Path) -> None:
    rows = predictions()
    write_tables(tmp_path, ROW, answers=[row for row in rows if (row.restorer, row.image) != ("spiral", "a0.jpg")])
    with pytest.raises(InputError, match=r"try\.csv: other pictures under restored spiral than under the rest"):
        paired_rows(tmp_path)


def test_an_experiment_that_the_table_does_not_know_is_left_out(tmp_path: Path) -> None:
    write_tables(tmp_path)
    write_tables(tmp_path, ROW.model_copy(update={"recipe": "other"}), name="other")
    assert {(row.recipe, row.faces) for row in paired_rows(tmp_path)} == {("other", "unmasked")}
