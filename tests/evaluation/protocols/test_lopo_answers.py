"""Leave one person out, the answers: rows and files, against numbers computed by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from people import write_people
from result_rows import CONSTANT, ROW, changed

from spiralage.datasets.crops import Crops
from spiralage.evaluation.conditions import all_conditions
from spiralage.evaluation.protocols.lopo import Plan
from spiralage.evaluation.protocols.lopo_answers import (
    Predictions,
    constant_estimates,
    merge_rows,
    rows_of,
    write_predictions,
)
from spiralage.evaluation.results import ConditionKey, LopoRow, PredictionRow, read_rows
from spiralage.training.recipes import Block, LopoRecipe
from spiralage.types import Floats

ORIGINAL, MASKED = ConditionKey("original"), ConditionKey("masked", "paper", "none")


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


def off_by(crops: Crops, years: dict[ConditionKey, int], faces: str = "unmasked") -> Predictions:
    """Sure answers, so many years too high under each condition; right where nothing is said."""
    answers = {c.key: sure_of(crops.ages + years.get(c.key, 0)) for c in all_conditions()}
    block = Block.model_validate({"faces": faces, "start": "x"})
    return Predictions(block, "nothing → FG-NET, " + block.faces, answers, ("abc", "def"), ("cpu", "gpu"))


def test_the_constant_is_the_others_median(crops: Crops) -> None:
    # Others of 001: 5 5 12 18 30 33 50; of 002: 2 8 12 25 33 43 43 50; of 003: 2 5 5 8 18 25 30 43 43.
    assert constant_estimates(crops).tolist() == [18] * 5 + [29] * 4 + [18] * 3


def test_the_rows_by_hand(crops: Crops) -> None:
    first = off_by(crops, {ORIGINAL: 3, MASKED: 6})
    constant, *rows = rows_of(plan_of(crops), crops, [first, off_by(crops, {ORIGINAL: 5}, "masked")])
    # Off by 16 10 7 25 25, 24 24 11 1, 6 15 32: 196 years on 12 pictures; persons' means 16.6, 15, 17 2/3.
    assert (constant.mae, constant.cs5) == (196 / 12, 1 / 12)  # in full: digits are chosen where it is printed
    assert constant.mae_by_person == pytest.approx((16.6 + 15 + 17 + 2 / 3) / 3, abs=1e-12)
    assert constant.mae_low < constant.mae < constant.mae_high
    assert (constant.estimator, constant.condition, constant.recipe) == ("constant", "any", "")
    count = len(all_conditions())
    assert [row.key for row in rows] == 2 * [c.key for c in all_conditions()]
    assert [row.mae for row in rows] == [3, 6] + [0] * (count - 2) + [5] + [0] * (count - 1)
    assert [row.cs5 for row in rows] == [1, 0] + [1] * (2 * count - 2)
    for row in rows:
        assert row.mae_low == row.mae_high == row.mae_by_person == row.mae
    expected = ("Oracle", 12, 3, "by-hand", 7, "abc def", "cpu; gpu")
    assert {(r.estimator, r.images, r.persons, r.recipe, r.seed, r.commit, r.hardware) for r in rows} == {expected}
    assert [row.faces for row in rows] == count * ["unmasked"] + count * ["masked"]
    assert [row.trained_on for row in rows[::count]] == ["nothing → FG-NET, unmasked", "nothing → FG-NET, masked"]


def test_every_prediction_is_written(crops: Crops, tmp_path: Path) -> None:
    path = tmp_path / "lopo" / "by-hand.csv"
    write_predictions(path, crops, [off_by(crops, {MASKED: 6}), off_by(crops, {ORIGINAL: -1}, "masked")])
    rows = read_rows(path, PredictionRow)
    keys = [condition.key for condition in all_conditions()]
    assert [row.image for row in rows] == 2 * len(keys) * [row.image for row in crops.rows]
    assert [row.key for row in rows[::12]] == 2 * keys
    assert [row.faces for row in rows[:: 12 * len(keys)]] == ["unmasked", "masked"]
    answers = {(row.faces, row.key, row.image): (row.estimate, row.cdf) for row in rows}
    first, last = crops.rows[0].image, crops.rows[-1].image
    assert (rows[0].person, rows[0].age, rows[0].found_by) == ("001", 2, "fake")
    # All the mass on the true year counts half, above it not at all, below it in full.
    assert answers["unmasked", ORIGINAL, first] == (2, 0.5)
    assert answers["unmasked", MASKED, first] == (8, 0)
    assert answers["masked", ORIGINAL, last] == (49, 1)


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = [CONSTANT, ROW, changed(ROW, condition="restored", restorer="mean-face", mae=11.0)]
    assert merge_rows(tmp_path / "results" / "table1.csv", rows) == rows
    assert read_rows(tmp_path / "results" / "table1.csv", LopoRow) == rows


def test_only_the_same_recipe_is_replaced_and_the_constant_stays_first(tmp_path: Path) -> None:
    path = tmp_path / "table1.csv"
    masked, other = changed(ROW, condition="masked", restorer="none"), changed(ROW, recipe="b", mae=9.0)
    merge_rows(path, [CONSTANT, ROW, masked])
    assert merge_rows(path, [CONSTANT, other]) == [CONSTANT, ROW, masked, other]
    anew = changed(ROW, mae=4.25, commit="fedcba987654")
    constant = changed(CONSTANT, commit="fedcba987654")
    assert merge_rows(path, [constant, anew]) == [constant, other, anew]
    assert read_rows(path, LopoRow) == [constant, other, anew]


def test_one_block_of_a_recipe_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "table1.csv"
    masked = changed(ROW, trained_on="UTKFace → FG-NET, masked", faces="masked")
    merge_rows(path, [CONSTANT, ROW, masked])
    anew = changed(ROW, mae=4.25, trained_on="IMDB → UTKFace → FG-NET, unmasked")
    assert merge_rows(path, [CONSTANT, anew]) == [CONSTANT, anew, masked]  # unmasked first


def test_predictions_of_the_other_block_stay(crops: Crops, tmp_path: Path) -> None:
    path = tmp_path / "by-hand.csv"
    write_predictions(path, crops, [off_by(crops, {}), off_by(crops, {}, "masked")])
    write_predictions(path, crops, [off_by(crops, {ORIGINAL: -1})])
    rows = [row for row in read_rows(path, PredictionRow) if row.key == ORIGINAL]
    assert [(row.faces, row.estimate) for row in rows[::12]] == [("unmasked", 1), ("masked", 2)]
    assert len(rows) == 24
