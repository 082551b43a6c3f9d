"""Training SliceGAN: killed and resumed it ends as if undisturbed, and it learns to paint."""

from __future__ import annotations

import csv
import functools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from spiral_runs import train_before_slices
from synthetic import FLOAT32, Kill, KillAt, slice_recipe
from torch import Tensor

from spiralage.datasets.crops import Crops
from spiralage.errors import CheckpointError, RecipeError
from spiralage.mean_face import mean_landmarks
from spiralage.networks.restorers.discriminators import SliceDiscriminators
from spiralage.occlusion.occluders import Cover
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
    Walked,
    discriminator_loss,
    draw_window,
    load_slice_gan,
    make_batch,
    make_slice_gan,
    slice_losses,
    train_slices,
    walk,
)
from spiralage.types import Mask

POINTS = np.tile(mean_landmarks(), (4, 1, 1))
INSIDE = np.ones((4, 256, 256), np.bool_)
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
    assert set(line) >= {"adversarial", "local_adversarial", "slice_adversarial", "l1", "color", "style"}
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


def test_it_starts_from_what_another_recipe_left(folders: tuple[Crops, Path], tmp_path: Path) -> None:
    train(folders, folders[1] / "first", slice_recipe(name="first", epochs=0.25))
    still = {"name": "adam", "learning_rate": 1e-12, "schedule": "constant"}
    train(folders, tmp_path, slice_recipe(start="first", generator=still, epochs=0.25))
    first, second = load_tensors(folders[1] / "first" / WEIGHTS)[0], load_tensors(tmp_path / WEIGHTS)[0]
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)
    facts = json.loads((tmp_path / "run.json").read_text())
    assert (facts["start"], facts["start_data"]) == ("first", ["UTKFace"])
    wider = slice_recipe().network.model_dump() | {"width": 16}
    with pytest.raises(CheckpointError, match="start from another"):
        train(folders, tmp_path / "wider", slice_recipe(start="first", network=wider))


@pytest.mark.parametrize("missing", ["imagine", "features"])
def test_without_its_runs_it_does_not_start(folders: tuple[Crops, Path], tmp_path: Path, missing: str) -> None:
    with pytest.raises(CheckpointError, match="nothing"):
        train(folders, tmp_path / "run", slice_recipe(**{missing: "nothing"}))


def test_it_learns_to_paint(folders: tuple[Crops, Path], tmp_path: Path) -> None:
    progress = KillAt()
    still = {"style": 0, "adversarial": 0, "local_adversarial": 0, "slice_adversarial": 0, "color": 0}
    quick = {"name": "adam", "learning_rate": 1e-2, "schedule": "constant"}
    train(folders, tmp_path, slice_recipe(epochs=15, windows=PAPER, loss=still, generator=quick), progress)
    errors = [losses["l1"] for losses in progress.losses]
    assert np.mean(errors[-10:]) < np.mean(errors[:10]) * 0.65  # dark and bright faces are told apart


def some_batch(folders: tuple[Crops, Path], step: int = 0, inside: Mask | None = None, **changes: object) -> Batch:
    crops, runs = folders
    shown = show(crops, np.arange(4))
    return make_batch(
        shown if inside is None else replace(shown, inside=inside),
        slice_recipe(**{"windows": PAPER} | changes),
        step,
        load_imaginer(runs / "tiny-imagine")[1],
        make_fabric(**FLOAT32),
    )


def test_a_batch_has_one_window_and_what_is_imagined_around_it(folders: tuple[Crops, Path]) -> None:
    batch = some_batch(folders)
    assert batch.window == PAPER_WINDOW.in_frame(64) == Window(16, 4, 32, 32, 64)
    assert batch.real.shape == batch.imagined.shape == (4, 3, 64, 64)
    assert torch.equal(batch.visible, batch.real[:, :, 4:36, 16:48])
    assert not torch.equal(batch.imagined, batch.real)
    assert int((~batch.hidden).sum()) == 32 * 32
    kinds = {some_batch(folders, step, windows=slice_recipe().windows).window for step in range(12)}
    assert len(kinds) > 4


def test_a_free_form_mask_leaves_visible_pixels_beyond_the_window(folders: tuple[Crops, Path]) -> None:
    batch = some_batch(folders, windows={"surgical-mask": 1})
    inside = batch.window.width * batch.window.height
    assert int((~batch.hidden).sum()) > 1.2 * inside
    where = (~batch.hidden).expand_as(batch.real)
    assert torch.equal(batch.real_where_visible(batch.imagined + 1)[where], batch.real[where])
    assert (batch.given[~where] == 0).all()


def test_no_walk_starts_from_a_tiny_window(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([0, 20, 31, 32])

    def draw(*_: object) -> Cover:
        size = next(sizes)
        mask = np.ones((256, 256), np.bool_)
        mask[:size, : 2 * size] = False
        return Cover(np.zeros((256, 256, 3), np.uint8), mask)

    monkeypatch.setattr(slices, "draw_cover", draw)
    assert draw_window(POINTS[0], slice_recipe(), np.random.default_rng(0))[1] == Window(0, 0, 64, 32)
    all_of_it, last_row = (
        ~INSIDE[0],
        np.arange(256)[:, None] + np.zeros((1, 256)) == 255,
    )  # in a smaller frame it is lost
    for mask in (all_of_it, last_row, INSIDE[0]):
        cover = Cover(np.zeros((256, 256, 3), np.uint8), mask)
        monkeypatch.setattr(slices, "draw_cover", lambda *_, cover=cover: cover)
        with pytest.raises(RecipeError, match="choose other occluders"):
            draw_window(POINTS[0], slice_recipe(), np.random.default_rng(0))


def test_the_imaginer_never_sees_what_is_hidden(folders: tuple[Crops, Path]) -> None:
    crops, runs = folders
    pictures, other = crops.take(np.arange(2)), crops.take(np.arange(2))
    other[:, 150:] = 255  # below the paper's window
    imaginer, fabric = load_imaginer(runs / "tiny-imagine")[1], make_fabric(**FLOAT32)
    a, b = (
        make_batch(Shown(p, POINTS[:2], INSIDE[:2]), slice_recipe(windows=PAPER), 0, imaginer, fabric)
        for p in (pictures, other)
    )
    assert torch.equal(a.imagined, b.imagined)
    assert not torch.equal(a.real, b.real)


def walked_to(picture: Tensor, batch: Batch) -> Walked:
    bands = tuple(step.band for step in spiral(batch.window, 16))
    return Walked(picture, bands, len(bands))


def test_a_perfect_walk_loses_nothing_but_the_discriminators_doubt(folders: tuple[Crops, Path]) -> None:
    torch.manual_seed(0)
    batch = some_batch(folders)
    features = load_features("tiny-vgg", folders[1])
    perfect = walked_to(batch.real.clone(), batch)
    losses = slice_losses(SliceDiscriminators(8, 8), perfect, batch, features, features)
    assert {n: v.item() for n, v in losses.items() if "adversarial" not in n} == pytest.approx(
        {"l1": 0, "color": 0, "style": 0, "perceptual": 0}, abs=1e-4
    )
    assert losses["adversarial"] == losses["local_adversarial"] > 0  # nothing is visible beyond the window
    assert losses["slice_adversarial"] > 3 * losses["adversarial"]  # a sum over the steps


def test_what_is_painted_over_visible_pixels_is_judged_apart(folders: tuple[Crops, Path]) -> None:
    torch.manual_seed(0)
    batch = some_batch(folders, windows={"surgical-mask": 1})
    over = torch.where(batch.hidden, batch.real, 1 - batch.real)  # wrong where nobody will see it
    over[(..., *batch.window.slices)] = batch.visible
    discriminators, features = SliceDiscriminators(8, 8).eval(), load_features("tiny-vgg", folders[1])
    seen, real = (slice_losses(discriminators, walked_to(p, batch), batch, features) for p in (over, batch.real))
    torch.testing.assert_close(seen["local_adversarial"], real["local_adversarial"])
    assert (seen["adversarial"] - real["adversarial"]).abs() > 1e-5


def test_errors_are_means_over_the_photo(folders: tuple[Crops, Path]) -> None:
    batch = replace(some_batch(folders), inside=torch.ones(4, 1, 64, 64, dtype=torch.bool))
    batch.inside[:, :, :, 32:] = False
    off = batch.real + torch.tensor([0.1, 7.0]).repeat_interleave(32)
    features = load_features("tiny-vgg", folders[1])
    losses = slice_losses(SliceDiscriminators(8, 8), walked_to(off, batch), batch, features)
    assert losses["l1"].item() == pytest.approx(0.1, abs=1e-4)


def test_nothing_is_learned_beyond_the_photo(folders: tuple[Crops, Path]) -> None:
    torch.manual_seed(0)
    inside = INSIDE.copy()
    inside[:, :, 200:] = False
    batch = some_batch(folders, inside=inside)
    picture, photo = (batch.real * 0.8).requires_grad_(), batch.inside.expand_as(batch.real)
    assert 0.2 < (~photo).float().mean() < 0.25  # 50 of 64 columns, of mirrored faces the other ones
    features, discriminators = load_features("tiny-vgg", folders[1]), SliceDiscriminators(8, 8)
    for name, loss in slice_losses(discriminators, walked_to(picture, batch), batch, features, features).items():
        (gradient,) = torch.autograd.grad(loss, picture, retain_graph=True)
        assert gradient[photo].abs().max() > 0, name
        assert not gradient[~photo].any(), name
    others = picture.detach().clone()
    others[~photo] = 1
    doubts = [discriminator_loss(discriminators.eval(), walked_to(p, batch), batch) for p in (picture, others)]
    assert doubts[0] == doubts[1]


def test_of_many_bands_some_are_judged(folders: tuple[Crops, Path]) -> None:
    batch = some_batch(folders)
    gan = make_slice_gan(slice_recipe(), load_features("tiny-vgg", folders[1]).style_encoder())
    whole, some = walk(gan, batch), walk(gan, batch, 3, np.random.default_rng(0))
    assert whole.bands == tuple(step.band for step in spiral(batch.window, 16))
    assert len(some.bands) == 3
    assert set(some.bands) <= set(whole.bands)
    assert some.steps == whole.steps == len(whole.bands)
    others = walk(gan, batch, 3, np.random.default_rng(1))
    assert others.bands != some.bands


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
