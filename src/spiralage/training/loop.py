"""What every training loop shares: the order of pictures, seeds, and a stop where numbers are no longer numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from spiralage.datasets.crops import Indices
from spiralage.errors import DatasetError, RecipeError, TrainingError

Network = TypeVar("Network", bound=nn.Module)
Progress: TypeAlias = Callable[[int, int, dict[str, float]], None]
"""Told (step, steps, losses) after each step."""


def no_progress(step: int, steps: int, values: dict[str, float]) -> None:
    """Tell nobody."""


def channels_last(network: Network) -> Network:
    """The network with its weights in the memory order that convolutions are fastest in."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def picture_order(count: int, seed: int, epoch: int) -> Indices:
    """The order of ``count`` pictures in an epoch; depends on seed and epoch alone."""
    return np.random.default_rng((seed, epoch)).permutation(count)


def batch_at(indices: Indices, step: int, batch: int, seed: int) -> Indices:
    """The pictures of one step: whole batches of each epoch's order, so any step can be resumed."""
    per_epoch = len(indices) // batch
    if per_epoch == 0:
        raise DatasetError(f"{len(indices)} training pictures don't fill a batch of {batch}; lower batch")
    epoch, within = divmod(step, per_epoch)
    order = picture_order(len(indices), seed, epoch)
    chosen: Indices = indices[order[within * batch : (within + 1) * batch]]
    return chosen


def share_of(chosen: Indices, fabric: Fabric) -> Indices:
    """This process's part of a batch that several share.

    Raises:
        RecipeError: the batch can't be shared evenly.
    """
    if len(chosen) % fabric.world_size:
        raise RecipeError(f"a batch of {len(chosen)} can't be shared by {fabric.world_size}; make batch a multiple")
    part: Indices = chosen[fabric.global_rank :: fabric.world_size]
    return part


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Make all that is random in a step a function of its arguments: a resumed run repeats it exactly."""
    torch.manual_seed((seed * 1_000_003 + step + rank * 15_485_863) % 2**63)  # the CPU's generator reads 32 bits


def measured(losses: Mapping[str, Tensor], step: int, fabric: Fabric) -> dict[str, float]:
    """The losses of a step as numbers; asked before the step changes any weight.

    Raises:
        TrainingError: one is NaN or infinite, here or in a process that shares the batch.
    """
    values = {name: loss.item() for name, loss in losses.items()}
    wrong = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
    if fabric.world_size > 1:  # all must stop at the same step, or the others wait for ever
        count = fabric.all_reduce(torch.tensor(float(len(wrong)), device=fabric.device), reduce_op="sum")
        if count and not wrong:
            wrong = ["another process has a loss that is no number"]
    if wrong:
        raise TrainingError(step, ", ".join(wrong))
    return values


def check_weights(modules: Mapping[str, nn.Module], step: int) -> None:
    """Refuse weights that are NaN or infinite; raises TrainingError."""
    for part, module in modules.items():
        for name, tensor in module.state_dict().items():
            if not bool(torch.isfinite(tensor).all()):
                raise TrainingError(step, f"{part}.{name} has values that are no numbers")
