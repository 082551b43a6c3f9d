"""Training in phases: pre-training on other data first, each phase with its own schedule."""

from __future__ import annotations

import csv
import functools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synthetic import FLOAT32, Kill, KillAt, age_recipe, use_tiny_backbones, write_crops
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from spiralage.cli import main
from spiralage.datasets.crops import Crops, Indices
from spiralage.datasets.joined import open_crops
from spiralage.errors import CheckpointError, DatasetError
from spiralage.networks.views import CentredSquare
from spiralage.training.checkpoint import load_tensors
from spiralage.training.optimisers import set_learning_rate
from spiralage.training.phases import Phase, make_phases, phase_at
from spiralage.training.pretrained import learned_from
from spiralage.training.recipes import AgeRecipe, Optimiser
from spiralage.training.run import CHECKPOINT, WEIGHTS, Run, read_record
from spiralage.training.tasks import age
from spiralage.training.tasks.age import train_age
from spiralage.types import Pixels

PRETRAINING = [{"data": "imdb", "epochs": 1}, {"data": "wiki", "epochs": 5}]


def recipe(**changes: Any) -> AgeRecipe:
    """4 steps on IMDB and, if they are there, 20 on WIKI; then 8 on UTKFace."""
    return age_recipe(**{"epochs": 2, "pretraining": PRETRAINING} | changes)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops of UTKFace and of IMDB; none of WIKI."""
    folder = tmp_path_factory.mktemp("phases") / "cache"
    for name in ("utkface", "imdb"):
        write_crops(folder / name, name)
    shard = np.load(folder / "imdb" / "shard-0000.npy")
    np.save(folder / "imdb" / "shard-0000.npy", shard[:, ::-1])  # other pictures than UTKFace's
    return folder


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_backbones(monkeypatch)


def train(
    cache: Path,
    folder: Path,
    settings: AgeRecipe | None = None,
    *,
    pretraining: tuple[str, ...] = ("imdb",),
    progress: KillAt | None = None,
    minutes: float | None = None,
) -> bool:
    return train_age(
        settings or recipe(),
        Crops(cache / "utkface"),
        folder,
        pretraining={name: Crops(cache / name) for name in pretraining},
        minutes=minutes,
        progress=progress or KillAt(),
        **FLOAT32,
    )


def facts(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


def assert_same_weights(a: Path, b: Path) -> None:
    first, second = (load_tensors(folder / WEIGHTS)[0] for folder in (a, b))
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def test_phases_follow_the_recipe_and_leave_out_what_is_not_there(cache: Path) -> None:
    utkface, imdb = Crops(cache / "utkface"), Crops(cache / "imdb")
    assert make_phases(recipe(), utkface, {}) == [Phase("utkface", utkface, 2, 4)]
    phases = make_phases(recipe(), utkface, {"wiki": imdb, "imdb": imdb})
    assert [(phase.name, phase.epochs, phase.steps) for phase in phases] == [
        ("imdb", 1, 4),
        ("wiki", 5, 20),
        ("utkface", 2, 8),
    ]
    found = [(phase_at(phases, step)[0].name, phase_at(phases, step)[1]) for step in (0, 3, 4, 23, 24, 31)]
    assert found == [("imdb", 0), ("imdb", 3), ("wiki", 0), ("wiki", 19), ("utkface", 0), ("utkface", 7)]
    assert [phases[0].every(epochs) for epochs in (0.1, 0.5, 1, 3)] == [1, 2, 4, 12]


def test_each_phase_sees_its_own_data_under_its_own_schedule(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    rates: list[float] = []
    sizes: list[int] = []
    take = Crops.take

    def spy_take(crops: Crops, indices: Indices) -> Pixels:
        if max(indices) < 16:  # to train on, not to validate
            seen.append(crops.folder.name)
        return take(crops, indices)

    def spy_rate(optimiser: torch.optim.Optimizer, settings: Optimiser, step: int, steps: int) -> None:
        set_learning_rate(optimiser, settings, step, steps)
        rates.append(optimiser.param_groups[0]["lr"])

    forward = CentredSquare.forward

    def spy_view(views: CentredSquare, crops: torch.Tensor, *, size: int | None = None, **other: Any) -> torch.Tensor:
        if size is not None:  # to train on
            sizes.append(size)
        return forward(views, crops, size=size, **other)

    monkeypatch.setattr(Crops, "take", spy_take)
    monkeypatch.setattr(age, "set_learning_rate", spy_rate)
    monkeypatch.setattr(CentredSquare, "forward", spy_view)
    optimiser = {"learning_rate": 1e-3, "warmup_steps": 2}
    stages = [{"share": 0.5, "size": 64}, {"share": 0.5, "size": 32}]
    progress = KillAt()
    assert train(cache, tmp_path, recipe(optimiser=optimiser, stages=stages), progress=progress)
    assert progress.steps == list(range(1, 13))
    assert seen == ["imdb"] * 4 + ["utkface"] * 8
    # Warm-up over two steps, and half a cosine to zero: over four steps, then over eight.
    expected = [
        1e-3 * min(1, (step + 1) / 2) * 0.5 * (1 + math.cos(math.pi * step / steps))
        for steps in (4, 8)
        for step in range(steps)
    ]
    assert rates == pytest.approx(expected)
    assert sizes == [64] * 2 + [32] * 2 + [64] * 4 + [32] * 4


def test_the_run_says_what_it_learned_from(cache: Path, tmp_path: Path) -> None:
    train(cache, tmp_path / "with")
    train(cache, tmp_path / "without", pretraining=())
    expected = {"data": ["imdb", "utkface"], "steps": 12, "train_images": 32}
    assert facts(tmp_path / "with").items() >= expected.items()
    assert facts(tmp_path / "without").items() >= {"data": ["utkface"], "steps": 8, "train_images": 16}.items()
    assert load_tensors(tmp_path / "with" / WEIGHTS)[1]["data"] == ["imdb", "utkface"]
    # Without its data the recipe is as one that has no pre-training.
    train(cache, tmp_path / "plain", recipe(pretraining=[]), pretraining=())
    assert_same_weights(tmp_path / "without", tmp_path / "plain")


def test_two_sets_are_learned_from_as_one(cache: Path, tmp_path: Path) -> None:
    both = open_crops(
        ["utkface", "aaf"], [write_crops(tmp_path / "a").folder, write_crops(tmp_path / "b", "aaf").folder]
    )
    settings = recipe(pretraining=(), also=["aaf"], epochs=1)
    assert train_age(settings, both, tmp_path / "run", **FLOAT32)
    record = read_record(tmp_path / "run")
    assert record["train_images"] == 32
    assert learned_from(record) == ["UTKFace + AAF"]
    with pytest.raises(DatasetError, match="these are crops of utkface"):
        train_age(recipe(pretraining=()), both, tmp_path / "other", **FLOAT32)


def test_the_command_takes_the_crops_that_are_there(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.toml").write_text(
        'name = "tiny"\nseed = 3\nepochs = 0.5\nbatch = 4\n'
        '[[pretraining]]\ndata = "wiki"\nepochs = 9\n[[pretraining]]\ndata = "imdb"\nepochs = 0.25\n'
        '[network]\nbackbone = "compact"\ncrop = 256\npool = 8\n'
        "[optimiser]\nlearning_rate = 1e-3\n[[stages]]\nshare = 1.0\nsize = 32\n"
    )
    assert (
        main(
            [
                "train",
                "age",
                "tiny.toml",
                "--crops",
                str(cache / "utkface"),
                "--device",
                "cpu",
                "--precision",
                "32-true",
            ]
        )
        == 0
    )
    captured = capsys.readouterr()
    assert "complete" in captured.out
    said = " ".join(captured.err.split())
    assert "going without pre-training on wiki" in said
    assert "pre-training on imdb" not in said
    assert facts(Path("runs/tiny")).items() >= {"data": ["imdb", "utkface"], "steps": 3}.items()


def test_a_run_does_not_go_on_with_other_data(cache: Path, tmp_path: Path) -> None:
    assert not train(cache, tmp_path, minutes=0)
    with pytest.raises(CheckpointError, match=r"data \['imdb', 'utkface'\], not \['utkface'\]; choose another run"):
        train(cache, tmp_path, pretraining=())
    assert load_tensors(tmp_path / CHECKPOINT)[1]["step"] == 1
    assert train(cache, tmp_path)


@pytest.mark.parametrize("kills", [(3,), (5,), (2, 4, 9)], ids=str)
def test_killed_in_any_phase_the_weights_are_bit_identical(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: tuple[int, ...]
) -> None:
    train(cache, tmp_path / "undisturbed")
    monkeypatch.setattr(age, "Run", functools.partial(Run, save_every_s=0))
    for kill in kills:
        with pytest.raises(Kill):
            train(cache, tmp_path / "killed", progress=KillAt(kill))
        assert load_tensors(tmp_path / "killed" / CHECKPOINT)[1]["step"] == kill - 1
    assert train(cache, tmp_path / "killed")
    assert_same_weights(tmp_path / "killed", tmp_path / "undisturbed")


@pytest.mark.parametrize(("every", "kill", "step"), [(1, 7, 4), (1, 8, 4), (1, 9, 8), (0.5, 8, 6)], ids=str)
def test_a_checkpoint_at_each_epoch(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: float, kill: int, step: int
) -> None:
    monkeypatch.setattr(age, "Run", functools.partial(Run, save_every_s=1e9))
    with pytest.raises(Kill):
        train(cache, tmp_path, recipe(save_every_epochs=every), progress=KillAt(kill))
    assert load_tensors(tmp_path / CHECKPOINT)[1]["step"] == step


def test_tensorboard_shows_loss_error_and_learning_rate(cache: Path, tmp_path: Path) -> None:
    progress = KillAt()
    train(cache, tmp_path, progress=progress)
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert set(board.Tags()["scalars"]) == {"loss", "val_mae", "learning_rate"}
    log = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    errors = [(event.step, event.value) for event in board.Scalars("val_mae")]
    assert [step for step, _ in errors] == [4, 8, 12]  # once an epoch
    for (step, value), row in zip(errors, log, strict=True):
        assert step == int(row["step"])
        assert value == pytest.approx(float(row["val_mae"]), abs=1e-3)
    losses = [(event.step, event.value) for event in board.Scalars("loss")]
    assert [step for step, _ in losses] == [4, 8, 10, 12]
    for step, value in losses:
        assert value == pytest.approx(progress.losses[step - 1]["loss"], rel=1e-5)
    (rate,) = board.Scalars("learning_rate")
    assert rate.step == 10  # the sixth of eight on UTKFace, past its warm-up
    assert rate.value == pytest.approx(1e-3 * 0.5 * (1 + math.cos(math.pi * 5 / 8)), rel=1e-5)
