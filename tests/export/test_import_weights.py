"""Shipped networks become the finished runs that they came from, or nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import drawn_crop

from spiralage import weights
from spiralage.errors import CheckpointError, ModelFileError, RecipeError
from spiralage.export.import_weights import import_weights, recipe_of
from spiralage.export.onnx import torch_weights
from spiralage.runtime import open_session
from spiralage.training.pretrained import learned_from
from spiralage.training.recipes import ImagineRecipe, load_recipe
from spiralage.training.run import read_record
from spiralage.training.tasks.age import load_age_network
from spiralage.training.tasks.imagine import load_imaginer

RECIPES = Path(__file__).parents[2] / "recipes"
IMAGINE = f"{recipe_of('imagine')}.toml"


def test_imagine_becomes_a_finished_run(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "imagine"
    import_weights("imagine", RECIPES, folder)
    assert {path.name for path in folder.iterdir()} == {"weights.safetensors", "run.json", "recipe.json"}
    recipe, imaginer = load_imaginer(folder)
    assert recipe == load_recipe(RECIPES / IMAGINE, ImagineRecipe)
    assert ImagineRecipe.model_validate_json((folder / "recipe.json").read_text()) == recipe
    shipped = torch_weights(weights.read("imagine"), "generator.")
    found = imaginer.generator.state_dict()
    assert found.keys() == shipped.keys()
    assert all(torch.equal(found[name], value) for name, value in shipped.items())

    record, entry = read_record(folder), weights.manifest()["imagine"]
    assert learned_from(record) == ["AAF + CelebA-HQ"]
    assert record["imported"] == ["imagine"]
    origin = ("recipe", "seed", "commit", "hardware", "minutes")
    assert {key: record[key] for key in origin} == {key: getattr(entry, key) for key in origin}


@torch.no_grad()
def test_an_age_network_answers_as_the_shipped_file(tmp_path: Path) -> None:
    import_weights("best", RECIPES, tmp_path)
    recipe, network = load_age_network(tmp_path)
    assert recipe.name == "best"
    assert learned_from(read_record(tmp_path)) == ["VGGFace2", "IMDB-WIKI", "UTKFace + AAF"]
    crop = drawn_crop(40, np.random.default_rng(0))[None]
    found = network(torch.from_numpy(crop)).numpy()
    expected = open_session("best").run(crops=crop)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert expected.max() < 0.9  # not just one age


def changed_recipe(folder: Path, old: str, new: str) -> Path:
    """A folder with ImagineGAN's recipe, one line of it changed."""
    text = (RECIPES / IMAGINE).read_text(encoding="utf-8")
    assert text.count(old) == 1
    folder.mkdir()
    (folder / IMAGINE).write_text(text.replace(old, new), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\nwidth = 128", "\nwidth = 48"),
        ("\nblocks = 6", "\nblocks = 5"),  # the file has more weights
        ("\nblocks = 6", "\nblocks = 7"),  # the network has more
    ],
)
def test_a_recipe_of_other_sizes_is_refused(tmp_path: Path, old: str, new: str) -> None:
    recipes = changed_recipe(tmp_path / "recipes", old, new)
    with pytest.raises(ModelFileError, match=r"imagine.*\.toml: not this network's recipe"):
        import_weights("imagine", recipes, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_networks_recipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    text = (RECIPES / "compact.toml").read_text(encoding="utf-8")
    (tmp_path / "recipes" / "best.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ModelFileError, match=r"best\.toml: not this network's recipe"):
        import_weights("best", tmp_path / "recipes", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_recipe_that_looks_at_mirror_images_is_another_use(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    text = (RECIPES / "best.toml").read_text(encoding="utf-8")
    mirror = "false" if "mirror = true" in text else "true"
    text = text.replace("mirror = true\n", "").replace("[network]\n", f"[network]\nmirror = {mirror}\n")
    (tmp_path / "recipes" / "best.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ModelFileError, match=r"best\.toml: not this network's recipe \(mirror\)"):
        import_weights("best", tmp_path / "recipes", tmp_path / "run")


def test_without_its_recipe_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="can't be read"):
        import_weights("imagine", tmp_path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mean-face", "a mean-face can't"),
        ("nothing", "no shipped"),
        ("slices-paint", "a part of a SliceGAN; import slices$"),
        ("slices-context", "a part of a SliceGAN; import slices$"),
    ],
)
def test_what_is_no_network_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ModelFileError, match=reason):
        import_weights(name, RECIPES, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("file", ["weights.safetensors", "run.json", "recipe.json"])
def test_a_run_is_not_overwritten(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_text(json.dumps("mine"))
    with pytest.raises(CheckpointError, match="holds a run already"):
        import_weights("imagine", RECIPES, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert (tmp_path / file).read_text() == '"mine"'
