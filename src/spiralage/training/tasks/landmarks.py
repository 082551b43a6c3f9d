"""``spiralage train landmarks recipes/NAME.toml``: train a landmark network on aligned crops."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from spiralage.datasets.crops import Indices, spread
from spiralage.datasets.joined import JOIN, AnyCrops
from spiralage.errors import DatasetError, TrainingError
from spiralage.faces.points68 import errors_percent, part_errors
from spiralage.networks.landmarks import LandmarkNetwork
from spiralage.training.fabric import Device, Precision, make_fabric
from spiralage.training.landmark_faces import draw_faces, fixed_faces, with_points
from spiralage.training.loop import Progress, batch_at, channels_last, measured, no_progress, seed_step
from spiralage.training.optimisers import clip_gradients, make_average, make_optimiser, set_learning_rate
from spiralage.training.recipes import LandmarkRecipe
from spiralage.training.run import Run, fill, load_run, resume
from spiralage.types import Doubles

VALIDATED = 256
"""Validation faces that are looked at, evenly spread."""
TOGETHER = 32
"""So many at once."""


def train_landmarks(
    recipe: LandmarkRecipe,
    crops: AnyCrops,
    folder: Path,
    *,
    device: Device = "auto",
    precision: Precision = "auto",
    minutes: float | None = None,
    finish: bool = False,
    progress: Progress = no_progress,
) -> bool:
    """Train, or go on training, the landmark network of a recipe.

    Killed at any moment, the same call goes on from the last checkpoint and ends with the same weights as an
    undisturbed run.

    Args:
        recipe: what to train and how.
        crops: the aligned crops of the recipe's data sets, with their landmarks: dlib's, of the clean pictures. Those
            without all 68 are left out.
        folder: the run's folder; gets weights.safetensors when done.
        device, precision, minutes, progress: as in ``train_age``.
        finish: when the minutes are over, the training is complete.

    Returns:
        True when the training is complete, False when it ran out of time.

    Raises:
        CheckpointError: the folder holds a run of another recipe or of other data.
        DatasetError: the crops are older than their landmarks, or too few for a batch.
        TrainingError: the loss or the weights are no numbers any more.
        OutputError: the run's folder can't be written.
    """
    fabric = make_fabric(device, precision=precision)
    crops.check_data(JOIN.join(recipe.sets))
    facts: dict[str, Any] = {"data": [JOIN.join(recipe.sets)], "pretrained": ""}
    run = Run(folder, recipe, fabric.device.type, minutes, finishes=finish)
    if run.is_complete:
        run.check_finished(facts)
        return True
    train, validation = (with_points(crops, indices) for indices in (crops.indices("train"), crops.indices("val")))
    if len(train) < recipe.batch:
        raise DatasetError(f"{len(train)} crops with 68 landmarks don't fill a batch of {recipe.batch}; lower batch")
    torch.manual_seed(recipe.seed)
    network = channels_last(build_landmark_network(recipe)).to(fabric.device)
    average = make_average(network, recipe.ema).to(fabric.device)
    optimiser = make_optimiser(recipe.optimiser, network)
    model, optimiser = fabric.setup(network, optimiser)
    model.mark_forward_method("losses")
    parts: dict[str, nn.Module] = {"network": network, "average": average}
    optimisers = {"optimiser": optimiser}
    epoch = len(train) / recipe.batch
    steps = max(1, round(recipe.epochs * epoch))
    every = max(1, round(recipe.validate_every_epochs * epoch))
    errors: dict[str, float] = {}
    done = resume(run, parts, optimisers, facts)

    for step in range(done, steps):
        network.train()
        seed_step(recipe.seed, step)
        set_learning_rate(optimiser, recipe.optimiser, step, steps)
        chosen = batch_at(train, step, recipe.batch, recipe.seed)
        faces = draw_faces(crops, chosen, recipe, np.random.default_rng((recipe.seed, step)))
        pictures = network.pictures(torch.from_numpy(faces.pictures).to(fabric.device))
        points = torch.from_numpy(faces.points).float().to(fabric.device)
        with fabric.autocast():
            losses = model.losses(pictures.contiguous(memory_format=torch.channels_last), points)
        losses = {"loss": losses["maps"] + recipe.points * losses["points"], **losses}
        values = measured(losses, step + 1, fabric)
        optimiser.zero_grad(set_to_none=True)
        fabric.backward(losses["loss"])
        clip_gradients(network, recipe.optimiser)
        optimiser.step()
        average.update_parameters(network)
        done = step + 1
        progress(done, steps, values)
        run.note(done, values | {"learning_rate": optimiser.param_groups[0]["lr"]})
        stop = run.out_of_time(fabric)
        ends = done == steps or (stop and finish)
        if done % every == 0 or ends:
            errors = validation_errors(average.module, crops, validation, recipe, fabric)
            if not all(map(math.isfinite, errors.values())) and len(validation):
                raise TrainingError(done, "a validation error is no number")
            run.log(done, values | errors)
        if ends:
            break
        if run.due_to_save(done / epoch) or stop:
            run.save(parts, optimisers, done, facts)
        if stop:
            return False
    rounded = {name: round(value, 3) for name, value in errors.items() if math.isfinite(value)}
    run.finish(average.module, {"steps": done, **rounded, **facts, "train_images": len(train)}, step=done)
    return True


def build_landmark_network(recipe: LandmarkRecipe) -> LandmarkNetwork:
    """The untrained network of a recipe."""
    return LandmarkNetwork(recipe.network.width, recipe.network.stacks)


@torch.no_grad()
def validation_errors(
    network: nn.Module, crops: AnyCrops, indices: Indices, recipe: LandmarkRecipe, fabric: Fabric
) -> dict[str, float]:
    """How far the points of some faces are from where they should be, in % of the outer-eye distance.

    Args:
        network: the average that is kept.
        indices: positions of crops with 68 points; ``VALIDATED`` of them are looked at.

    Returns:
        "val_eyes", "val_nose", … of clean faces, "hidden_eyes", … of the same under the recipe's occluders, where it
        has any; NaN without faces.
    """
    network.eval()
    chosen = spread(indices, VALIDATED)
    errors: dict[str, float] = {}
    for name, occluded in {"val": False, "hidden": True}.items():
        if occluded and not sum(recipe.occluders.values()):
            continue
        found: list[Doubles] = []
        for start in range(0, len(chosen), TOGETHER):
            faces = fixed_faces(crops, chosen[start : start + TOGETHER], recipe, occluded=occluded)
            with fabric.autocast():
                points, _ = network(torch.from_numpy(faces.pictures).to(fabric.device))
            found.append(errors_percent(points.double().cpu().numpy(), faces.points))
        means = part_errors(np.concatenate(found) if found else np.empty((0, 68)))
        errors |= {f"{name}_{part}": value for part, value in means.items()}
    return errors


def load_landmark_network(folder: Path) -> tuple[LandmarkRecipe, LandmarkNetwork]:
    """The trained network of a run folder, in evaluation mode.

    Raises:
        CheckpointError: the folder holds no finished run of a landmark network.
    """
    recipe, tensors = load_run(folder, LandmarkRecipe)
    return recipe, fill(build_landmark_network(recipe), tensors, folder)
