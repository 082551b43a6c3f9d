"""Training a landmark network: killed and resumed it ends as if undisturbed, and it learns."""

from __future__ import annotations

import csv
import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import FLOAT32, Kill, KillAt, landmark_recipe, write_crops, write_faces

from spiralage.datasets.crops import Crops
from spiralage.errors import CheckpointError, DatasetError
from spiralage.training.checkpoint import load_tensors
from spiralage.training.pretrained import learned_from
from spiralage.training.recipes import LandmarkRecipe
from spiralage.training.run import CHECKPOINT, WEIGHTS, Run, read_record
from spiralage.training.tasks import landmarks
from spiralage.training.tasks.landmarks import load_landmark_network, train_landmarks


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Crops:
    return write_faces(tmp_path_factory.mktemp("landmarks") / "crops")


@pytest.fixture(autouse=True)
def _few_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landmarks, "VALIDATED", 2)


@pytest.fixture(scope="module")
def undisturbed(crops: Crops, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landmarks") / "undisturbed"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landmarks, "VALIDATED", 2)
        train(crops, folder)
    return folder


def train(
    crops: Crops,
    folder: Path,
    recipe: LandmarkRecipe | None = None,
    progress: KillAt | None = None,
    minutes: float | None = None,
) -> bool:
    return train_landmarks(
        recipe or landmark_recipe(), crops, folder, progress=progress or KillAt(), minutes=minutes, **FLOAT32
    )


def test_a_run_leaves_weights_log_and_facts(crops: Crops, tmp_path: Path) -> None:
    progress = KillAt()
    assert train(crops, tmp_path, progress=progress)
    assert progress.steps == list(range(1, 12))  # 15 faces with points, three times, four at once
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts.items() >= {"recipe": "tiny-landmarks", "seed": 3, "steps": 11, "train_images": 15}.items()
    log = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [row["step"] for row in log] == ["4", "8", "11"]
    parts = ("contour", "brows", "nose", "eyes", "mouth")
    assert set(log[0]) == {"step", "seconds", "loss", "maps", "points"} | {
        f"{which}_{part}" for which in ("val", "hidden") for part in parts
    }
    assert float(log[-1]["hidden_mouth"]) == pytest.approx(facts["hidden_mouth"], abs=1e-3)
    recipe, network = load_landmark_network(tmp_path)
    assert recipe == landmark_recipe()
    assert not network.training
    assert learned_from(read_record(tmp_path)) == ["UTKFace"]
    assert train(crops, tmp_path)  # nothing is left to do


@pytest.mark.parametrize("at", [1, 6])
def test_killed_and_resumed_it_ends_with_the_same_weights(
    crops: Crops, undisturbed: Path, tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landmarks, "Run", functools.partial(Run, save_every_s=0))
    with pytest.raises(Kill):
        train(crops, tmp_path / "killed", progress=KillAt(at))
    assert (tmp_path / "killed" / CHECKPOINT).exists() == (at > 1)
    assert train(crops, tmp_path / "killed")
    folders = (undisturbed, tmp_path / "killed")
    first, second = (load_tensors(folder / WEIGHTS)[0] for folder in folders)
    assert first.keys() == second.keys()
    assert not [name for name in first if not torch.equal(first[name], second[name])]
    lines = [list(csv.DictReader((folder / "log.csv").read_text().splitlines())) for folder in folders]
    assert [{**line, "seconds": ""} for line in lines[0]] == [{**line, "seconds": ""} for line in lines[1]]


def test_it_learns(crops: Crops, tmp_path: Path) -> None:
    recipe = landmark_recipe(
        epochs=10, batch=8, validate_every_epochs=100, optimiser={"learning_rate": 1e-2}, network={"width": 16}
    )
    progress = KillAt()
    train(crops, tmp_path, recipe, progress)
    losses = [step["loss"] for step in progress.losses]
    assert np.mean(losses[-4:]) < 0.6 * np.mean(losses[:2])
    assert read_record(tmp_path)["val_eyes"] < 40  # % of the outer-eye distance


def test_minutes_end_it_with_a_checkpoint_or_for_good(crops: Crops, tmp_path: Path) -> None:
    assert not train(crops, tmp_path / "stopped", minutes=0)
    assert (tmp_path / "stopped" / CHECKPOINT).exists()
    assert not (tmp_path / "stopped" / WEIGHTS).exists()
    assert train_landmarks(landmark_recipe(), crops, tmp_path / "ended", minutes=0, finish=True, **FLOAT32)
    record = read_record(tmp_path / "ended")
    assert record["steps"] == 1
    assert record["val_eyes"] > 0


def test_other_data_and_other_recipes_are_refused(crops: Crops, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds crops of utkface, not of aaf"):
        train(crops, tmp_path / "a", landmark_recipe(data="aaf"))
    with pytest.raises(DatasetError, match="15 crops with 68 landmarks don't fill a batch of 16; lower batch"):
        train(crops, tmp_path / "b", landmark_recipe(batch=16))
    with pytest.raises(DatasetError, match="these crops are older"):
        train(write_crops(tmp_path / "older"), tmp_path / "c")
    train(crops, tmp_path / "d", minutes=0)
    with pytest.raises(CheckpointError, match="another recipe"):
        train(crops, tmp_path / "d", landmark_recipe(points=2.0))
    (tmp_path / "e").mkdir()
    with pytest.raises(CheckpointError):
        load_landmark_network(tmp_path / "e")
