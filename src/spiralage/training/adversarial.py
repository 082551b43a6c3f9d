"""What every adversarial training shares: the critic's step, the painter's step, checkpoints, the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from spiralage.datasets.crops import Crops
from spiralage.training.loop import (
    Run,
    batch_at,
    clip_gradients,
    make_average,
    make_optimiser,
    resume,
    seed_step,
    set_learning_rate,
)
from spiralage.training.recipes import ImagineRecipe, SliceRecipe
from spiralage.training.tasks.age import Progress
from spiralage.types import Pixels

LOG_EVERY = 50  # steps
SHOW_EVERY = 500  # steps
SHOWN = 4  # pictures of a batch

COLLAPSED = 0.25
"""A painter whose pictures differ from each other less than this part of what real ones do paints one face for all."""

log = logging.getLogger(__name__)


class Turn(Protocol):
    """One step: what was painted, and what is to be said of it."""

    def critic_loss(self) -> Tensor:
        """How badly the critic tells real from painted; reaches the critic alone."""
        ...

    def losses(self) -> dict[str, Tensor]:
        """The painter's losses, unweighted; asked after the critic's step."""
        ...

    def made(self) -> tuple[Tensor, Tensor]:
        """What was painted, and what is really there, (N, 3, S, S) float in [0, 1]; what was given is 0 in both."""
        ...

    def sample(self) -> Tensor:
        """Pictures to look at, (N, 3, S, 3·S) float in [0, 1]: what was given, what was made of it, the real one."""
        ...


Play: TypeAlias = Callable[[Pixels, int], Turn]
"""Paints a step's crops: (N, 256, 256, 3) uint8 and the step → its turn."""


def train_adversarially(
    recipe: ImagineRecipe | SliceRecipe,
    crops: Crops,
    run: Run,
    fabric: Fabric,
    painter: nn.Module,
    critic: nn.Module,
    play: Play,
    progress: Progress,
    facts: Mapping[str, str],
) -> bool:
    """Train, or go on training, a painter against a critic, on the training split.

    Args:
        recipe: what to train and how.
        crops: the aligned crops.
        run: its folder; gets weights.safetensors, the painter's moving average, when done.
        fabric: where and how precisely to compute.
        painter, critic: the networks; moved to the device.
        play: paints with the painter.
        progress: told (step, steps, losses) after each step.
        facts: for run.json.

    Returns:
        True when the training is complete, False when it ran out of time.
    """
    average = make_average(painter, recipe.ema).to(fabric.device)
    _, painter_optimiser = fabric.setup(painter, make_optimiser(recipe.generator, painter))
    _, critic_optimiser = fabric.setup(critic, make_optimiser(recipe.critic, critic))
    parts: dict[str, nn.Module] = {"painter": painter, "critic": critic, "average": average}
    optimisers = {"painter_optimiser": painter_optimiser, "critic_optimiser": critic_optimiser}

    train = crops.indices("train")
    steps = max(1, round(recipe.epochs * len(train) / recipe.batch))
    start = resume(run, parts, optimisers)
    painter.train()

    for step in range(start, steps):
        seed_step(recipe.seed, step)
        set_learning_rate(painter_optimiser, recipe.generator, step, steps)
        set_learning_rate(critic_optimiser, recipe.critic, step, steps)
        faces = crops.take(batch_at(train, step, recipe.batch, recipe.seed))

        with fabric.autocast():
            turn = play(faces, step)
            doubt = turn.critic_loss()
        critic_optimiser.zero_grad(set_to_none=True)
        fabric.backward(doubt)
        clip_gradients(critic, recipe.critic)
        critic_optimiser.step()

        critic.requires_grad_(False)
        with fabric.autocast():
            losses = turn.losses()
            loss = weigh(losses, recipe)
        painter_optimiser.zero_grad(set_to_none=True)
        fabric.backward(loss)
        clip_gradients(painter, recipe.generator)
        painter_optimiser.step()
        critic.requires_grad_(True)
        average.update_parameters(painter)

        values = {name: part.item() for name, part in losses.items()} | {"critic": doubt.item()}
        done = step + 1
        progress(done, steps, values)
        if done % LOG_EVERY == 0 or done == steps:
            run.log(done, values | look_for_collapse(*turn.made(), f"{recipe.name}, step {done}"))
        if done % SHOW_EVERY == 0 or done == steps:
            run.show_picture(done, "sample", as_column(turn.sample()))
        stop = run.out_of_time(fabric)
        if done < steps and (run.due_to_save(done * recipe.batch / len(train)) or stop):
            run.save(parts, optimisers, done)
        if done < steps and stop:
            return False
    counted = {"steps": steps, "train_images": len(train), "data": [crops.data], "pretrained": ""}
    run.finish(average.module, counted | dict(facts))
    return True


def weigh(parts: dict[str, Tensor], recipe: ImagineRecipe | SliceRecipe) -> Tensor:
    """The weighted sum of the painter's losses."""
    weights = recipe.loss.model_dump()
    return torch.stack([weights[name] * part for name, part in parts.items()]).sum()


def look_for_collapse(painted: Tensor, real: Tensor, where: str) -> dict[str, float]:
    """How different painted pictures are, and real ones; warns if the painter has collapsed.

    Args:
        painted, real: (N, 3, S, S) float in [0, 1].
        where: for the warning.

    Returns:
        ``spread`` and ``real_spread`` (see there), and ``collapsed``, 1 or 0. For the log.
    """
    values = {"spread": spread(painted), "real_spread": spread(real)}
    collapsed = len(painted) > 1 and not values["spread"] >= COLLAPSED * values["real_spread"]  # not a number, too
    if collapsed:
        log.warning("%s: pictures hardly differ (%.4f, real ones %.4f): collapsed?", where, *values.values())
    return values | {"collapsed": float(collapsed)}


def spread(pictures: Tensor) -> float:
    """How different the pictures of a batch are: the mean over pixels of the deviation between them."""
    return float(pictures.detach().float().std(dim=0, correction=0).mean())


def as_column(pictures: Tensor) -> Tensor:
    """The first ``SHOWN`` of (N, 3, H, W) pictures one below the other, (3, SHOWN·H, W)."""
    return torch.cat(list(pictures[:SHOWN].detach().float()), dim=1).clamp(0, 1).cpu()
