"""Table 1: rows, files and the constant predictor, against numbers computed by hand."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from people import write_people

from spiralage.datasets.crops import Crops
from spiralage.evaluation.conditions import all_conditions
from spiralage.evaluation.protocols.lopo import Plan, Predictions
from spiralage.evaluation.tables import (
    TableRow,
    constant_estimates,
    merge_rows,
    read_rows,
    rows_of,
    write_page,
    write_predictions,
)
from spiralage.training.recipes import Block, LopoRecipe
from spiralage.types import Floats

ROW = TableRow(
    "AlexNet, mean-variance", "UTKFace → FG-NET, unmasked", "original", "", 4.5, 4.0, 5.125, 4.75, 0.6543, 12, 3,
    "a", 1, "0123456789ab+changes", "A CPU, 2 cores; a GPU",
)  # fmt: skip
CONSTANT = replace(ROW, estimator="constant", trained_on="FG-NET's ages", condition="any", recipe="", seed=0)


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Crops:
    return write_people(tmp_path_factory.mktemp("table1") / "crops")


def plan_of(crops: Crops, **changes: object) -> Plan:
    values = {
        "name": "by-hand",
        "estimator": "Oracle",
        "seed": 7,
        "fine_tuning": {"epochs": 1, "batch": 1, "optimiser": {"learning_rate": 1}},
        "blocks": [{"faces": "unmasked", "start": "x"}],
    }
    return Plan(LopoRecipe.model_validate(values | changes), crops.folder, Path(), Path())


def sure_of(ages: np.ndarray) -> Floats:
    """All the probability on one year."""
    p = np.zeros((len(ages), 101), np.float32)
    p[np.arange(len(ages)), ages] = 1
    return p


def off_by(crops: Crops, years: dict[str, int], faces: str = "unmasked") -> Predictions:
    """Sure answers, so many years too high under each condition; right where nothing is said."""
    answers = {c.label: sure_of(crops.ages + years.get(c.label, 0)) for c in all_conditions()}
    block = Block.model_validate({"faces": faces, "start": "x"})
    return Predictions(block, "nothing → FG-NET, " + block.faces, answers, ("abc", "def"), ("cpu", "gpu"))


def test_the_constant_is_the_others_median(crops: Crops) -> None:
    # Others of 001: 5 5 12 18 30 33 50; of 002: 2 8 12 25 33 43 43 50; of 003: 2 5 5 8 18 25 30 43 43.
    assert constant_estimates(crops).tolist() == [18] * 5 + [29] * 4 + [18] * 3


def test_the_rows_by_hand(crops: Crops) -> None:
    first = off_by(crops, {"original": 3, "masked none": 6})
    constant, *rows = rows_of(plan_of(crops), crops, [first, off_by(crops, {"original": 5}, "masked")])
    # Off by 16 10 7 25 25, 24 24 11 1, 6 15 32: 196 years on 12 pictures; persons' means 16.6, 15, 17 2/3.
    assert (constant.mae, constant.mae_by_person, constant.cs5) == (16.333, 16.422, 0.0833)
    assert constant.mae_low < constant.mae < constant.mae_high
    assert (constant.estimator, constant.condition, constant.recipe) == ("constant", "any", "")
    count = len(all_conditions())
    assert [(row.condition, row.restorer) for row in rows] == 2 * [(c.name, c.filled_by) for c in all_conditions()]
    assert [row.mae for row in rows] == [3, 6] + [0] * (count - 2) + [5] + [0] * (count - 1)
    assert [row.cs5 for row in rows] == [1, 0] + [1] * (2 * count - 2)
    for row in rows:
        assert row.mae_low == row.mae_high == row.mae_by_person == row.mae
    expected = ("Oracle", 12, 3, "by-hand", 7, "abc def", "cpu; gpu")
    assert {(r.estimator, r.images, r.persons, r.recipe, r.seed, r.commit, r.hardware) for r in rows} == {expected}
    assert [row.trained_on for row in rows[::count]] == ["nothing → FG-NET, unmasked", "nothing → FG-NET, masked"]


def test_every_prediction_is_written(crops: Crops, tmp_path: Path) -> None:
    path = tmp_path / "lopo" / "by-hand.csv"
    write_predictions(
        path, plan_of(crops), crops, [off_by(crops, {"masked none": 6}), off_by(crops, {"original": -1}, "masked")]
    )
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["image"] for line in lines] == 2 * [row.image for row in crops.rows]
    assert [line["trained_on"] for line in lines] == ["unmasked"] * 12 + ["masked"] * 12
    first, last = lines[0], lines[-1]
    assert (first["person"], first["age"], first["found_by"]) == ("001", "2", "fake")
    # All the mass on the true year counts half, above it not at all, below it in full.
    assert (first["original"], first["original_cdf"]) == ("2.00", "0.5000")
    assert (first["masked_none"], first["masked_none_cdf"]) == ("8.00", "0.0000")
    assert (last["original"], last["original_cdf"]) == ("49.00", "1.0000")
    labels = [name for name in first if name.endswith("_cdf")]
    assert labels == [f"{c.label.replace(' ', '_')}_cdf" for c in all_conditions()]


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = [CONSTANT, ROW, replace(ROW, condition="restored", restorer="mean-face", mae=11.0)]
    assert merge_rows(tmp_path / "results" / "table1.csv", rows) == rows
    assert read_rows(tmp_path / "results" / "table1.csv") == rows


def test_only_the_same_recipe_is_replaced_and_the_constant_stays_first(tmp_path: Path) -> None:
    path = tmp_path / "table1.csv"
    masked, other = replace(ROW, condition="masked", restorer="none"), replace(ROW, recipe="b", mae=9.0)
    merge_rows(path, [CONSTANT, ROW, masked])
    assert merge_rows(path, [CONSTANT, other]) == [CONSTANT, ROW, masked, other]
    anew = replace(ROW, mae=4.25, commit="fedcba987654")
    constant = replace(CONSTANT, commit="fedcba987654")
    assert merge_rows(path, [constant, anew]) == [constant, other, anew]
    assert read_rows(path) == [constant, other, anew]


def test_one_block_of_a_recipe_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "table1.csv"
    masked = replace(ROW, trained_on="UTKFace → FG-NET, masked")
    merge_rows(path, [CONSTANT, ROW, masked])
    anew = replace(ROW, mae=4.25, trained_on="IMDB → UTKFace → FG-NET, unmasked")
    assert merge_rows(path, [CONSTANT, anew]) == [CONSTANT, anew, masked]  # unmasked first


def test_predictions_of_the_other_block_stay_if_the_conditions_are_the_same(crops: Crops, tmp_path: Path) -> None:
    path, plan = tmp_path / "by-hand.csv", plan_of(crops)
    write_predictions(path, plan, crops, [off_by(crops, {}), off_by(crops, {}, "masked")])
    write_predictions(path, plan, crops, [off_by(crops, {"original": -1})])
    before = path.read_text(encoding="utf-8")
    lines = list(csv.DictReader(before.splitlines()))
    assert [(line["trained_on"], line["original"]) for line in lines[::12]] == [
        ("unmasked", "1.00"),
        ("masked", "2.00"),
    ]
    path.write_text(before.replace("original", "other"), encoding="utf-8")
    write_predictions(path, plan, crops, [off_by(crops, {})])
    lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert {line["trained_on"] for line in lines} == {"unmasked"}


def test_the_page_puts_the_paper_beside_unmasked_training_alone(tmp_path: Path) -> None:
    masked = replace(ROW, trained_on="UTKFace → FG-NET, masked", recipe="b", seed=2)
    rows = [
        CONSTANT,
        *(replace(ROW, condition=name) for name in ("original", "masked", "restored")),
        *(replace(masked, condition=name) for name in ("original", "masked", "restored")),
    ]
    write_page(tmp_path / "table1.md", rows)
    page = (tmp_path / "table1.md").read_text(encoding="utf-8")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    head, _, *lines = cells
    assert head[-1] == "paper"
    assert all(len(line) == len(head) for line in lines)
    differences = [f"{paper:.2f} ({ROW.mae - paper:+.2f})" for paper in (4.47, 11.33, 7.86)]
    assert [line[-1] for line in lines] == ["", *differences, "", "", ""]
    assert lines[1][4:8] == ["4.50", "4.00–5.12", "4.75", "0.654"]
    assert "12 images of 3 persons" in page
    assert [line for line in page.splitlines() if line.startswith("- ")] == [
        f"- `recipes/a.toml`, seed 1, commit {ROW.commit}, {ROW.hardware}",
        f"- `recipes/b.toml`, seed 2, commit {ROW.commit}, {ROW.hardware}",
    ]
