"""``spiralage train occlusion recipes/NAME.toml``: train the network that finds what hides a face."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from spiralage.datasets.joined import JOIN, AnyCrops
from spiralage.networks.occlusion import OcclusionNetwork
from spiralage.training.fabric import Device, Precision, make_fabric
from spiralage.training.loop import Progress, batch_at, channels_last, measured, no_progress, seed_step
from spiralage.training.occlusion_examples import training_examples, training_indices
from spiralage.training.occlusion_loss import soft_dice_loss, targets, weighted_cross_entropy
from spiralage.training.occlusion_validation import Validation, choose_threshold, validation_of
from spiralage.training.optimisers import clip_gradients, make_average, make_optimiser, set_learning_rate
from spiralage.training.recipes import OcclusionRecipe
from spiralage.training.run import Run, fill, load_run, resume


def build_occlusion_network(recipe: OcclusionRecipe) -> OcclusionNetwork:
    """The untrained network of a recipe."""
    return OcclusionNetwork(recipe.network.widths, recipe.network.blocks)


def train_occlusion(
    recipe: OcclusionRecipe,
    crops: AnyCrops,
    folder: Path,
    *,
    device: Device = "auto",
    precision: Precision = "auto",
    minutes: float | None = None,
    finish: bool = False,
    progress: Progress = no_progress,
) -> bool:
    """Train, or go on training, the network of a recipe.

    Killed at any moment, the same call goes on from the last checkpoint and ends with the same weights as an
    undisturbed run.

    Args:
        recipe: what to train and how.
        crops: the aligned crops of the recipe's sets, as one.
        folder: the run's folder; gets weights.safetensors when done, with the threshold that was chosen on validation
            faces among them.
        device, precision, minutes, progress: as in ``train_age``.
        finish: when the minutes are over, the training is complete.

    Returns:
        True when the training is complete, False when it ran out of time.

    Raises:
        CheckpointError: the folder holds a run of another recipe or of other data.
        TrainingError: the loss or the weights are no numbers any more.
        OutputError: the run's folder can't be written.
    """
    fabric = make_fabric(device, precision=precision)
    crops.check_data(JOIN.join(recipe.sets))
    run = Run(folder, recipe, fabric.device.type, minutes, finishes=finish)
    facts: dict[str, Any] = {"data": [JOIN.join(recipe.sets)], "pretrained": "", "kept_out": list(recipe.kept_out)}
    if run.is_complete:
        run.check_finished(facts)
        return True
    torch.manual_seed(recipe.seed)
    network = channels_last(build_occlusion_network(recipe)).to(fabric.device)
    average = make_average(network, recipe.ema).to(fabric.device)
    model, optimiser = fabric.setup(network, make_optimiser(recipe.optimiser, network))
    model.mark_forward_method("logits")
    parts: dict[str, nn.Module] = {"network": network, "average": average}
    train = training_indices(crops, recipe)
    per_epoch = max(1, len(train) // recipe.batch)
    steps = max(1, round(recipe.epochs * per_epoch))
    validation = validation_of(crops, recipe)
    start = resume(run, parts, {"optimiser": optimiser}, facts)

    for step in range(start, steps):
        network.train()
        seed_step(recipe.seed, step)
        set_learning_rate(optimiser, recipe.optimiser, step, steps)
        chosen = batch_at(train, step, recipe.batch, recipe.seed)
        shown = training_examples(crops, chosen, recipe, np.random.default_rng((recipe.seed, step)))
        with fabric.autocast():
            logits = model.logits(torch.from_numpy(shown.pictures).to(fabric.device))  # (N, 128, 128)
        losses = occlusion_losses(logits, torch.from_numpy(shown.known).to(fabric.device), recipe)
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
        if stop and run.finishes:
            steps = done
        if done % max(1, round(recipe.validate_every_epochs * per_epoch)) == 0 or done == steps:
            run.log(done, values | _validated(average.module, validation, fabric))
        if done == steps:
            break
        if run.due_to_save(done / per_epoch) or stop:
            run.save(parts, {"optimiser": optimiser}, done, facts)
        if stop:
            return False
    chosen_one = choose_threshold(average.module, validation, fabric)
    average.module.get_buffer("threshold").fill_(chosen_one.threshold)
    counted = {"steps": steps, "train_images": len(np.unique(train))}
    numbers = {name: None if math.isnan(value) else round(value, 4) for name, value in chosen_one._asdict().items()}
    run.finish(average.module, counted | facts | numbers, step=steps)
    return True


def occlusion_losses(logits: Tensor, known: Tensor, recipe: OcclusionRecipe) -> dict[str, Tensor]:
    """The loss and its parts.

    Args:
        logits: (N, S, S).
        known: (N, 256, 256) uint8, each a ``Known``.
        recipe: its ``loss`` weighs.
    """
    wanted = targets(known, logits.shape[-1], recipe.loss.person)
    logits = logits.float()
    cross_entropy = weighted_cross_entropy(logits, wanted, recipe.loss.doubt)
    dice = soft_dice_loss(logits, wanted)
    loss = recipe.loss.cross_entropy * cross_entropy + recipe.loss.dice * dice
    return {"loss": loss, "cross_entropy": cross_entropy, "dice": dice}


def _validated(network: nn.Module, validation: Validation, fabric: Fabric) -> dict[str, float]:
    """How the network does on validation faces at the threshold that it would be given now."""
    return choose_threshold(network, validation, fabric)._asdict()


def load_occlusion_network(folder: Path) -> tuple[OcclusionRecipe, OcclusionNetwork]:
    """The trained network of a run folder, in evaluation mode.

    Raises:
        CheckpointError: the folder holds no finished run of such a network.
    """
    recipe, tensors = load_run(folder, OcclusionRecipe)
    return recipe, fill(build_occlusion_network(recipe), tensors, folder)
