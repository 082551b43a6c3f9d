"""Inner folds: who is in which, what they choose, and that a test person has no say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from synthetic import FLOAT32, age_recipe, drawn_crop, use_tiny_backbones, write_crops, write_shard
from torch import Tensor, nn

from spiralage.datasets.crops import Crops, Indices
from spiralage.datasets.manifest import Row
from spiralage.errors import CheckpointError
from spiralage.evaluation.conditions import Condition
from spiralage.evaluation.protocols import lopo
from spiralage.evaluation.protocols.lopo import Plan, run_lopo
from spiralage.evaluation.protocols.lopo_inner import chosen_for, inner_groups, write_errors
from spiralage.training.checkpoint import load_tensors
from spiralage.training.fine_tune import fine_tune
from spiralage.training.recipes import FineTuning, LopoRecipe
from spiralage.training.tasks.age import train_age

PERSONS = [f"{number:03}" for number in range(1, 10)]


def recipe(**changes: Any) -> LopoRecipe:
    values: dict[str, Any] = {
        "name": "inner",
        "estimator": "Tiny",
        "seed": 7,
        "fine_tuning": {"epochs": 1, "batch": 4, "optimiser": {"learning_rate": 1e-3}},
        "candidates": [
            {"epochs": 1, "learning_rate": 1e-3, "freeze": 0},
            {"epochs": 2, "learning_rate": 1e-2, "freeze": 0},
        ],
        "blocks": [{"faces": "unmasked", "start": "first"}],
    }
    return LopoRecipe.model_validate(values | changes)


def test_everybody_is_in_one_group_of_four_or_a_few_more() -> None:
    for count in (4, 9, 82):
        persons = [str(number) for number in range(count)]
        groups = inner_groups(persons, 1)
        assert sorted(person for group in groups for person in group) == sorted(persons)
        assert all(4 <= len(group) <= 7 for group in groups)
    assert inner_groups(persons, 1) == groups != inner_groups(persons, 2)


def test_a_person_has_no_say_in_its_own_fold(tmp_path: Path) -> None:
    path = tmp_path / "inner-00.json"
    write_errors(path, {"a": [[0.0], [100.0]], "b": [[5.0, 5.0], [4.0, 4.0]], "c": [[1.0], [3.0]]})
    assert chosen_for("a", path, 2) == 0  # 11 years over three pictures against 11: the first of equals
    assert chosen_for("b", path, 2) == 0
    assert chosen_for("c", path, 2) == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a": [[1.0]]}', '{"a": [[1], [2]], "b": [[1], [NaN]]}'])
def test_damaged_errors_are_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "inner-00.json").write_text(text)
    with pytest.raises(CheckpointError, match="remove it, and the same command computes it"):
        chosen_for("a", tmp_path / "inner-00.json", 2)


def test_a_candidate_may_not_train_layers_whose_answers_are_kept() -> None:
    with pytest.raises(ValidationError, match="a candidate freezes fewer layers"):
        recipe(fine_tuning={"epochs": 1, "batch": 4, "freeze": 2, "optimiser": {"learning_rate": 1e-3}})


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    use_tiny_backbones(monkeypatch)
    monkeypatch.setattr(Plan, "conditions", property(lambda _: (Condition("original"),)))
    rng = np.random.default_rng(0)
    rows = [Row(f"{p}-{i}.jpg", p, 10 + 8 * i + n, None, None, "train") for n, p in enumerate(PERSONS) for i in (0, 1)]
    write_shard(tmp_path / "fgnet", rows, [drawn_crop(row.age or 0, rng) for row in rows], "fgnet")
    train_age(age_recipe(name="first", epochs=0.25), write_crops(tmp_path / "crops"), tmp_path / "first", **FLOAT32)
    return Plan(recipe(), tmp_path / "fgnet", tmp_path, tmp_path / "run", partial=True, **FLOAT32)


def test_folds_take_what_their_group_chose(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    crops, calls = Crops(plan.crops), []
    real = fine_tune

    def spy(
        network: Any, views: Any, ages: Any, train: Indices, settings: FineTuning, *rest: Any, **kept: Any
    ) -> nn.Module:
        left_out = {row.subject for row in crops.rows} - {crops.rows[i].subject for i in train}
        calls.append((left_out, settings.epochs, settings.optimiser.learning_rate))
        return real(network, views, ages, train, settings, *rest, **kept)

    monkeypatch.setattr(lopo, "fine_tune", spy)
    run_lopo(plan)
    groups = inner_groups(PERSONS, 7)
    inner = [(set(group), *setting) for group in groups for setting in ((1, 1e-3), (2, 1e-2))]
    assert calls[: len(inner)] == inner
    for number, group in enumerate(groups):
        for person in group:
            facts = load_tensors(plan.fold_path(plan.recipe.blocks[0], person))[1]
            path = plan.inner_path(plan.recipe.blocks[0], number)
            assert facts["candidate"] == chosen_for(person, path, 2)
            setting = ((1, 1e-3), (2, 1e-2))[facts["candidate"]]
            assert ({person}, *setting) in calls[len(inner) :]
    assert len(calls) == len(inner) + len(PERSONS)
    run_lopo(plan)  # all is there
    assert len(calls) == len(inner) + len(PERSONS)


def test_a_groups_errors_are_of_its_own_pictures(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    crops = Crops(plan.crops)

    def answered(_plan: Plan, _block: Any, persons: Any, settings: FineTuning) -> Tensor:
        ages = [age for p in persons for age in crops.ages[lopo.pictures_of(crops, p)]]
        off = np.array(ages) + round(settings.epochs)  # one year off, then two
        return torch.nn.functional.one_hot(torch.from_numpy(off), 101).float()[None]

    monkeypatch.setattr(lopo, "_answered", answered)
    lopo.run_inner(plan, plan.recipe.blocks[0], 0)
    errors = json.loads(plan.inner_path(plan.recipe.blocks[0], 0).read_text())
    assert errors.keys() == set(inner_groups(PERSONS, 7)[0])
    for theirs in errors.values():
        np.testing.assert_allclose(theirs, [[1, 1], [2, 2]], atol=1e-4)
