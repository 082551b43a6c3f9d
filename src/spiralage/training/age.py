"""``spiralage train age recipes/NAME.toml``: train an age network on aligned crops."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from spiralage.age.backbones import AgeNetwork, make_backbone
from spiralage.age.distribution import expected_age
from spiralage.datasets.crops import Crops, Indices
from spiralage.datasets.joined import JOIN, AnyCrops
from spiralage.datasets.manifest import Split
from spiralage.errors import CheckpointError
from spiralage.files import sha256_of
from spiralage.occlusion.window import PAPER_WINDOW, margin_mask
from spiralage.training.augment import compress_some, cover_some, make_augmentation, random_view
from spiralage.training.config import AgeRecipe
from spiralage.training.loop import (
    WEIGHTS,
    Device,
    Run,
    batch_at,
    channels_last,
    clip_gradients,
    load_run,
    make_average,
    make_fabric,
    make_optimiser,
    read_record,
    resume,
    seed_step,
    set_learning_rate,
    share_of,
)
from spiralage.training.losses import make_age_loss
from spiralage.training.pretrained import faceres_weights, learned_from

Progress = Callable[[int, int, dict[str, float]], None]


def no_progress(step: int, steps: int, values: dict[str, float]) -> None:
    """Tell nobody."""


def build_age_network(recipe: AgeRecipe) -> AgeNetwork:
    """The untrained network of a recipe."""
    settings = recipe.network
    backbone = make_backbone(settings.backbone, settings.dropout, settings.width)
    return AgeNetwork(backbone, crop=settings.crop, pool=settings.pool)


@dataclass(frozen=True)
class Phase:
    """A part of a run: some epochs on one data set, with its own schedule.

    Args:
        name: of the data set.
        crops: its aligned crops.
        epochs: how many.
        batch: pictures a step.
    """

    name: str
    crops: AnyCrops
    epochs: float
    batch: int

    @cached_property
    def train(self) -> Indices:
        return self.crops.indices("train")

    @property
    def steps(self) -> int:
        return max(1, round(self.epochs * len(self.train) / self.batch))

    def every(self, epochs: float) -> int:
        """So many epochs in steps."""
        return max(1, round(epochs * len(self.train) / self.batch))


def make_phases(recipe: AgeRecipe, crops: AnyCrops, pretraining: Mapping[str, Crops]) -> list[Phase]:
    """The recipe's pre-training on those data sets that are there, then its own data set."""
    first = [
        Phase(part.data, pretraining[part.data], part.epochs, recipe.batch)
        for part in recipe.pretraining
        if part.data in pretraining
    ]
    return [*first, Phase(JOIN.join(recipe.sets), crops, recipe.epochs, recipe.batch)]


def train_age(
    recipe: AgeRecipe,
    crops: AnyCrops,
    folder: Path,
    *,
    pretraining: Mapping[str, Crops] = MappingProxyType({}),
    device: Device = "auto",
    devices: int = 1,
    minutes: float | None = None,
    progress: Progress = no_progress,
) -> bool:
    """Train, or go on training, the network of a recipe.

    Killed at any moment, the same call goes on from the last checkpoint and ends with the same weights
    as an undisturbed run.

    Args:
        recipe: what to train and how.
        crops: the aligned crops of the recipe's data set, or of its sets as one.
        folder: the run's folder; gets weights.safetensors when done.
        pretraining: the data sets of the recipe's pre-training that are there.
        device: where to compute.
        devices: how many GPUs, or CPU processes, share each batch.
        minutes: stop with a checkpoint after this time.
        progress: told (step, steps, losses) after each step.

    Returns:
        True when the training is complete, False when it ran out of time.

    Raises:
        CheckpointError: the folder holds a run of another recipe or of other data, or the run that this
            one starts from, beside it, isn't finished or has another network.
    """
    fabric = make_fabric(device, devices)
    crops.check_data(JOIN.join(recipe.sets))
    phases = make_phases(recipe, crops, pretraining)
    facts: dict[str, Any] = {"data": [phase.name for phase in phases], "pretrained": recipe.pretrained or ""}
    if recipe.masked:
        facts["masked"] = recipe.masked
    if recipe.start is not None:
        facts |= start_facts(folder.parent / recipe.start)
    run = Run(folder, recipe, fabric.device.type, minutes, writes=fabric.is_global_zero)
    if run.is_complete:
        run.check_finished(facts)
        return True
    torch.manual_seed(recipe.seed)
    network = channels_last(build_age_network(recipe))
    if not run.checkpoint.exists():
        _start(network, recipe, folder.parent)
    average = make_average(network, recipe.ema).to(fabric.device)
    optimiser = make_optimiser(recipe.optimiser, network)
    model, optimiser = fabric.setup(network.backbone, optimiser)
    parts: dict[str, nn.Module] = {"network": network, "average": average}
    optimisers = {"optimiser": optimiser}
    augment, age_loss = make_augmentation(recipe.augmentation), make_age_loss(recipe.loss)
    steps = sum(phase.steps for phase in phases)
    start = resume(run, parts, optimisers, facts)
    network.train()
    mae = math.nan  # measured at the last step at the latest

    for step in range(start, steps):
        phase, within = phase_at(phases, step)
        seed_step(recipe.seed, step, fabric.global_rank)
        set_learning_rate(optimiser, recipe.optimiser, within, phase.steps)
        chosen = share_of(batch_at(phase.train, within, recipe.batch, recipe.seed), fabric)
        faces = compress_some(phase.crops.take(chosen), recipe.augmentation.jpeg)
        pictures = random_view(
            torch.from_numpy(faces).to(fabric.device), recipe.network.crop, size_at(recipe, within / phase.steps)
        )
        pictures = cover_some(augment(pictures), recipe.network.crop, recipe.masked)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        ages = torch.from_numpy(phase.crops.ages[chosen]).to(fabric.device)
        loss = age_loss(model(network.normalise(pictures)), ages)
        optimiser.zero_grad(set_to_none=True)
        fabric.backward(loss)
        clip_gradients(network, recipe.optimiser)
        optimiser.step()
        average.update_parameters(network)
        done = step + 1
        progress(done, steps, {"loss": loss.item()})
        run.note(done, {"loss": loss.item(), "learning_rate": optimiser.param_groups[0]["lr"]})
        if (within + 1) % phase.every(recipe.validate_every_epochs) == 0 or within + 1 == phase.steps:
            mae = validation_mae(average.module, phase.crops, "val", fabric, masked=recipe.masked == 1)
            run.log(done, {"loss": loss.item(), "val_mae": mae})
            network.train()
        stop = run.out_of_time(fabric)
        if done < steps and (run.due_to_save(done / phase.every(1)) or stop):
            run.save(parts, optimisers, done, facts)
        if done < steps and stop:
            return False
    images = {"train_images": sum(len(phase.train) for phase in phases)}
    measured = {"val_mae": None if math.isnan(mae) else round(mae, 4)}
    run.finish(average.module, {"steps": steps, **measured, **facts, **images})
    return True


def phase_at(phases: Sequence[Phase], step: int) -> tuple[Phase, int]:
    """The phase that a step of the run is in, and its number within it."""
    for phase in phases[:-1]:
        if step < phase.steps:
            return phase, step
        step -= phase.steps
    return phases[-1], step


def _start(network: AgeNetwork, recipe: AgeRecipe, runs: Path) -> None:
    if recipe.start is not None:
        start_from(network, runs / recipe.start)
    if recipe.pretrained is not None:
        network.backbone.load_state_dict(faceres_weights())


def start_facts(run: Path) -> dict[str, Any]:
    """What a run that starts from another one remembers of it: what it has learned from, and its weights' hash.

    Raises:
        CheckpointError: that run isn't finished.
    """
    return {"start_data": learned_from(read_record(run)), "start_sha256": sha256_of(run / WEIGHTS)}


def start_from(network: AgeNetwork, run: Path) -> None:
    """Give a network the trained weights of a finished run.

    Raises:
        CheckpointError: the run isn't finished, or its network is another.
    """
    weights = load_run(run, AgeRecipe)[1]
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"{run} has another network; choose another recipe to start from") from error


def size_at(recipe: AgeRecipe, progress: float) -> int:
    """The input size at a point of the run, progress in [0, 1)."""
    total = sum(stage.share for stage in recipe.stages)
    passed = 0.0
    for stage in recipe.stages:
        passed += stage.share / total
        if progress < passed:
            return stage.size
    return recipe.stages[-1].size


@torch.no_grad()
def validation_mae(network: nn.Module, crops: AnyCrops, split: Split, fabric: Fabric, *, masked: bool = False) -> float:
    """Mean absolute error of a split in years, under the paper's mask or not; NaN if the split is empty."""
    network.eval()
    total, count = 0.0, 0
    indices = crops.indices(split)
    for first in range(0, len(indices), 64):
        chosen = indices[first : first + 64]
        faces = crops.take(chosen)
        if masked:
            faces[:, margin_mask(PAPER_WINDOW)] = 0
        with fabric.autocast():
            logits: Tensor = network(torch.from_numpy(faces).to(fabric.device))
        estimates = expected_age(logits.float().softmax(dim=1).cpu().numpy())
        total += float(np.abs(estimates - crops.ages[chosen]).sum())
        count += len(chosen)
    return total / count if count else math.nan


def load_age_network(folder: Path) -> tuple[AgeRecipe, AgeNetwork]:
    """The trained network of a run folder, in evaluation mode.

    Raises:
        CheckpointError: the folder holds no finished run of an age network.
    """
    recipe, tensors = load_run(folder, AgeRecipe)
    network = build_age_network(recipe)
    network.load_state_dict(tensors)
    return recipe, network.eval()
