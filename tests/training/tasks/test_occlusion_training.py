"""Training the network that finds occlusions: it learns, and killed and resumed it ends as if undisturbed."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from occlusion_faces import joined_crops, occlusion_recipe
from synthetic import FLOAT32, Kill, KillAt

from spiralage.cli import main
from spiralage.datasets.joined import JoinedCrops
from spiralage.errors import CheckpointError, RecipeError
from spiralage.training.checkpoint import load_tensors
from spiralage.training.occlusion_validation import THRESHOLDS
from spiralage.training.pretrained import learned_from
from spiralage.training.recipes import OcclusionRecipe, load_recipe
from spiralage.training.run import CHECKPOINT, WEIGHTS, Run, read_record
from spiralage.training.tasks import occlusion
from spiralage.training.tasks.occlusion import load_occlusion_network, train_occlusion

RECIPES = Path(__file__).parents[3] / "recipes"


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> JoinedCrops:
    return joined_crops(tmp_path_factory.mktemp("occlusion"))


def test_a_run_leaves_weights_log_and_facts(crops: JoinedCrops, tmp_path: Path) -> None:
    progress = KillAt()
    assert train_occlusion(occlusion_recipe(), crops, tmp_path, progress=progress, **FLOAT32)
    assert progress.steps == [1, 2, 3, 4, 5, 6]
    record = read_record(tmp_path)
    assert record["kept_out"] == ["scarf"]
    assert record["train_images"] == 12
    assert record["threshold"] in THRESHOLDS
    assert 0 <= record["drawn_iou"] <= 1
    assert learned_from(record) == ["AAF + MaskedFace-Net"]
    header = (tmp_path / "log.csv").read_text().splitlines()[0]
    assert header == "step,seconds,loss,cross_entropy,dice,threshold,outlined_iou,drawn_iou,falsely_hidden"
    recipe, network = load_occlusion_network(tmp_path)
    assert recipe == occlusion_recipe()
    assert network.threshold.item() == pytest.approx(record["threshold"])
    assert not network.training
    assert train_occlusion(occlusion_recipe(), crops, tmp_path, progress=KillAt(1), **FLOAT32)  # does nothing


def test_killed_and_resumed_the_weights_are_bit_identical(
    crops: JoinedCrops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(occlusion, "Run", functools.partial(Run, save_every_s=0))
    undisturbed, resumed = KillAt(), KillAt()
    train_occlusion(occlusion_recipe(), crops, tmp_path / "one", progress=undisturbed, **FLOAT32)
    with pytest.raises(Kill):
        train_occlusion(occlusion_recipe(), crops, tmp_path / "other", progress=KillAt(4), **FLOAT32)
    assert load_tensors(tmp_path / "other" / CHECKPOINT)[1]["step"] == 3
    assert train_occlusion(occlusion_recipe(), crops, tmp_path / "other", progress=resumed, **FLOAT32)
    assert resumed.losses == undisturbed.losses[3:]
    first, second = (load_tensors(tmp_path / name / WEIGHTS)[0] for name in ("one", "other"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_to_find_what_is_drawn(crops: JoinedCrops, tmp_path: Path) -> None:
    still = {"rotation_degrees": 0, "shift": 0, "scale": 0, "weather": 0}
    recipe = occlusion_recipe(
        epochs=10, ema=0.7, disorder=still, distractors={}, occluders={"surgical-mask": 1.0}, validate_every_epochs=99
    )
    progress = KillAt()
    train_occlusion(recipe, crops, tmp_path, progress=progress, **FLOAT32)
    dice = [values["dice"] for values in progress.losses]
    assert np.mean(dice[-5:]) < 0.85 * np.mean(dice[:5])
    assert read_record(tmp_path)["outlined_iou"] > 0.5


def test_out_of_minutes_it_stops_or_ends(crops: JoinedCrops, tmp_path: Path) -> None:
    assert not train_occlusion(occlusion_recipe(), crops, tmp_path / "stops", minutes=0, **FLOAT32)
    assert load_tensors(tmp_path / "stops" / CHECKPOINT)[1]["step"] == 1
    assert train_occlusion(occlusion_recipe(), crops, tmp_path / "ends", minutes=0, finish=True, **FLOAT32)
    assert read_record(tmp_path / "ends")["steps"] == 1


def test_a_run_of_another_recipe_is_refused(crops: JoinedCrops, tmp_path: Path) -> None:
    train_occlusion(occlusion_recipe(), crops, tmp_path, minutes=0, **FLOAT32)
    with pytest.raises(CheckpointError, match="a run of another recipe"):
        train_occlusion(occlusion_recipe(seed=4), crops, tmp_path, **FLOAT32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"occluders": {}}, "together above 0 and 1 at most"),
        ({"occluders": {"cup": 0.6, "hand": 0.6}}, "together above 0 and 1 at most"),
        ({"occluders": {"scarf": 0.6}}, "scarf: drawn in training and kept out of it"),
        ({"occluders": {"hair": 0.6}}, "name it among distractors"),
        ({"distractors": {"scarf": 0.1}}, "Input should be 'glasses' or 'hair'"),
        ({"times": {"utkface": 2}}, "times names utkface"),
        ({"kept_out": ["hat"]}, "Input should be"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises((ValueError, RecipeError), match=message):
        occlusion_recipe(**changes)


def test_the_recipe_that_ships() -> None:
    recipe = load_recipe(RECIPES / "occlusion.toml", OcclusionRecipe)
    assert set(recipe.sets) == {"aaf", "celeba-hq", "utkface", "maskedface"}
    assert 0.2 <= 1 - sum(recipe.occluders.values()) <= 0.3  # so many clean ones
    assert len(recipe.kept_out) == 3
    assert set(recipe.distractors) == {"glasses", "hair"}


def test_the_command(crops: JoinedCrops, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "tiny.toml"
    lines = [
        'name = "tiny"',
        'data = "aaf"',
        'also = ["maskedface"]',
        "seed = 1",
        "epochs = 1",
        "batch = 8",
        "occluders = { cup = 0.5 }",
        "[network]",
        "widths = [4, 4, 4, 4]",
        "blocks = [0, 0, 0]",
        "[optimiser]",
        "learning_rate = 1e-3",
    ]
    recipe.write_text("\n".join(lines) + "\n")
    command = ["train", "occlusion", str(recipe), "--crops", str(crops.parts[0].folder), "--run", str(tmp_path / "run")]
    assert main([*command, "--device", "cpu", "--precision", "32-true", "--threads", "1"]) == 0
    assert "complete" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "run.json").read_text())["steps"] == 1
