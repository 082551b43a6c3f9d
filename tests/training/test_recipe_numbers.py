"""Numbers in a recipe's file are what they look like."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spiralage.errors import RecipeError
from spiralage.training.recipes import AgeRecipe, load_recipe

RECIPE = """
name = "tiny"
seed = 1
epochs = 7
batch = 8
network = { backbone = "compact", crop = 256, pool = 2 }
optimiser = { learning_rate = 1, betas = [0.5, 0.9] }
stages = [{ share = 1, size = 128 }]
"""


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batch", "true"),
        ("batch", "2.0"),
        ("batch", '"8"'),
        ("seed", "false"),
        ("epochs", "true"),
        ("epochs", '"7"'),
        ("learning_rate", "true"),
        ("pool", "2.0"),
        ("share", "true"),
        ("size", "128.0"),
    ],
)
def test_neither_truth_nor_fractions_are_whole_numbers(tmp_path: Path, key: str, value: str) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    assert load_recipe(path, AgeRecipe).epochs == 7.0
    path.write_text(re.sub(rf"\b{key} = [0-9]+", f"{key} = {value}", RECIPE))
    with pytest.raises(RecipeError, match=key):
        load_recipe(path, AgeRecipe)
