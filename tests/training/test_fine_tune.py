"""Fine-tuning many times over: what the frozen layers answer is kept, and a fold sees its own pictures alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from synthetic import FLOAT32, age_network, frequencies, use_leaf_head, write_crops
from torch import Tensor, nn

from spiralage.datasets.crops import Crops
from spiralage.errors import RecipeError, TrainingError
from spiralage.networks.age import AgeNetwork, Tail
from spiralage.networks.backbones import CompactNet
from spiralage.networks.backbones.mobilenet import MobileNet
from spiralage.networks.heads import SoftmaxHead
from spiralage.occlusion.window import paper_mask
from spiralage.training import fine_tune as module
from spiralage.training.fabric import make_fabric
from spiralage.training.fine_tune import (
    Halves,
    fine_tune,
    read_array,
    write_answers,
    write_views,
)
from spiralage.training.optimisers import set_learning_rate
from spiralage.training.recipes import FineTuning
from spiralage.types import Pixels

STILL = {"rotation_degrees": 0, "shift": 0, "scale": 0, "colour": 0, "gray": 0, "blur": 0, "jpeg": 0}
TRAIN = np.arange(16)


def settings(**changes: Any) -> FineTuning:
    values = {"epochs": 2, "batch": 4, "freeze": 3, "optimiser": {"learning_rate": 1e-2}}
    return FineTuning.model_validate(values | changes)


def small_backbone() -> nn.Sequential:
    """Convolution, ReLU, pooling, flattening, dropout, output, as in AlexNet; for 32 pixels."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.2), nn.Linear(4 * 8 * 8, 101)
    )


def network_of(backbone: Any) -> AgeNetwork:
    return age_network(backbone, crop=256, pool=8).eval()


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Crops:
    return write_crops(tmp_path_factory.mktemp("fine-tune") / "crops")


@pytest.fixture(scope="module")
def pictures(crops: Crops) -> Pixels:
    return crops.take(np.arange(len(crops)))


@pytest.fixture(scope="module")
def fabric() -> Fabric:
    return make_fabric(**FLOAT32)


@pytest.fixture
def network() -> AgeNetwork:
    return network_of(small_backbone())


Views = Callable[..., Halves]


@pytest.fixture
def views(crops: Crops, fabric: Fabric, network: AgeNetwork, tmp_path: Path) -> Views:
    """Writes views and reads them again."""

    def make(*, seed: int = 1, masked: bool = False, **changes: Any) -> Halves:
        chosen = settings(**changes)
        path = tmp_path / "views.npy"
        write_views(path, network, crops, chosen, fabric, seed=seed, masked=masked, progress=lambda done: None)
        return np.array(read_array(path, len(crops)))

    return make


def state(part: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in part.state_dict().items()}


def is_same(a: nn.Module, b: nn.Module) -> bool:
    first, second = state(a), state(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("backbone", [small_backbone(), MobileNet()], ids=["AlexNet-like", "MobileNet"])
def test_the_frozen_layers_and_the_others_are_the_backbone(backbone: nn.Sequential) -> None:
    network = network_of(backbone)
    x = torch.rand(2, 3, 32, 32)
    for freeze in (0, 1, 3, len(backbone)):
        frozen, tuned = network.split(freeze)
        with torch.no_grad():
            assert torch.equal(tuned(frozen(x)), network.head.probabilities(backbone(x)))
        parts = [id(p) for part in (frozen, tuned) for p in part.parameters()]
        assert parts == [id(p) for part in (backbone, network.head) for p in part.parameters()]  # shared, none lost
        assert freeze == 0 or len(list(frozen.children())) == freeze


@pytest.mark.parametrize(
    ("backbone", "freeze", "message"),
    [
        (small_backbone(), 7, "freeze = 7, but at most 6 layers of Sequential can be frozen"),
        (MobileNet(), 21, "freeze = 21, but at most 19 layers of MobileNet"),
        (CompactNet((8, 12, 16), (1, 1, 1)), 1, "freeze = 1, but at most 0 layers of CompactNet"),
    ],
    ids=["all", "more", "no sequence"],
)
def test_layers_that_can_not_be_frozen_are_told(backbone: nn.Module, freeze: int, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        network_of(backbone).split(freeze)


def test_every_picture_has_as_many_views_as_there_are_epochs(views: Views) -> None:
    found = views(epochs=1.5)
    assert found.dtype == np.float16
    assert found.shape == (2, 22, 4, 8, 8)
    assert np.isfinite(found).all()
    assert not np.allclose(found[0], found[1], atol=1e-2)  # each epoch augments anew


def test_views_are_a_function_of_the_seed(views: Views) -> None:
    np.testing.assert_array_equal(views(), views())
    assert not np.array_equal(views(), views(seed=2))


def test_without_augmentation_a_view_is_the_picture_or_its_mirror(
    views: Views, network: AgeNetwork, pictures: Pixels
) -> None:
    found = views(freeze=0, epochs=3, augmentation=STILL)
    seen = network.normalise(network.views(torch.from_numpy(pictures))).numpy()
    for view in found.astype(np.float32):
        as_it_is = np.abs(view - seen).max(axis=(1, 2, 3)) < 0.05
        mirrored = np.abs(view - seen[..., ::-1]).max(axis=(1, 2, 3)) < 0.05
        assert (as_it_is ^ mirrored).all()
        assert 0 < as_it_is.sum() < len(seen)


def test_masked_views_show_the_window_alone_however_they_are_augmented(views: Views) -> None:
    hidden = paper_mask().mask[4::8, 4::8]  # as seen at 32 pixels
    strong = {"rotation_degrees": 20, "shift": 0.2, "scale": 0.2, "colour": 0.5, "blur": 0.5}
    unmasked, masked = (
        views(freeze=0, epochs=1, augmentation=strong, masked=masked)[0].transpose(0, 2, 3, 1).astype(np.float32)
        for masked in (False, True)
    )
    np.testing.assert_array_equal(masked[:, hidden], -2)  # 0 in the picture
    np.testing.assert_allclose(masked[:, ~hidden], unmasked[:, ~hidden], atol=0.02)
    assert unmasked[:, hidden].mean() > -1.5


def batches_of(pictures: Pixels, size: int) -> Iterator[Pixels]:
    for start in range(0, len(pictures), size):
        yield pictures[start : start + size]


@pytest.mark.parametrize("freeze", [0, 3, 5])
def test_answers_are_the_frozen_layers_to_half_precision(
    network: AgeNetwork, pictures: Pixels, fabric: Fabric, tmp_path: Path, freeze: int
) -> None:
    done: list[int] = []
    path = tmp_path / "deep" / "answers.npy"
    chosen = settings(freeze=freeze)
    write_answers(path, network, batches_of(pictures, 8), 22, chosen, fabric, progress=done.append)
    with torch.no_grad():
        expected = network.split(freeze)[0](network.normalise(network.views(torch.from_numpy(pictures)))).numpy()
    answers = read_array(path, 11)
    assert answers.shape == (2, 11, *expected.shape[1:])
    assert answers.dtype == np.float16
    np.testing.assert_allclose(answers.reshape(expected.shape), expected, rtol=1e-3, atol=1e-3)
    assert done == [8, 16, 22]


@pytest.mark.parametrize("total", [21, 23, 22], ids=["too many", "too few", "a failure"])
def test_answers_are_whole_or_not_there(
    network: AgeNetwork, pictures: Pixels, fabric: Fabric, tmp_path: Path, total: int
) -> None:
    def source() -> Iterator[Pixels]:
        yield from batches_of(pictures, 8)
        if total == 22:
            raise ValueError("the source fails")

    path = tmp_path / "answers.npy"
    path.write_bytes(b"former")
    with pytest.raises(ValueError):  # noqa: PT011
        write_answers(path, network, source(), total, settings(), fabric, progress=lambda done: None)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"answers.npy": b"former"}


def test_the_start_network_is_left_as_it_is(network: AgeNetwork, views: Views, crops: Crops, fabric: Fabric) -> None:
    seen = views()
    before = copy.deepcopy(network)
    tuned = fine_tune(network, seen, torch.from_numpy(crops.ages), TRAIN, settings(), 1, fabric)
    assert is_same(network, before)
    assert not network.training
    assert not tuned.training
    assert not is_same(tuned, network.split(3)[1])
    assert all(p.grad is None for p in network.parameters())


def test_the_seed_makes_the_weights(network: AgeNetwork, views: Views, crops: Crops, fabric: Fabric) -> None:
    seen, ages = views(), torch.from_numpy(crops.ages)
    first, again, other = (fine_tune(network, seen, ages, TRAIN, settings(), seed, fabric) for seed in (1, 1, 2))
    assert is_same(first, again)
    assert not is_same(first, other)


def test_pictures_and_ages_that_are_left_out_change_nothing(
    network: AgeNetwork, views: Views, crops: Crops, fabric: Fabric
) -> None:
    seen, ages = views(), torch.from_numpy(crops.ages.copy())
    train = np.array([0, 1, 2, 5, 6, 7, 8, 9, 12, 13, 14, 15])
    left_out = np.setdiff1d(np.arange(len(crops)), train)
    expected = fine_tune(network, seen, ages, train, settings(), 1, fabric)
    seen[:, left_out] = np.nan
    ages[left_out] = 100
    assert is_same(fine_tune(network, seen, ages, train, settings(), 1, fabric), expected)
    ages[train[0]] = 100  # … while a picture that is trained on does
    assert not is_same(fine_tune(network, seen, ages, train, settings(), 1, fabric), expected)


def test_each_epoch_sees_its_own_view(
    network: AgeNetwork, views: Views, crops: Crops, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, ages = views(), torch.from_numpy(crops.ages)
    seen[1] = np.nan
    rates: list[tuple[int, int]] = []

    def spy(optimiser: torch.optim.Optimizer, chosen: Any, step: int, steps: int) -> None:
        rates.append((step, steps))
        set_learning_rate(optimiser, chosen, step, steps)

    monkeypatch.setattr(module, "set_learning_rate", spy)

    fine_tune(network, seen, ages, TRAIN, settings(epochs=1), 1, fabric)
    assert rates == [(step, 4) for step in range(4)]
    with pytest.raises(TrainingError, match="stopped at step 5: loss is nan"):
        fine_tune(network, seen, ages, TRAIN, settings(epochs=1.25), 1, fabric)
    assert rates[4:] == [(step, 5) for step in range(5)]


def test_fewer_pictures_than_a_batch_are_one_batch(
    network: AgeNetwork, views: Views, crops: Crops, fabric: Fabric
) -> None:
    tuned = fine_tune(network, views(), torch.from_numpy(crops.ages), TRAIN[:3], settings(batch=64), 1, fabric)
    assert not is_same(tuned, network.split(3)[1])


def test_it_learns(network: AgeNetwork, views: Views, crops: Crops, fabric: Fabric) -> None:
    chosen = settings(epochs=20, augmentation=STILL)
    seen, ages = views(epochs=20, augmentation=STILL), torch.from_numpy(crops.ages)
    x = torch.from_numpy(seen[0].astype(np.float32))

    @torch.no_grad()
    def losses(part: Tail) -> tuple[float, float]:
        """On the pictures to train on, and on the others."""
        return float(part.loss(x[:16], ages[:16])), float(part.loss(x[16:], ages[16:]))

    before = losses(network.split(3)[1])
    after = losses(fine_tune(network, seen, ages, TRAIN, chosen, 1, fabric))
    assert after[0] < before[0] / 3
    assert after[1] < before[1]


@pytest.mark.parametrize(("epochs", "batch", "calls"), [(3, 4, 3), (2, 3, 2), (1.25, 4, 2), (0.25, 4, 1), (2, 64, 2)])
def test_a_folds_head_is_told_of_every_epoch(
    views: Views, crops: Crops, fabric: Fabric, monkeypatch: pytest.MonkeyPatch, epochs: float, batch: int, calls: int
) -> None:
    told = use_leaf_head(monkeypatch)
    seen, ages = views(epochs=epochs), torch.from_numpy(crops.ages)
    seen[:, 16:] = np.nan  # left out
    chosen = settings(epochs=epochs, batch=batch)
    tuned = fine_tune(network_of(small_backbone()), seen, ages, TRAIN, chosen, 1, fabric)
    assert told == [((16, 101), ages[:16].tolist())] * calls
    assert not tuned.training
    with torch.no_grad():
        assert torch.equal(tuned(torch.zeros(1, *seen.shape[2:]))[0], frequencies(ages[:16]))


def test_a_head_that_looks_changes_nothing_but_itself(
    network: AgeNetwork, views: Views, crops: Crops, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, ages = views(), torch.from_numpy(crops.ages)
    expected = fine_tune(network, seen, ages, TRAIN, settings(), 1, fabric)
    monkeypatch.setattr(SoftmaxHead, "after_epoch", lambda head, asked: [*asked])
    assert is_same(fine_tune(network, seen, ages, TRAIN, settings(), 1, fabric), expected)


def test_answers_of_fewer_layers_may_be_kept_than_are_frozen(crops: Crops, fabric: Fabric, tmp_path: Path) -> None:
    network, ages = network_of(small_backbone()), torch.from_numpy(crops.ages)
    tuned = {}
    for kept in (1, 3):
        still = settings(freeze=kept, augmentation=STILL)
        path = tmp_path / f"{kept}.npy"
        write_views(path, network, crops, still, fabric, seed=1, masked=False, progress=lambda done: None)
        views = read_array(path, len(crops))
        tail = fine_tune(network, views, ages, TRAIN, settings(freeze=3), 1, fabric, kept=kept)
        with torch.no_grad():
            tuned[kept] = tail(torch.from_numpy(views[0].copy()).float())
    torch.testing.assert_close(tuned[1], tuned[3], atol=1e-3, rtol=1e-2)
