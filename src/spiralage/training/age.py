"""``spiralage train age recipes/NAME.toml``: train an age network on aligned crops."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from spiralage.age.backbones import AgeNetwork, make_backbone
from spiralage.age.distribution import expected_age
from spiralage.datasets.crops import Crops
from spiralage.datasets.manifest import Split
from spiralage.errors import CheckpointError
from spiralage.training.augment import compress_some, cover_some, make_augmentation, random_view
from spiralage.training.checkpoint import save_checkpoint
from spiralage.training.config import AgeRecipe
from spiralage.training.loop import (
    Device,
    Run,
    batch_at,
    channels_last,
    load_run,
    make_average,
    make_fabric,
    make_optimiser,
    resume,
    resume_facts,
    seed_step,
    set_learning_rate,
)
from spiralage.training.losses import make_age_loss
from spiralage.training.pretrained import faceres_weights

Progress = Callable[[int, int, dict[str, float]], None]


def no_progress(step: int, steps: int, values: dict[str, float]) -> None:
    """Tell nobody."""


def build_age_network(recipe: AgeRecipe) -> AgeNetwork:
    """The untrained network of a recipe."""
    settings = recipe.network
    backbone = make_backbone(settings.backbone, settings.dropout)
    return AgeNetwork(backbone, crop=settings.crop, pool=settings.pool)


def train_age(
    recipe: AgeRecipe,
    crops: Crops,
    folder: Path,
    *,
    device: Device = "auto",
    minutes: float | None = None,
    progress: Progress = no_progress,
) -> bool:
    """Train, or go on training, the network of a recipe.

    Killed at any moment, the same call goes on from the last checkpoint and ends with the same weights
    as an undisturbed run.

    Args:
        recipe: what to train and how.
        crops: the aligned crops of the recipe's data set.
        folder: the run's folder; gets weights.safetensors when done.
        device: where to compute.
        minutes: stop with a checkpoint after this time.
        progress: told (step, steps, losses) after each step.

    Returns:
        True when the training is complete, False when it ran out of time.

    Raises:
        CheckpointError: the folder holds a run of another recipe, or the run that this one starts from,
            beside it, isn't finished or has another network.
    """
    fabric = make_fabric(device)
    run = Run(folder, recipe, fabric.device.type, minutes)
    if run.is_complete:
        return True
    torch.manual_seed(recipe.seed)
    network = channels_last(build_age_network(recipe))
    if recipe.start is not None:
        start_from(network, folder.parent / recipe.start)
    if recipe.pretrained is not None:
        network.backbone.load_state_dict(faceres_weights())
    average = make_average(network, recipe.ema).to(fabric.device)
    optimiser = make_optimiser(recipe.optimiser, network)
    model, optimiser = fabric.setup(network, optimiser)
    parts: dict[str, nn.Module] = {"network": network, "average": average}

    train = crops.indices("train")
    steps = max(1, round(recipe.epochs * len(train) / recipe.batch))
    validate_every = max(1, round(recipe.validate_every_epochs * len(train) / recipe.batch))
    augment, age_loss = make_augmentation(recipe.augmentation), make_age_loss(recipe.loss)
    ages = torch.tensor([row.age for row in crops.rows])
    optimisers = {"optimiser": optimiser}
    start = resume(run, parts, optimisers)
    network.train()
    mae = math.nan  # measured at the last step at the latest

    for step in range(start, steps):
        seed_step(recipe.seed, step)
        set_learning_rate(optimiser, recipe.optimiser, step, steps)
        chosen = batch_at(train, step, recipe.batch, recipe.seed)
        faces = cover_some(compress_some(crops.take(chosen), recipe.augmentation.jpeg), recipe.masked)
        pictures = random_view(
            torch.from_numpy(faces).to(fabric.device), recipe.network.crop, size_at(recipe, step / steps)
        )
        pictures = augment(pictures).contiguous(memory_format=torch.channels_last)
        with fabric.autocast():
            logits = network.backbone(network.normalise(pictures))
        loss = age_loss(logits, ages[chosen].to(fabric.device))
        optimiser.zero_grad(set_to_none=True)
        fabric.backward(loss)
        if recipe.optimiser.clip_norm is not None:
            fabric.clip_gradients(model, optimiser, max_norm=recipe.optimiser.clip_norm)
        optimiser.step()
        average.update_parameters(network)
        progress(step + 1, steps, {"loss": loss.item()})

        done = step + 1
        if done % validate_every == 0 or done == steps:
            mae = validation_mae(average.module, crops, "val", fabric)
            run.log(done, {"loss": loss.item(), "val_mae": mae})
            network.train()
        if done < steps and (run.due_to_save() or run.out_of_time()):
            save_checkpoint(run.checkpoint, parts, optimisers, resume_facts(run, done))
            if run.out_of_time():
                return False
    run.finish(average.module, {"steps": steps, "val_mae": round(mae, 4), "train_images": len(train)})
    return True


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
def validation_mae(network: nn.Module, crops: Crops, split: Split, fabric: Fabric) -> float:
    """Mean absolute error of a split in years."""
    network.eval()
    total, count = 0.0, 0
    for pictures, rows in crops.batches(split, 64):
        with fabric.autocast():
            logits: Tensor = network(torch.from_numpy(pictures).to(fabric.device))
        estimates = expected_age(logits.float().softmax(dim=1).cpu().numpy())
        total += float(sum(abs(e - row.age) for e, row in zip(estimates, rows, strict=True)))
        count += len(rows)
    return total / max(count, 1)


def load_age_network(folder: Path) -> tuple[AgeRecipe, AgeNetwork]:
    """The trained network of a run folder, in evaluation mode.

    Raises:
        CheckpointError: the folder holds no finished run of an age network.
    """
    recipe, tensors = load_run(folder, AgeRecipe)
    network = build_age_network(recipe)
    network.load_state_dict(tensors)
    return recipe, network.eval()
