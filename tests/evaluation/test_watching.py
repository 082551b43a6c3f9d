"""Restorers are measured while they train: on validation faces, with the moving average, a row each time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from spiral_runs import one_step_recipe, train_before_slices
from synthetic import FLOAT32, age_recipe, imagine_recipe, small_perception, use_tiny_backbones, write_crops

from spiralage.datasets.crops import Crops
from spiralage.errors import CheckpointError, DatasetError
from spiralage.evaluation import watching
from spiralage.evaluation.protocols import validation
from spiralage.evaluation.protocols.validation import TABLE
from spiralage.evaluation.results import ValidationRow, read_rows
from spiralage.evaluation.watching import watch
from spiralage.networks.features import Features, age_features
from spiralage.training.tasks.age import build_age_network
from spiralage.training.tasks.imagine import make_generator, train_imagine
from spiralage.training.tasks.slices import train_slices


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops to validate on, in cache, and the runs that a SliceGAN needs."""
    made = tmp_path_factory.mktemp("watching")
    write_crops(made / "cache" / "aaf", "aaf")
    train_before_slices(made)
    return made


@pytest.fixture(autouse=True)
def _tiny_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features of a tiny age network in place of ImageNet's."""
    use_tiny_backbones(monkeypatch)

    def features(name: str, runs: Path, size: int) -> Features:
        assert name == watching.FEATURES
        return age_features(build_age_network(age_recipe()), 64)

    monkeypatch.setattr(watching, "load_features", features)
    monkeypatch.setattr(watching, "imagenet_lpips", lambda name: small_perception().similarity)


def test_what_trains_is_measured(folder: Path) -> None:
    imagine, slices = imagine_recipe(name="seen", epochs=0.25, features="tiny-vgg"), one_step_recipe("seen-slices")
    crops = Crops(folder / "crops")
    train_imagine(
        imagine, crops, folder / "seen", folder, watch=watch(imagine, folder / "cache", folder / "seen"), **FLOAT32
    )
    look = watch(slices, folder / "cache", folder / "seen-slices")
    train_slices(slices, crops, folder / "seen-slices", folder, watch=look, **FLOAT32)
    for name, steps in (("seen", 1), ("seen-slices", 1)):
        (row,) = read_rows(folder / name / TABLE, ValidationRow)
        assert (row.recipe, row.step, row.images) == (name, steps, 4)
        assert row.psnr > 3
        assert row.lpips is not None
        assert row.lpips > 0


def test_what_trains_is_left_as_it_is(folder: Path) -> None:
    recipe = imagine_recipe(name="left")
    look, average = watch(recipe, folder / "cache", folder / "left"), make_generator(recipe).train()
    look(average, 1, 0.5)
    assert all(module.training for module in average.modules())


def test_a_row_tells_the_hardware_that_trains(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(validation, "hardware", lambda device: f"a {device}")
    recipe = imagine_recipe(name="hardware")
    watch(recipe, folder / "cache", folder / "hardware", "cuda")(make_generator(recipe), 1, 0.5)
    (row,) = read_rows(folder / "hardware" / TABLE, ValidationRow)
    assert row.hardware == "a cuda"


def test_without_faces_it_says_so(folder: Path) -> None:
    with pytest.raises(DatasetError, match="no crops of aaf or celeba-hq"):
        watch(imagine_recipe(), folder / "nothing", folder / "run")


def test_slices_need_their_imaginer(folder: Path) -> None:
    recipe = one_step_recipe().model_copy(update={"imagine": "nothing"})
    with pytest.raises(CheckpointError, match="nothing"):
        watch(recipe, folder / "cache", folder / "run")
