"""Fine-tuning on a small data set, many times over: the frozen layers run once, the rest is trained per fold.

The leading layers of the backbone that a recipe freezes never learn from the small data set, so what they
answer to a picture is the same in every fold. It is computed once, for every picture in as many augmented
views as there are epochs, and each fold trains the remaining layers on it.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from spiralage.datasets.crops import Crops, Indices
from spiralage.errors import CheckpointError, RecipeError
from spiralage.files import replacing
from spiralage.networks.age import AgeNetwork, Tail
from spiralage.networks.heads import Head, make_head
from spiralage.training.augment import compress_some, cover_some, make_augmentation
from spiralage.training.loop import batch_at, check_weights, measured, seed_step
from spiralage.training.optimisers import clip_gradients, make_optimiser, set_learning_rate
from spiralage.training.recipes import FineTuning
from spiralage.types import Pixels

Halves: TypeAlias = npt.NDArray[np.float16]

BATCH = 64


def write_views(
    path: Path,
    network: AgeNetwork,
    crops: Crops,
    settings: FineTuning,
    fabric: Fabric,
    *,
    seed: int,
    masked: bool,
    progress: Callable[[int], None],
) -> None:
    """Write what the frozen layers answer to augmented views: (views · N, C, H, W) float16, one view an epoch.

    Args:
        path: a .npy file, written whole or not at all.
        network: the start network.
        crops: the data set.
        settings: freeze, epochs and augmentation.
        fabric: where and how precisely to compute.
        seed: of the augmentation.
        masked: put the paper's mask on every picture.
        progress: told the pictures done so far.
    """
    frozen = network.to(fabric.device).eval().split(settings.freeze)[0]
    augment = make_augmentation(settings.augmentation)

    @torch.no_grad()
    def answers(view: int, chosen: Indices) -> Halves:
        seed_step(seed, view * len(crops) + int(chosen[0]))
        faces = torch.from_numpy(compress_some(crops.take(chosen), settings.augmentation.jpeg)).to(fabric.device)
        pictures = augment(network.views(faces, place=network.views.random_place()))
        pictures = cover_some(pictures, network.views, float(masked))
        with fabric.autocast():
            return _halves(frozen(network.normalise(pictures)))

    count = math.ceil(settings.epochs)
    parts = (answers(view, chosen) for view in range(count) for chosen in _batches(len(crops)))
    _write_array(path, count * len(crops), parts, progress)


def write_answers(
    path: Path,
    network: AgeNetwork,
    pictures: Iterator[Pixels],
    total: int,
    settings: FineTuning,
    fabric: Fabric,
    *,
    progress: Callable[[int], None],
) -> None:
    """Write what the frozen layers answer to test pictures as they are, in float32 precision.

    Args:
        path: a .npy file, written whole or not at all: (total, C, H, W) float16.
        network: the start network.
        pictures: (n, 256, 256, 3) uint8 RGB, batch after batch.
        total: how many pictures there are.
        settings: freeze.
        fabric: where to compute.
        progress: told the pictures done so far.
    """
    frozen = network.to(fabric.device).eval().split(settings.freeze)[0]

    @torch.no_grad()
    def answers(batch: Pixels) -> Halves:
        return _halves(frozen(network.normalise(network.views(torch.from_numpy(batch).to(fabric.device)))))

    _write_array(path, total, (answers(batch) for batch in pictures), progress)


def fine_tune(
    network: AgeNetwork,
    views: Halves,
    ages: Tensor,
    train: Indices,
    settings: FineTuning,
    seed: int,
    fabric: Fabric,
    *,
    kept: int | None = None,
) -> Tail:
    """Train a copy of the layers that aren't frozen.

    Args:
        network: the start network; left as it is.
        views: what ``write_views`` wrote.
        ages: of all pictures, in years, (N,).
        train: the positions of the pictures to train on.
        settings: the rest.
        seed: of order and dropout.
        fabric: where and how precisely to compute.
        kept: the layers whose answers the views are; None = all that are frozen.

    Returns:
        The layers after those, trained as far as they aren't frozen, in evaluation mode: what the views hold →
        P(age = j), (N, 101) float32.

    Raises:
        TrainingError: the loss or the weights are no numbers any more.
        RecipeError: the start network's head isn't of the recipe's kind.
    """
    leading, tuned = copy.deepcopy(network.split(settings.freeze))
    between = nn.Sequential(*list(leading.children())[settings.freeze if kept is None else kept :])
    between = between.to(fabric.device).eval().requires_grad_(False)
    tuned.head = _head_of(settings, network)
    tuned = tuned.to(fabric.device).train()
    optimiser = make_optimiser(settings.optimiser, tuned)
    batch = min(settings.batch, len(train))
    steps = max(1, round(settings.epochs * len(train) / batch))
    for step in range(steps):
        seed_step(seed, step)
        set_learning_rate(optimiser, settings.optimiser, step, steps)
        chosen = batch_at(train, step, batch, seed)
        epoch = step * batch // len(train)
        view = views[epoch % len(views)]
        x = torch.from_numpy(view[chosen]).to(fabric.device).float()
        with fabric.autocast():
            loss = tuned.loss(between(x), ages[chosen].to(fabric.device))
        measured({"loss": loss}, step + 1, fabric)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        clip_gradients(tuned, settings.optimiser)
        optimiser.step()
        if (step + 1) * batch // len(train) > epoch or step + 1 == steps:
            tuned.head.after_epoch(_seen_features(tuned, between, view, ages, train, fabric))
            tuned.train()
    check_weights({"tuned": tuned}, steps)
    return Tail(nn.Sequential(between, tuned.layers), tuned.head).eval() if len(between) else tuned.eval()


@torch.no_grad()
def _seen_features(
    tuned: Tail, between: nn.Module, view: Halves, ages: Tensor, train: Indices, fabric: Fabric
) -> Iterator[tuple[Tensor, Tensor]]:
    """What a fold's network says of its training pictures in one view, and their ages, batch after batch."""
    tuned.eval()
    for part in _batches(len(train)):
        chosen = train[part]
        x = between(torch.from_numpy(view[chosen]).to(fabric.device).float())
        yield tuned.layers(x), ages[chosen].to(fabric.device)


def _head_of(settings: FineTuning, network: AgeNetwork) -> Head:
    """A head with the recipe's loss and the start network's weights."""
    head = make_head(settings.loss.name, network.head.width, **settings.loss.weights)
    try:
        head.load_state_dict(network.head.state_dict())
    except RuntimeError as error:
        name = type(network.head).__name__
        raise RecipeError(f"a loss {settings.loss.name} can't go on from a {name}; choose the start's loss") from error
    return head


def _batches(count: int) -> list[Indices]:
    return [np.arange(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]


def _halves(x: Tensor) -> Halves:
    return np.asarray(x.half().cpu().numpy())


def _write_array(path: Path, total: int, parts: Iterator[Halves], progress: Callable[[int], None]) -> None:
    """Batches that follow one another → one (total, ...) array on disk."""
    first = next(parts)
    header = {"descr": "<f2", "fortran_order": False, "shape": (total, *first.shape[1:])}
    done = 0
    with replacing(path) as temporary, temporary.open("wb") as file:  # a memory map dies of a full disk
        np.lib.format.write_array_header_1_0(file, header)
        for part in itertools.chain([first], parts):
            file.write(np.ascontiguousarray(part, "<f2").tobytes())
            done += len(part)
            progress(done)
        if done != total:
            raise ValueError(f"{done} pictures came, {total} were announced")


def read_array(path: Path, pictures: int) -> Halves:
    """What ``write_views`` or ``write_answers`` wrote of N pictures, memory-mapped: (sets, N, C, H, W) float16.

    Raises:
        CheckpointError: damaged, or of other pictures.
    """
    try:
        array: Halves = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.dtype != np.float16:
            raise ValueError(f"it holds {array.dtype}")
        return array.reshape(-1, pictures, *array.shape[1:])
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise CheckpointError(f"{path}: damaged ({error}); remove it, it is made anew") from error
