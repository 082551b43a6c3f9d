"""Training SliceGAN: killed and resumed it ends as if undisturbed, and it learns to paint."""

from __future__ import annotations

import csv
import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from spiral_runs import train_before_slices
from synthetic import FLOAT32, Kill, KillAt, slice_recipe
from torch import Tensor

from spiralage.datasets.crops import Crops
from spiralage.errors import CheckpointError
from spiralage.mean_face import mean_landmarks
from spiralage.networks.restorers.discriminators import SliceDiscriminators
from spiralage.occlusion.window import PAPER_WINDOW, Window
from spiralage.restoration.spiral import spiral
from spiralage.training.adversarial import Shown, diversity, show
from spiralage.training.checkpoint import load_tensors
from spiralage.training.fabric import make_fabric
from spiralage.training.features import load_features
from spiralage.training.recipes import SliceRecipe
from spiralage.training.run import CHECKPOINT, WEIGHTS, Run
from spiralage.training.tasks import slices
from spiralage.training.tasks.imagine import load_imaginer
from spiralage.training.tasks.slices import (
    Batch,
    discriminator_loss,
    load_slice_gan,
    make_batch,
    make_slice_gan,
    slice_losses,
    train_slices,
    walk,
)

POINTS = np.tile(mean_landmarks(), (4, 1, 1))
WHOLE = np.ones((len(POINTS), 256, 256), np.bool_)
PAPER = {"random": 0, "paper": 1, "edge": 0}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Crops, Path]:
    """Crops, and a folder with finished runs of a VGG and of an ImagineGAN."""
    folder = tmp_path_factory.mktemp("slices")
    return train_before_slices(folder), folder


@pytest.fixture
def save_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every step."""
    monkeypatch.setattr(slices, "Run", functools.partial(Run, save_every_s=0))


def train(
    folders: tuple[Crops, Path],
    folder: Path,
    recipe: SliceRecipe | None = None,
    progress: KillAt | None = None,
    minutes: float | None = None,
) -> bool:
    crops, runs = folders
    chosen = recipe or slice_recipe()
    return train_slices(chosen, crops, folder, runs, minutes=minutes, progress=progress or KillAt(), **FLOAT32)


def weights(folder: Path) -> dict[str, Tensor]:
    return load_tensors(folder / WEIGHTS)[0]


@pytest.mark.usefixtures("save_always")
def test_killed_and_resumed_the_weights_are_bit_identical(folders: tuple[Crops, Path], tmp_path: Path) -> None:
    undisturbed, resumed = KillAt(), KillAt()
    train(folders, tmp_path / "undisturbed", progress=undisturbed)
    with pytest.raises(Kill):
        train(folders, tmp_path / "killed", progress=KillAt(5))
    assert load_tensors(tmp_path / "killed" / CHECKPOINT)[1]["step"] == 4
    assert train(folders, tmp_path / "killed", progress=resumed)
    assert resumed.steps == [5, 6, 7, 8]
    assert resumed.losses == undisturbed.losses[4:]
    first, second = weights(tmp_path / "undisturbed"), weights(tmp_path / "killed")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)

    facts = json.loads((tmp_path / "killed" / "run.json").read_text())
    expected = {"recipe": "tiny-slices", "steps": 8, "imagine": "tiny-imagine", "features": "tiny-vgg"}
    assert facts.items() >= expected.items()
    (line,) = csv.DictReader((tmp_path / "killed" / "log.csv").read_text().splitlines())
    assert float(line["real_diversity"]) > 0
    assert set(line) >= {"adversarial", "slice_adversarial", "l1", "hue_color", "style", "discriminator", "diversity"}
    recipe, gan = load_slice_gan(tmp_path / "killed")
    assert recipe == slice_recipe()
    assert not gan.training
    assert all(torch.equal(gan.state_dict()[name], value) for name, value in second.items())


def test_out_of_minutes_it_stops_with_a_checkpoint(folders: tuple[Crops, Path], tmp_path: Path) -> None:
    assert not train(folders, tmp_path, minutes=0)
    assert load_tensors(tmp_path / CHECKPOINT)[1]["step"] == 1
    with pytest.raises(CheckpointError, match="another run folder"):
        train(folders, tmp_path, slice_recipe(seed=4))
    with pytest.raises(CheckpointError):
        load_slice_gan(tmp_path)


@pytest.mark.parametrize("missing", ["imagine", "features"])
def test_without_its_runs_it_does_not_start(folders: tuple[Crops, Path], tmp_path: Path, missing: str) -> None:
    with pytest.raises(CheckpointError, match="nothing"):
        train(folders, tmp_path / "run", slice_recipe(**{missing: "nothing"}))


def test_it_learns_to_paint(folders: tuple[Crops, Path], tmp_path: Path) -> None:
    progress = KillAt()
    still = {"style": 0, "adversarial": 0, "slice_adversarial": 0, "hue_color": 0}
    quick = {"name": "adam", "learning_rate": 1e-2, "schedule": "constant"}
    train(folders, tmp_path, slice_recipe(epochs=15, windows=PAPER, loss=still, generator=quick), progress)
    errors = [losses["l1"] for losses in progress.losses]
    assert np.mean(errors[-10:]) < np.mean(errors[:10]) / 2  # dark and bright faces are told apart


def some_batch(folders: tuple[Crops, Path]) -> Batch:
    crops, runs = folders
    imaginer = load_imaginer(runs / "tiny-imagine")[1]
    return make_batch(
        show(crops, np.arange(4)),
        slice_recipe(windows=PAPER),
        0,
        imaginer,
        make_fabric(**FLOAT32),
    )


def test_a_batch_has_one_window_and_what_is_imagined_around_it(folders: tuple[Crops, Path]) -> None:
    batch = some_batch(folders)
    assert batch.window == PAPER_WINDOW.in_frame(64) == Window(16, 4, 32, 32, 64)
    assert batch.real.shape == batch.imagined.shape == (4, 3, 64, 64)
    assert torch.equal(batch.visible, batch.real[:, :, 4:36, 16:48])
    assert not torch.equal(batch.imagined, batch.real)
    kinds = {make_window(folders, step) for step in range(12)}
    assert len(kinds) > 4


def make_window(folders: tuple[Crops, Path], step: int) -> Window:
    crops, runs = folders
    imaginer = load_imaginer(runs / "tiny-imagine")[1]
    return make_batch(
        show(crops, np.arange(2)),
        slice_recipe(),
        step,
        imaginer,
        make_fabric(**FLOAT32),
    ).window


def test_the_imaginer_never_sees_what_is_hidden(folders: tuple[Crops, Path]) -> None:
    crops, runs = folders
    pictures, other = crops.take(np.arange(2)), crops.take(np.arange(2))
    other[:, 150:] = 255  # below the paper's window
    imaginer, fabric = load_imaginer(runs / "tiny-imagine")[1], make_fabric(**FLOAT32)
    a, b = (
        make_batch(Shown(p, POINTS[: len(p)], WHOLE[: len(p)]), slice_recipe(windows=PAPER), 0, imaginer, fabric)
        for p in (pictures, other)
    )
    assert torch.equal(a.imagined, b.imagined)
    assert not torch.equal(a.real, b.real)


def test_a_perfect_walk_loses_nothing_but_the_discriminators_doubt(folders: tuple[Crops, Path]) -> None:
    torch.manual_seed(0)
    batch = some_batch(folders)
    perfect = slices.Walked(
        batch.real.clone(),
        tuple((step, batch.real[(..., *step.strip.slices)]) for step in spiral(batch.window, 16)),
    )
    features = load_features("tiny-vgg", folders[1])
    losses = slice_losses(SliceDiscriminators(8, 8), perfect, batch, features, features)
    assert {n: v.item() for n, v in losses.items() if "adversarial" not in n} == pytest.approx(
        {"l1": 0, "hue_color": 0, "style": 0, "perceptual": 0}, abs=1e-4
    )
    assert losses["adversarial"] > 0
    assert losses["slice_adversarial"] > 0


def test_errors_are_means_over_the_margin(folders: tuple[Crops, Path]) -> None:
    torch.manual_seed(0)
    batch = some_batch(folders)
    rows, columns = batch.window.slices
    off = batch.real + 0.1
    off[:, :, rows, columns] = batch.visible
    walked = slices.Walked(off, tuple((s, off[(..., *s.strip.slices)]) for s in spiral(batch.window, 16)))
    losses = slice_losses(SliceDiscriminators(8, 8), walked, batch, load_features("tiny-vgg", folders[1]))
    assert losses["l1"].item() == pytest.approx(0.1, abs=1e-4)


def test_the_discriminators_learn_from_pictures_and_slices_and_not_the_generator(folders: tuple[Crops, Path]) -> None:
    torch.manual_seed(0)
    batch, discriminators = some_batch(folders), SliceDiscriminators(8, 8)
    gan = make_slice_gan(slice_recipe(), load_features("tiny-vgg", folders[1]).style_encoder())
    discriminator_loss(discriminators, walk(gan, batch), batch).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in discriminators.parameters() if p.requires_grad)
    assert all(p.grad is None for p in gan.parameters())


def test_equal_pictures_have_no_diversity() -> None:
    picture = torch.rand(1, 3, 8, 8)
    assert diversity(picture.expand(4, 3, 8, 8)) == 0
    assert diversity(torch.rand(64, 3, 8, 8)) == pytest.approx(12**-0.5, abs=0.03)
