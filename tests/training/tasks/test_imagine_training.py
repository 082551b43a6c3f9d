"""Training ImagineGAN: killed and resumed it ends as if undisturbed; windows are drawn by their shares."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synthetic import FLOAT32, Kill, KillAt, age_recipe, imagine_recipe, use_tiny_backbones, write_crops
from torch import Tensor
from torch.nn import functional as F

from spiralage.datasets.crops import Crops
from spiralage.errors import CheckpointError, TrainingError
from spiralage.networks.features import age_features
from spiralage.networks.restorers.discriminators import PatchDiscriminator
from spiralage.networks.restorers.projected import ProjectedDiscriminator
from spiralage.training import adversarial
from spiralage.training.adversarial import Shown, Watch, no_watch, show, weigh
from spiralage.training.checkpoint import load_tensors
from spiralage.training.fabric import make_fabric
from spiralage.training.recipes import ImagineRecipe
from spiralage.training.run import CHECKPOINT, WEIGHTS, Run
from spiralage.training.tasks import imagine
from spiralage.training.tasks.age import build_age_network, train_age
from spiralage.training.tasks.imagine import (
    Batch,
    load_imaginer,
    make_batch,
    make_discriminator,
    start_generator,
    train_imagine,
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Crops, Path]:
    """Crops, and a folder with a finished age run, for features."""
    folder = tmp_path_factory.mktemp("imagine")
    crops = write_crops(folder / "crops")
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_backbones(monkeypatch)
        train_age(age_recipe(epochs=0.5), crops, folder / "tiny", **FLOAT32)
    return crops, folder


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_backbones(monkeypatch)


@pytest.fixture
def save_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every step."""
    monkeypatch.setattr(imagine, "Run", functools.partial(Run, save_every_s=0))


def train(
    folders: tuple[Crops, Path],
    folder: Path,
    recipe: ImagineRecipe | None = None,
    progress: KillAt | None = None,
    minutes: float | None = None,
    finish: bool = False,
    watch: Watch = no_watch,
) -> bool:
    crops, runs = folders
    chosen, progress = recipe or imagine_recipe(), progress or KillAt()
    return train_imagine(
        chosen, crops, folder, runs, minutes=minutes, finish=finish, progress=progress, watch=watch, **FLOAT32
    )


def weights(folder: Path) -> dict[str, Tensor]:
    return load_tensors(folder / WEIGHTS)[0]


def test_a_run_leaves_weights_log_and_facts(folders: tuple[Crops, Path], tmp_path: Path) -> None:
    progress = KillAt()
    assert train(folders, tmp_path, progress=progress)
    assert progress.steps == list(range(1, 9))
    files = {WEIGHTS, "log.csv", "recipe.json", "run.json", "tensorboard"}
    assert {path.name for path in tmp_path.iterdir()} == files
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts.items() >= {"recipe": "tiny-imagine", "seed": 3, "steps": 8, "train_images": 16}.items()
    assert set(progress.losses[0]) == {"adversarial", "perceptual", "hue_color", "l1", "discriminator"}
    recipe, imaginer = load_imaginer(tmp_path)
    assert recipe == imagine_recipe()
    assert imaginer.size == 32
    assert not imaginer.training


@pytest.mark.usefixtures("save_always")
def test_killed_and_resumed_the_weights_are_bit_identical(folders: tuple[Crops, Path], tmp_path: Path) -> None:
    undisturbed, resumed = KillAt(), KillAt()
    train(folders, tmp_path / "undisturbed", progress=undisturbed)
    with pytest.raises(Kill):
        train(folders, tmp_path / "killed", progress=KillAt(5))
    assert load_tensors(tmp_path / "killed" / CHECKPOINT)[1]["step"] == 4
    assert train(folders, tmp_path / "killed", progress=resumed)
    assert resumed.steps == [5, 6, 7, 8]
    assert resumed.losses == undisturbed.losses[4:]  # the discriminator's too, which leaves no weights
    first, second = weights(tmp_path / "undisturbed"), weights(tmp_path / "killed")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_out_of_minutes_it_stops_with_a_checkpoint(folders: tuple[Crops, Path], tmp_path: Path) -> None:
    assert not train(folders, tmp_path, minutes=0)
    assert load_tensors(tmp_path / CHECKPOINT)[1]["step"] == 1
    assert not (tmp_path / WEIGHTS).exists()


def test_a_budget_of_time_ends_with_what_was_learned(folders: tuple[Crops, Path], tmp_path: Path) -> None:
    watched: list[int] = []
    assert train(folders, tmp_path, minutes=0, finish=True, watch=lambda _, step, __: watched.append(step))
    assert json.loads((tmp_path / "run.json").read_text())["steps"] == 1
    assert watched == [1]
    assert (tmp_path / "log.csv").read_text().splitlines()[-1].startswith("1,")  # the last step is logged
    assert not (tmp_path / CHECKPOINT).exists()
    assert load_imaginer(tmp_path)[1].size == 32


@pytest.mark.usefixtures("save_always")
def test_every_half_hour_it_is_watched(
    folders: tuple[Crops, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adversarial, "WATCH_EVERY_S", 1e-6)
    watched: list[int] = []
    watch: Watch = lambda average, step, minutes: watched.append(step if minutes > 0 else 0)  # noqa: E731
    with pytest.raises(Kill):
        train(folders, tmp_path, progress=KillAt(3), watch=watch)
    train(folders, tmp_path, watch=watch)
    assert watched == [1, 2, 3, 4, 5, 6, 7, 8]


def test_it_starts_from_what_another_recipe_left(folders: tuple[Crops, Path], tmp_path: Path) -> None:
    train(folders, folders[1] / "first", imagine_recipe(name="first"))
    still = {"name": "adam", "learning_rate": 1e-12, "schedule": "constant"}
    train(folders, tmp_path, imagine_recipe(start="first", generator=still))
    first, second = weights(folders[1] / "first"), weights(tmp_path)
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)
    facts = json.loads((tmp_path / "run.json").read_text())
    assert (facts["start"], facts["start_data"]) == ("first", ["UTKFace"])
    wider = imagine_recipe(start="first", network={"size": 32, "width": 16, "blocks": 1, "discriminator_width": 8})
    with pytest.raises(CheckpointError, match="start from another"):
        start_generator(wider, *folders)


@pytest.mark.parametrize(
    "other",
    [imagine_recipe(seed=4), imagine_recipe(network={"size": 32, "width": 16, "blocks": 1, "discriminator_width": 8})],
)
def test_another_recipe_can_not_go_on_with_a_run(
    folders: tuple[Crops, Path], tmp_path: Path, other: ImagineRecipe
) -> None:
    train(folders, tmp_path, minutes=0)
    with pytest.raises(CheckpointError, match="another run folder"):
        train(folders, tmp_path, other)


def test_without_the_features_run_it_does_not_start(folders: tuple[Crops, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        train_imagine(imagine_recipe(), folders[0], tmp_path / "run", tmp_path / "nothing", **FLOAT32)


def test_only_the_training_split_is_seen(
    folders: tuple[Crops, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()
    take = Crops.take

    def noting(self: Crops, indices: np.ndarray) -> np.ndarray:
        seen.update(indices.tolist())
        return take(self, indices)

    monkeypatch.setattr(Crops, "take", noting)
    train(folders, tmp_path)
    assert seen == set(folders[0].indices("train").tolist())


def test_a_batch_is_a_function_of_seed_and_step(folders: tuple[Crops, Path]) -> None:
    fabric = make_fabric(**FLOAT32)
    shown = show(folders[0], np.arange(4))
    once, again, later = (tensors_of(make_batch(shown, imagine_recipe(), step, fabric)) for step in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(once, later, strict=True))
    real, visible, hidden, inside = once
    assert inside.shape == hidden.shape
    assert real.shape == visible.shape == (4, 3, 32, 32)
    assert hidden.shape == (4, 1, 32, 32)
    assert (visible * hidden == 0).all()
    whole = hidden == 0
    # A small pixel at the window's edge is the mean of less than all its pixels; these are blobs, so near.
    assert ((visible - real) * whole).abs().max() < 0.05


def test_the_losses_are_weighed_by_the_recipe() -> None:
    parts = {name: torch.tensor(value) for name, value in (("l1", 1.0), ("adversarial", 2.0), ("hue_color", 3.0))}
    recipe = imagine_recipe(loss={"l1": 10, "adversarial": 0.5, "hue_color": 2, "perceptual": 99})
    assert weigh(parts, recipe).item() == pytest.approx(10 + 1 + 6)


def tensors_of(batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return batch.real, batch.visible, batch.hidden, batch.inside


def test_beyond_the_photo_nothing_is_learned(folders: tuple[Crops, Path]) -> None:
    shown = show(folders[0], np.arange(2))
    inside = shown.inside.copy()
    inside[:, :, :64] = False
    recipe, fabric = imagine_recipe(windows={"paper": 1}), make_fabric(**FLOAT32)
    batch = make_batch(Shown(shown.pictures, shown.landmarks, inside), recipe, 0, fabric)
    beyond = batch.inside == 0
    assert beyond.float().mean() == pytest.approx(0.25)
    assert (batch.hidden[beyond] == 1).all()  # the generator doesn't see it either
    generated = torch.rand_like(batch.real).requires_grad_()
    (gradient,) = torch.autograd.grad(batch.completed(generated).sum(), generated)
    assert torch.equal(gradient, (batch.hidden * batch.inside).expand_as(gradient))


def played(discriminator: PatchDiscriminator | ProjectedDiscriminator | None = None) -> imagine._Round:
    """A round whose generator painted the originals."""
    torch.manual_seed(0)
    features = age_features(build_age_network(age_recipe()), 64)
    picture, ones = torch.rand(2, 3, 32, 32), torch.ones(2, 1, 32, 32)
    batch = Batch(picture, picture * 0, ones, ones)
    return imagine._Round(picture.clone().requires_grad_(), batch, discriminator or PatchDiscriminator(8), features)


def test_equal_pictures_lose_nothing_but_the_discriminators_doubt() -> None:
    losses = played().losses()
    assert {name: value.item() for name, value in losses.items() if name != "adversarial"} == pytest.approx(
        {"perceptual": 0, "hue_color": 0, "l1": 0}, abs=1e-4
    )
    assert losses["adversarial"] > 0


def test_a_generator_of_differences_begins_with_the_training_faces_mean(folders: tuple[Crops, Path]) -> None:
    crops, runs = folders
    recipe = imagine_recipe(network=imagine_recipe().network.model_dump() | {"residual": True})
    mean = start_generator(recipe, crops, runs).mean_face
    pictures = torch.from_numpy(crops.take(crops.indices("train"))).permute(0, 3, 1, 2) / 255
    expected = F.avg_pool2d(pictures, 8).mean(dim=0)
    torch.testing.assert_close(mean, (expected + expected.flip(-1)) / 2, atol=1e-4, rtol=0)


def test_projected_features_judge_too() -> None:
    features = played().features
    recipe = imagine_recipe(network=imagine_recipe().network.model_dump() | {"discriminator": "projected"})
    discriminator = make_discriminator(recipe, features)
    assert isinstance(discriminator, ProjectedDiscriminator)
    round_ = played(discriminator)
    trained = [p for p in discriminator.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(round_.discriminator_loss(), [*trained, round_.generated], allow_unused=True)
    assert gradients[-1] is None  # the generator isn't reached
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients[:-1])
    (gradient,) = torch.autograd.grad(round_.losses()["adversarial"], round_.generated)
    assert gradient.abs().sum() > 0  # through the frozen features


def test_what_is_fixed_in_a_discriminator_never_learns(
    folders: tuple[Crops, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ProjectedDiscriminator | PatchDiscriminator] = []
    make = make_discriminator

    def keeping(*args: Any) -> ProjectedDiscriminator | PatchDiscriminator:
        made.append(make(*args))
        return made[-1]

    monkeypatch.setattr(imagine, "make_discriminator", keeping)
    network = imagine_recipe().network.model_dump() | {"discriminator": "projected"}
    train(folders, tmp_path, imagine_recipe(network=network, epochs=0.5))
    (discriminator,) = made
    assert isinstance(discriminator, ProjectedDiscriminator)
    assert not any(p.requires_grad or p.grad is not None for p in discriminator.mixers.parameters())
    assert all(p.requires_grad for p in discriminator.heads.parameters())


@pytest.mark.usefixtures("save_always")
@pytest.mark.parametrize("name", ["discriminator_loss", "losses"])
def test_a_loss_that_is_no_number_stops_the_run(
    folders: tuple[Crops, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    ask, asked = getattr(imagine._Round, name), 0

    def breaks(played: imagine._Round) -> Tensor | dict[str, Tensor]:
        nonlocal asked
        asked += 1
        found: Tensor | dict[str, Tensor] = ask(played)
        if asked < 4:
            return found
        return found * torch.nan if isinstance(found, Tensor) else found | {"l1": found["l1"] * torch.inf}

    monkeypatch.setattr(imagine._Round, name, breaks)
    with pytest.raises(TrainingError, match=r"stopped at step 4: (discriminator is nan|l1 is inf)"):
        train(folders, tmp_path)
    tensors, meta = load_tensors(tmp_path / CHECKPOINT)
    assert meta["step"] == 3
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())
    assert not (tmp_path / WEIGHTS).exists()
