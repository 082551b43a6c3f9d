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
from spiralage.errors import RecipeError
from spiralage.files import replacing
from spiralage.networks.age import AgeNetwork
from spiralage.training.augment import compress_some, cover_some, make_augmentation, random_view
from spiralage.training.loop import batch_at, clip_gradients, make_optimiser, seed_step, set_learning_rate
from spiralage.training.losses import make_age_loss
from spiralage.training.recipes import FineTuning
from spiralage.types import Pixels

Halves: TypeAlias = npt.NDArray[np.float16]

BATCH = 64


def split_backbone(network: AgeNetwork, freeze: int) -> tuple[nn.Module, nn.Module]:
    """The first ``freeze`` layers of the backbone, and the others.

    Raises:
        RecipeError: the backbone isn't a sequence of that many layers.
    """
    backbone = network.backbone
    if freeze == 0:
        return nn.Identity(), backbone
    if not isinstance(backbone, nn.Sequential) or freeze >= len(backbone):
        name, most = type(backbone).__name__, len(backbone) - 1 if isinstance(backbone, nn.Sequential) else 0
        raise RecipeError(f"freeze = {freeze}, but at most {most} layers of {name} can be frozen; lower it")
    layers = list(backbone)  # a slice of the network would be built by its own class, with other arguments
    return nn.Sequential(*layers[:freeze]), nn.Sequential(*layers[freeze:])


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
    frozen = split_backbone(network.to(fabric.device).eval(), settings.freeze)[0]
    augment = make_augmentation(settings.augmentation)
    size = network.crop // network.pool

    @torch.no_grad()
    def answers(view: int, chosen: Indices) -> Halves:
        seed_step(seed, view * len(crops) + int(chosen[0]))
        faces = compress_some(crops.take(chosen), settings.augmentation.jpeg)
        pictures = augment(random_view(torch.from_numpy(faces).to(fabric.device), network.crop, size))
        pictures = cover_some(pictures, network.crop, float(masked))
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
    frozen = split_backbone(network.to(fabric.device).eval(), settings.freeze)[0]

    @torch.no_grad()
    def answers(batch: Pixels) -> Halves:
        return _halves(frozen(network.view(torch.from_numpy(batch).to(fabric.device))))

    _write_array(path, total, (answers(batch) for batch in pictures), progress)


def fine_tune(
    network: AgeNetwork, views: Halves, ages: Tensor, train: Indices, settings: FineTuning, seed: int, fabric: Fabric
) -> nn.Module:
    """Train a copy of the layers that aren't frozen.

    Args:
        network: the start network; left as it is.
        views: what ``write_views`` wrote.
        ages: of all pictures, in years, (N,).
        train: the positions of the pictures to train on.
        settings: the rest.
        seed: of order and dropout.
        fabric: where and how precisely to compute.

    Returns:
        The trained layers, in evaluation mode: frozen answers → logits.
    """
    tuned = copy.deepcopy(split_backbone(network, settings.freeze)[1]).to(fabric.device).train()
    optimiser = make_optimiser(settings.optimiser, tuned)
    age_loss = make_age_loss(settings.loss)
    batch = min(settings.batch, len(train))
    steps = max(1, round(settings.epochs * len(train) / batch))
    for step in range(steps):
        seed_step(seed, step)
        set_learning_rate(optimiser, settings.optimiser, step, steps)
        chosen = batch_at(train, step, batch, seed)
        view = step * batch // len(train) % len(views)
        x = torch.from_numpy(views[view][chosen]).to(fabric.device).float()
        logits = tuned(x)  # in float32: for a few small layers on a CPU without AMX bfloat16 is slower
        optimiser.zero_grad(set_to_none=True)
        age_loss(logits, ages[chosen].to(fabric.device)).backward()  # type: ignore[no-untyped-call]
        clip_gradients(tuned, settings.optimiser)
        optimiser.step()
    return tuned.eval()


def _batches(count: int) -> list[Indices]:
    return [np.arange(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]


def _halves(x: Tensor) -> Halves:
    return np.asarray(x.half().cpu().numpy())


def _write_array(path: Path, total: int, parts: Iterator[Halves], progress: Callable[[int], None]) -> None:
    """Batches that follow one another → one (total, ...) array on disk."""
    first = next(parts)
    with replacing(path) as temporary:
        shape = (total, *first.shape[1:])
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
        done = 0
        for part in itertools.chain([first], parts):
            array[done : done + len(part)] = part
            done += len(part)
            progress(done)
        array.flush()
        if done != len(array):
            raise ValueError(f"{done} pictures came, {len(array)} were announced")


def read_array(path: Path, pictures: int) -> Halves:
    """What ``write_views`` or ``write_answers`` wrote of N pictures, memory-mapped: (sets, N, C, H, W) float16."""
    array: Halves = np.load(path, mmap_mode="r", allow_pickle=False)
    return array.reshape(-1, pictures, *array.shape[1:])
