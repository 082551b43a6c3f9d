"""SliceGANs that don't ship restore in leave-one-person-out too, in the end and in processes of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from people import write_people
from spiral_runs import change_weights, one_step_recipe, train_spiral
from synthetic import FLOAT32

from spiralage.datasets.crops import Crops
from spiralage.errors import CheckpointError
from spiralage.evaluation.conditions import all_conditions
from spiralage.evaluation.protocols import lopo
from spiralage.evaluation.protocols.lopo import Plan, run_lopo
from spiralage.evaluation.protocols.lopo_answers import read_predictions
from spiralage.evaluation.results import ConditionKey
from spiralage.training.recipes import LopoRecipe
from spiralage.training.tasks.slices import train_slices

LABEL, KEY = "restored tiny-slices", ConditionKey("restored", "paper", "tiny-slices")


@pytest.fixture(autouse=True)
def _no_cache() -> None:
    """A process remembers the restorers of one experiment; here are several."""
    lopo._conditions.cache_clear()


def plan(folder: Path, run: str, *ablations: str) -> Plan:
    values = {
        "name": "tiny-lopo",
        "estimator": "Tiny",
        "seed": 7,
        "ablations": ablations,
        "fine_tuning": {"epochs": 1, "batch": 4, "optimiser": {"learning_rate": 1e-2}},
        "blocks": [{"faces": "unmasked", "start": "tiny-vgg"}],
    }
    recipe = LopoRecipe.model_validate(values)
    return Plan(recipe, folder / "fgnet", folder / "runs", folder / run, partial=True, **FLOAT32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops of three persons, and runs of SpiralNet; one experiment, which starts from its VGG, is done."""
    top = tmp_path_factory.mktemp("ablations")
    write_people(top / "fgnet")
    train_spiral(top / "runs")
    run_lopo(plan(top, "done", "tiny-slices"))
    return top


def test_an_ablation_is_one_more_condition(folder: Path) -> None:
    done = plan(folder, "done", "tiny-slices")
    keys = [condition.key for condition in done.conditions]
    assert keys == [*(condition.key for condition in all_conditions()), KEY]
    probabilities = read_predictions(done, done.recipe.blocks[0]).probabilities
    assert list(probabilities) == keys
    assert probabilities[KEY].shape == (12, 101)
    others = [p for key, p in probabilities.items() if key != KEY]
    assert not any(np.allclose(probabilities[KEY], other, atol=1e-6) for other in others)


def test_processes_of_their_own_find_the_same(folder: Path) -> None:
    done, apart = plan(folder, "done", "tiny-slices"), plan(folder, "apart", "tiny-slices")
    shutil.copytree(folder / "done", folder / "apart")
    lost = apart.fold_path(apart.recipe.blocks[0], "002")
    lost.unlink()
    run_lopo(apart, workers=2)
    first, second = (read_predictions(one, one.recipe.blocks[0]).probabilities for one in (done, apart))
    for label in first:
        np.testing.assert_allclose(first[label], second[label], atol=1e-5)


def test_an_experiment_belongs_to_its_ablations(folder: Path, tmp_path: Path) -> None:
    identity = json.loads((folder / "done" / "unmasked" / "identity.json").read_text(encoding="utf-8"))
    assert LABEL in identity["conditions"]
    shutil.copytree(folder / "runs", tmp_path / "runs")
    shutil.copytree(folder / "done", tmp_path / "done")
    change_weights(tmp_path / "runs" / "tiny-slices")
    (tmp_path / "fgnet").symlink_to(folder / "fgnet")
    with pytest.raises(CheckpointError, match="holds another experiment"):
        run_lopo(plan(tmp_path, "done", "tiny-slices"))


def test_an_untrained_ablation_is_named_with_its_command(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"run: spiralage train slices recipes/slices-nothing\.toml"):
        run_lopo(plan(folder, "never", "slices-nothing"))


def test_two_ablations_keep_their_order(folder: Path) -> None:
    crops = Crops(folder / "runs" / "crops")
    train_slices(one_step_recipe("another"), crops, folder / "runs" / "another", folder / "runs", **FLOAT32)
    labels = [condition.key.label for condition in plan(folder, "never", "another", "tiny-slices").conditions]
    assert labels[-2:] == ["restored another", LABEL]
