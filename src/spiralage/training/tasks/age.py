"""``spiralage train age recipes/NAME.toml``: train an age network on aligned crops."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from spiralage.datasets.crops import Crops, Indices, spread
from spiralage.datasets.joined import JOIN, AnyCrops
from spiralage.datasets.manifest import Split
from spiralage.distribution import expected_age
from spiralage.errors import CheckpointError, TrainingError
from spiralage.files import sha256_of
from spiralage.networks.age import AgeNetwork
from spiralage.networks.backbones import make_backbone
from spiralage.networks.heads import make_head
from spiralage.networks.views import CentredSquare
from spiralage.occlusion.occluders import OCCLUDERS
from spiralage.occlusion.window import PAPER_WINDOW, margin_mask
from spiralage.training.augment import augment_told, compress_some, cover_some, make_augmentation
from spiralage.training.covers import cover_faces
from spiralage.training.fabric import Device, Precision, make_fabric
from spiralage.training.loop import (
    Progress,
    batch_at,
    channels_last,
    check_weights,
    measured,
    no_progress,
    seed_step,
    share_of,
)
from spiralage.training.optimisers import clip_gradients, make_average, make_optimiser, set_learning_rate
from spiralage.training.phases import Phase, make_phases, phase_at
from spiralage.training.pretrained import learned_from, start_published
from spiralage.training.recipes import AgeRecipe
from spiralage.training.run import WEIGHTS, Run, fill, load_run, read_record, resume
from spiralage.training.teaching import ANSWERS, Teacher, read_answers, teacher_facts, write_answers
from spiralage.training.telling import blanked, tell_faces, told_for_validation
from spiralage.types import Mask, Pixels

Shown: TypeAlias = Pixels | Mask
"""Faces, or what is told of them."""
BATCH = 64
"""Pictures looked at together where nothing is learned."""
MOST_HIDDEN = 600
"""Validation faces, at most, that are looked at under occluders."""


def build_age_network(recipe: AgeRecipe) -> AgeNetwork:
    """The untrained network of a recipe."""
    settings = recipe.network
    backbone = make_backbone(settings.backbone, settings.dropout, settings.width)
    head = make_head(recipe.loss.name, backbone.width, **recipe.loss.weights)
    views = CentredSquare(crop=settings.crop, pool=settings.pool)
    return AgeNetwork(views, backbone, head, mirror=settings.mirror, told_mask=settings.told_mask)


def train_age(
    recipe: AgeRecipe,
    crops: AnyCrops,
    folder: Path,
    *,
    pretraining: Mapping[str, Crops] = MappingProxyType({}),
    device: Device = "auto",
    devices: int = 1,
    precision: Precision = "auto",
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
        precision: how precisely to compute, see ``make_fabric``.
        minutes: stop with a checkpoint after this time.
        progress: told (step, steps, losses) after each step; before, (crops, crops in all, nothing) as a teacher
            answers.

    Returns:
        True when the training is complete, False when it ran out of time.

    Raises:
        CheckpointError: the folder holds a run of another recipe or of other data, or the run that this
            one starts from or is taught by, beside it, isn't finished or has another network.
        TrainingError: the loss or the weights are no numbers any more.
        OutputError: the run's folder can't be written.
    """
    fabric = make_fabric(device, devices, precision)
    crops.check_data(JOIN.join(recipe.sets))
    phases = make_phases(recipe, crops, pretraining)
    facts = _facts(recipe, phases, folder.parent)
    run = Run(folder, recipe, fabric.device.type, minutes, writes=fabric.is_global_zero)
    if run.is_complete:
        run.check_finished(facts)
        return True
    torch.manual_seed(recipe.seed)
    network = channels_last(build_age_network(recipe))
    if not run.checkpoint.exists():
        _start(network, recipe, folder.parent, crops)
    average = make_average(network, recipe.ema).to(fabric.device)
    optimiser = make_optimiser(recipe.optimiser, network)
    model, optimiser = fabric.setup(network, optimiser)
    for method in ("loss", "taught_loss"):
        model.mark_forward_method(method)  # processes that share a batch meet there
    parts: dict[str, nn.Module] = {"network": network, "average": average}
    optimisers = {"optimiser": optimiser}
    augment = make_augmentation(recipe.augmentation)
    steps = sum(phase.steps for phase in phases)
    start = resume(run, parts, optimisers, facts)
    teacher = _teacher(recipe, crops, folder, fabric, progress)
    network.train()
    mae = math.nan  # measured at the last step at the latest

    for step in range(start, steps):
        phase, within = phase_at(phases, step)
        seed_step(recipe.seed, step, fabric.global_rank)
        set_learning_rate(optimiser, recipe.optimiser, within, phase.steps)
        chosen = share_of(batch_at(phase.train, within, recipe.batch, recipe.seed), fabric)
        # A generator of its own: a recipe without drawn occluders repeats what it did before there were any.
        rng = np.random.default_rng((recipe.seed, step, fabric.global_rank))
        size = size_at(recipe, within / phase.steps)
        pictures = _pictures(network, recipe, phase.crops, chosen, size, augment, rng, fabric)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        ages = torch.from_numpy(phase.crops.ages[chosen]).to(fabric.device)
        with fabric.autocast():
            if teacher is None:
                losses = {"loss": model.loss(pictures, ages)}
            else:
                losses = teacher.losses(model, pictures, ages, chosen)
        values = measured(losses, step + 1, fabric)
        optimiser.zero_grad(set_to_none=True)
        fabric.backward(losses["loss"])
        clip_gradients(network, recipe.optimiser)
        optimiser.step()
        average.update_parameters(network)
        done, within = step + 1, within + 1
        progress(done, steps, values)
        run.note(done, values | {"learning_rate": optimiser.param_groups[0]["lr"]})
        if within % phase.every(1) == 0 or within == phase.steps:
            for told in (network, cast(AgeNetwork, average.module)):  # the average is what is kept
                told.head.after_epoch(seen_features(told, phase, fabric))
        if within % phase.every(recipe.validate_every_epochs) == 0 or within == phase.steps:
            mae = validation_mae(average.module, phase.crops, "val", fabric, masked=recipe.masked == 1)
            if math.isnan(mae) and len(phase.crops.indices("val")):
                check_weights(parts, done)  # says which, where it is them
                raise TrainingError(done, "val_mae is nan")
            run.log(done, values | {"val_mae": mae} | _hidden_mae(recipe, average.module, phase.crops, fabric))
        network.train()
        stop = run.out_of_time(fabric)
        if done < steps and (run.due_to_save(done / phase.every(1)) or stop):
            run.save(parts, optimisers, done, facts)
        if done < steps and stop:
            return False
    images = {"train_images": sum(len(phase.train) for phase in phases)}
    rounded = {"val_mae": None if math.isnan(mae) else round(mae, 4)}
    run.finish(average.module, {"steps": steps, **rounded, **facts, **images}, step=steps)
    if teacher is not None and fabric.is_global_zero:
        (folder / ANSWERS).unlink(missing_ok=True)
    return True


def _pictures(
    network: AgeNetwork,
    recipe: AgeRecipe,
    crops: AnyCrops,
    chosen: Indices,
    size: int,
    augment: nn.Module,
    rng: np.random.Generator,
    fabric: Fabric,
) -> Tensor:
    """What the network sees in a step, (N, 3, size, size) in [0, 1]; four channels if it is told what is hidden."""
    faces, points, jpeg = crops.take(chosen), crops.full_landmarks(chosen), recipe.augmentation.jpeg
    if not network.told_mask:
        of_the_rest = recipe.masked / (1 - sum(recipe.drawn.values())) if recipe.masked else 0.0
        covered, has_one = cover_faces(faces, points, recipe.drawn, rng)
        shown = torch.from_numpy(compress_some(covered, jpeg)).to(fabric.device)
        pictures = augment(network.views(shown, size=size, place=network.views.random_place()))
        return cover_some(pictures, network.views, of_the_rest, torch.from_numpy(has_one))
    told = tell_faces(faces, crops.inside(chosen), points, recipe.occluders, recipe.telling, rng)
    black = (told.masks & told.blank[:, None, None])[..., None]
    shown = torch.from_numpy(np.where(black, np.uint8(0), compress_some(told.faces, jpeg))).to(fabric.device)
    masks = torch.from_numpy(told.masks).to(fabric.device)
    seen = network.seen(shown, masks, size=size, place=network.views.random_place())
    return blanked(augment_told(augment, seen), told.blank)


def _facts(recipe: AgeRecipe, phases: Sequence[Phase], runs: Path) -> dict[str, Any]:
    """What a run's checkpoint and record say of where its weights come from."""
    facts: dict[str, Any] = {"data": [phase.name for phase in phases], "pretrained": recipe.pretrained or ""}
    if recipe.masked:
        facts["masked"] = recipe.masked
    if recipe.teaching is not None:
        facts |= teacher_facts(runs / recipe.teaching.teacher)
    return facts if recipe.start is None else facts | start_facts(runs / recipe.start)


def _teacher(recipe: AgeRecipe, crops: AnyCrops, folder: Path, fabric: Fabric, progress: Progress) -> Teacher | None:
    """The answers of the recipe's teacher, if it has one; made now where they aren't there yet."""
    if recipe.teaching is None:
        return None
    run, path = folder.parent / recipe.teaching.teacher, folder / ANSWERS
    weights = sha256_of(run / WEIGHTS)
    write_answers(path, load_age_network(run)[1], weights, crops, fabric, lambda done, total: progress(done, total, {}))
    return read_answers(path, recipe.teaching, weights, crops)


@torch.no_grad()
def seen_features(network: AgeNetwork, phase: Phase, fabric: Fabric) -> Iterator[tuple[Tensor, Tensor]]:
    """What the backbone says of all training pictures as they are, and their ages, batch after batch."""
    network.eval()
    for start in range(0, len(phase.train), phase.batch):
        chosen = phase.train[start : start + phase.batch]
        with fabric.autocast():
            pictures = network.seen(torch.from_numpy(phase.crops.take(chosen)).to(fabric.device))
            features = network.features(pictures).float()
        yield features, torch.from_numpy(phase.crops.ages[chosen]).to(fabric.device)


def _start(network: AgeNetwork, recipe: AgeRecipe, runs: Path, crops: AnyCrops) -> None:
    if recipe.start is not None:
        start_from(network, runs / recipe.start)
    if recipe.pretrained is not None:
        some = torch.from_numpy(crops.take(crops.indices("train")[:BATCH]))
        start_published(network, recipe.pretrained, network.views(some))


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


def validation_mae(network: nn.Module, crops: AnyCrops, split: Split, fabric: Fabric, *, masked: bool = False) -> float:
    """Mean absolute error of a split in years, under the paper's mask or not; NaN if the split is empty.

    As in use, a network that is told what is hidden is told what lies beyond the photo, and sees 0 there.
    """
    mask = margin_mask(PAPER_WINDOW) & masked

    def show(chosen: Indices) -> tuple[Shown, ...]:
        hidden = np.broadcast_to(mask, (len(chosen), *mask.shape))
        told = getattr(network, "told_mask", False)
        if told:
            hidden = hidden | ~crops.inside(chosen)
        faces = np.where(hidden[..., None], np.uint8(0), crops.take(chosen))
        return (faces, hidden) if told else (faces,)

    return _mae(network, crops, crops.indices(split), show, fabric)


def _hidden_mae(recipe: AgeRecipe, network: nn.Module, crops: AnyCrops, fabric: Fabric) -> dict[str, float]:
    """Mean absolute error in years of validation faces under the recipe's occluders, of a network that is told."""
    kinds = [name for name in OCCLUDERS if recipe.occluders.get(name)]
    indices = crops.indices("val")
    if not recipe.network.told_mask or not kinds or not len(indices):
        return {}
    indices = spread(indices, MOST_HIDDEN)
    return {"val_mae_hidden": _mae(network, crops, indices, partial(told_for_validation, crops, kinds=kinds), fabric)}


@torch.no_grad()
def _mae(
    network: nn.Module,
    crops: AnyCrops,
    indices: Indices,
    show: Callable[[Indices], tuple[Shown, ...]],
    fabric: Fabric,
) -> float:
    """Mean absolute error of faces in years, NaN if there are none; ``show`` gives what the network is asked."""
    network.eval()
    total = 0.0
    for first in range(0, len(indices), BATCH):
        chosen = indices[first : first + BATCH]
        shown = [torch.from_numpy(array).to(fabric.device) for array in show(chosen)]
        with fabric.autocast():
            probabilities: Tensor = network(*shown)
        total += float(np.abs(expected_age(probabilities.cpu().numpy()) - crops.ages[chosen]).sum())
    return total / len(indices) if len(indices) else math.nan


def load_age_network(folder: Path) -> tuple[AgeRecipe, AgeNetwork]:
    """The trained network of a run folder, in evaluation mode.

    Raises:
        CheckpointError: the folder holds no finished run of an age network.
    """
    recipe, tensors = load_run(folder, AgeRecipe)
    return recipe, fill(build_age_network(recipe), tensors, folder)
