"""The folder of a run: whose it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from synthetic import age_recipe, imagine_recipe

from spiralage.errors import CheckpointError
from spiralage.training.recipes import AgeRecipe
from spiralage.training.run import Run


def old_recipe(**changes: Any) -> str:
    """recipe.json as it was written before recipes had ``pretrained``, ``occluders`` and losses by name."""
    values = age_recipe().model_dump(mode="json") | changes
    del values["pretrained"], values["occluders"], values["loss"]["name"]
    return json.dumps(values)


def test_a_new_run_writes_its_recipe(tmp_path: Path) -> None:
    Run(tmp_path / "run", age_recipe(), "cpu")
    text = (tmp_path / "run" / "recipe.json").read_text(encoding="utf-8")
    assert AgeRecipe.model_validate_json(text) == age_recipe()


def test_a_run_goes_on_under_the_same_recipe(tmp_path: Path) -> None:
    for _ in range(2):
        Run(tmp_path, age_recipe(), "cpu")


def test_an_old_recipe_without_keys_that_have_defaults_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(old_recipe(), encoding="utf-8")
    Run(tmp_path, age_recipe(), "cpu")
    assert json.loads((tmp_path / "recipe.json").read_text(encoding="utf-8"))["occluders"] == {}


def test_an_old_recipe_is_another_if_a_new_key_has_another_value(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(old_recipe(), encoding="utf-8")
    for changes in ({"masked": 0.5}, {"loss": {"name": "cross-entropy"}}):
        with pytest.raises(CheckpointError, match="holds a run of another recipe"):
            Run(tmp_path, age_recipe(**changes), "cpu")


@pytest.mark.parametrize(
    "text",
    [
        old_recipe(seed=4),
        old_recipe(batch=5),
        old_recipe(colour="red"),
        imagine_recipe().model_dump_json(),
        "{}",
        "not JSON",
        "",
    ],
    ids=["seed", "batch", "unknown key", "other kind", "empty table", "no JSON", "empty"],
)
def test_another_recipe_is_refused_and_left_as_it_was(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match="holds a run of another recipe; choose another run folder"):
        Run(tmp_path, age_recipe(), "cpu")
    assert path.read_text(encoding="utf-8") == text


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match="another recipe"):
        Run(tmp_path, age_recipe(), "cpu")
