"""Recipes: those of the repository load, and every mistake in one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from spiralage.errors import RecipeError
from spiralage.training.config import AgeRecipe, ImagineRecipe, load_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
FILES = sorted(RECIPES.glob("*.toml"))


def is_imagine(path: Path) -> bool:
    return "[generator]" in path.read_text(encoding="utf-8")


def load(path: Path) -> AgeRecipe | ImagineRecipe:
    return load_recipe(path, ImagineRecipe) if is_imagine(path) else load_recipe(path, AgeRecipe)


def changed(folder: Path, name: str, old: str, new: str) -> Path:
    """A recipe of the repository with one change."""
    text = (RECIPES / f"{name}.toml").read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} must be there once"
    path = folder / f"{name}.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def test_the_recipes_are_found() -> None:
    assert {"alexnet", "compact", "features", "imagine"} <= {path.stem for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_recipe_loads_and_says_how_to_run_it(path: Path) -> None:
    recipe = load(path)
    assert recipe.name == path.stem
    kind = "imagine" if is_imagine(path) else "age"
    assert path.read_text(encoding="utf-8").splitlines()[0] == f"# spiralage train {kind} recipes/{path.name}"


@pytest.mark.parametrize("path", [path for path in FILES if not is_imagine(path)], ids=lambda path: path.stem)
def test_training_ends_at_the_size_that_the_network_is_used_at(path: Path) -> None:
    recipe = load_recipe(path, AgeRecipe)
    assert recipe.network.crop % recipe.network.pool == 0
    assert recipe.stages[-1].size == recipe.network.crop // recipe.network.pool
    assert sum(stage.share for stage in recipe.stages) == pytest.approx(1)


@pytest.mark.parametrize("path", [path for path in FILES if is_imagine(path)], ids=lambda path: path.stem)
def test_the_features_have_a_recipe(path: Path) -> None:
    recipe = load_recipe(path, ImagineRecipe)
    assert load_recipe(RECIPES / f"{recipe.features}.toml", AgeRecipe).name == recipe.features


@pytest.mark.parametrize(
    ("name", "old", "new", "key"),
    [
        ("compact", "seed = 1", "seed = 1\nsede = 2", "sede"),
        ("compact", "pool = 2", "pool = 2\npol = 2", "network.pol"),
        ("compact", "mean = 0.2", "meen = 0.2", "loss.meen"),
        ("compact", "share = 0.4", "share = 0.4\nsise = 1", "stages.1.sise"),
        ("imagine", "l1 = 10.0", "l2 = 10.0", "loss.l2"),
        ("imagine", "paper = 0.3", "papier = 0.3", "windows.papier"),
    ],
)
def test_an_unknown_key_is_named(tmp_path: Path, name: str, old: str, new: str, key: str) -> None:
    path = changed(tmp_path, name, old, new)
    with pytest.raises(RecipeError, match=rf"{name}\.toml: {key}: "):
        load(path)


@pytest.mark.parametrize(
    ("name", "old", "new", "key"),
    [
        ("compact", "batch = 64", "batch = 0", "batch"),
        ("compact", "seed = 1", "seed = -1", "seed"),
        ("compact", "seed = 1", 'seed = "one"', "seed"),
        ("compact", "seed = 1", "", "seed"),
        ("compact", "epochs = 10", "epochs = 0", "epochs"),
        ("compact", "ema = 0.998", "ema = 1.0", "ema"),
        ("compact", 'name = "compact"\ndata', 'name = "../compact"\ndata', "name"),
        ("compact", 'backbone = "compact"', 'backbone = "resnet"', "network.backbone"),
        ("compact", "crop = 256", "crop = 257", "network.crop"),
        ("compact", "pool = 2", "pool = 0", "network.pool"),
        ("compact", "dropout = 0.2", "dropout = 1.0", "network.dropout"),
        ("compact", "learning_rate = 4e-4", "learning_rate = 0", "optimiser.learning_rate"),
        ("compact", "clip_norm = 5.0", "clip_norm = -5.0", "optimiser.clip_norm"),
        ("compact", "size = 96", "size = 16", "stages.0.size"),
        ("imagine", "size = 64", "size = 40", "network.size"),
        ("imagine", "width = 96", "width = 6", "network.width"),
        ("imagine", "random = 0.5", "random = -0.5", "windows.random"),
    ],
)
def test_a_value_out_of_range_is_named(tmp_path: Path, name: str, old: str, new: str, key: str) -> None:
    text = (RECIPES / f"{name}.toml").read_text(encoding="utf-8")
    if text.count("\n" + old + "\n") == 1:  # a whole line
        old, new = "\n" + old + "\n", "\n" + new + "\n"
    path = changed(tmp_path, name, old, new)
    with pytest.raises(RecipeError, match=rf"{name}\.toml: {key}: "):
        load(path)


@pytest.mark.parametrize("size", [48, 80, 96, 112])
def test_imagines_size_must_divide_the_crop(tmp_path: Path, size: int) -> None:
    # at_size pools by 256 // size, so another size would come out as 128 or 85 pixels.
    path = changed(tmp_path, "imagine", "\nsize = 64", f"\nsize = {size}")
    with pytest.raises(RecipeError, match=r"network\.size"):
        load(path)


def test_windows_need_a_share_to_draw_from(tmp_path: Path) -> None:
    path = changed(tmp_path, "imagine", "random = 0.5\npaper = 0.3\nedge = 0.2", "random = 0\npaper = 0\nedge = 0")
    with pytest.raises(RecipeError, match="windows"):
        load(path)


def test_a_recipe_without_stages_is_refused(tmp_path: Path) -> None:
    text = (RECIPES / "compact.toml").read_text(encoding="utf-8")
    path = tmp_path / "compact.toml"
    path.write_text(text[: text.index("[[stages]]")], encoding="utf-8")
    with pytest.raises(RecipeError, match=r"stages: "):
        load(path)


def test_a_recipe_of_the_other_kind_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"imagine\.toml"):
        load_recipe(RECIPES / "imagine.toml", AgeRecipe)
    with pytest.raises(RecipeError, match=r"compact\.toml"):
        load_recipe(RECIPES / "compact.toml", ImagineRecipe)


@pytest.mark.parametrize("data", [b"name = ", b"just words", b'name = "caf\xe9"', b"\x89PNG\r\n"])
def test_not_toml(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(data)
    with pytest.raises(RecipeError, match="not TOML"):
        load_recipe(path, AgeRecipe)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(RecipeError, match="can't be read"):
            load_recipe(path, AgeRecipe)
