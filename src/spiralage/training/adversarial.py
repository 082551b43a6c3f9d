"""What every adversarial training shares: the discriminator's step, the generator's step, checkpoints, the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from spiralage.datasets.crops import Indices
from spiralage.datasets.joined import JOIN, AnyCrops
from spiralage.occlusion.mean_shape import mirror_landmarks
from spiralage.training.loop import Progress, batch_at, measured, seed_step
from spiralage.training.optimisers import clip_gradients, make_average, make_optimiser, set_learning_rate
from spiralage.training.recipes import ImagineRecipe, SliceRecipe
from spiralage.training.run import Run, resume
from spiralage.types import Doubles, Mask, Pixels

LOG_EVERY = 50  # steps
SHOW_EVERY = 500  # steps
SHOWN = 4  # pictures of a batch

COLLAPSED = 0.25
"""A generator whose pictures differ from each other less than this part of what real ones do makes one face for all."""

log = logging.getLogger(__name__)


class Round(Protocol):
    """One step: what was generated, and what is to be said of it."""

    def discriminator_loss(self) -> Tensor:
        """How badly the discriminator tells real from generated; reaches the discriminator alone."""
        ...

    def losses(self) -> dict[str, Tensor]:
        """The generator's losses, unweighted; asked after the discriminator's step."""
        ...

    def made(self) -> tuple[Tensor, Tensor]:
        """What was generated, and what is really there, (N, 3, S, S) float in [0, 1]; what was given is 0 in both."""
        ...

    def sample(self) -> Tensor:
        """Pictures to look at, (N, 3, S, 3·S) float in [0, 1]: what was given, what was made of it, the real one."""
        ...


@dataclass(frozen=True)
class Shown:
    """A step's crops.

    Args:
        pictures: (N, 256, 256, 3) uint8 RGB.
        landmarks: (N, 68, 2) float64, (x, y) in crop pixels.
        inside: (N, 256, 256) bool, True where a crop shows its photo and not what was put beyond it: nothing is to be
            learned from the rest.
    """

    pictures: Pixels
    landmarks: Doubles
    inside: Mask

    def mirrored(self, rng: np.random.Generator) -> Shown:
        """The same with about half of the faces mirrored."""
        flipped = (rng.random(len(self.pictures)) < 0.5)[:, None, None]
        return Shown(
            np.where(flipped[..., None], self.pictures[:, :, ::-1], self.pictures),
            np.where(flipped, mirror_landmarks(self.landmarks), self.landmarks),
            np.where(flipped, self.inside[:, :, ::-1], self.inside),
        )


def show(crops: AnyCrops, chosen: Indices) -> Shown:
    """The crops at these positions."""
    return Shown(crops.take(chosen), crops.full_landmarks(chosen), crops.inside(chosen))


Watch: TypeAlias = Callable[[nn.Module, int, float], None]
"""Told the generator's moving average, the steps done and the minutes of training, every ``WATCH_EVERY_S``."""
WATCH_EVERY_S = 1800


def no_watch(average: nn.Module, step: int, minutes: float) -> None:
    """Look at nothing."""


Play: TypeAlias = Callable[[Shown, int], Round]
"""Generates from a step's crops, and the step, its round."""


def train_adversarially(
    recipe: ImagineRecipe | SliceRecipe,
    crops: AnyCrops,
    run: Run,
    fabric: Fabric,
    generator: nn.Module,
    discriminator: nn.Module,
    play: Play,
    progress: Progress,
    facts: Mapping[str, Any],
    watch: Watch = no_watch,
) -> bool:
    """Train, or go on training, a generator against a discriminator, on the training split.

    Args:
        recipe: what to train and how.
        crops: the aligned crops.
        run: its folder; gets weights.safetensors, the generator's moving average, when done.
        fabric: where and how precisely to compute.
        generator, discriminator: the networks; moved to the device.
        play: generates with the generator.
        progress: told (step, steps, losses) after each step.
        facts: for run.json.
        watch: looks how the generator does, every half hour and at the end.

    Returns:
        True when the training is complete, False when it ran out of time.
    """
    average = make_average(generator, recipe.ema).to(fabric.device)
    _, generator_optimiser = fabric.setup(generator, make_optimiser(recipe.generator, generator))
    _, discriminator_optimiser = fabric.setup(discriminator, make_optimiser(recipe.discriminator, discriminator))
    judging = [p for p in discriminator.parameters() if p.requires_grad]  # what is fixed in it stays so
    parts: dict[str, nn.Module] = {"generator": generator, "discriminator": discriminator, "average": average}
    optimisers = {"generator_optimiser": generator_optimiser, "discriminator_optimiser": discriminator_optimiser}

    train = crops.indices("train")
    steps = max(1, round(recipe.epochs * len(train) / recipe.batch))
    start = resume(run, parts, optimisers)
    watched = run.seconds // WATCH_EVERY_S
    generator.train()

    for step in range(start, steps):
        seed_step(recipe.seed, step)
        set_learning_rate(generator_optimiser, recipe.generator, step, steps)
        set_learning_rate(discriminator_optimiser, recipe.discriminator, step, steps)
        chosen = batch_at(train, step, recipe.batch, recipe.seed)

        with fabric.autocast():
            round_ = play(show(crops, chosen), step)
            doubt = round_.discriminator_loss()
        values = measured({"discriminator": doubt}, step + 1, fabric)
        discriminator_optimiser.zero_grad(set_to_none=True)
        fabric.backward(doubt)
        clip_gradients(discriminator, recipe.discriminator)
        discriminator_optimiser.step()

        _learns(judging, False)
        with fabric.autocast():
            losses = round_.losses()
            loss = weigh(losses, recipe)
        values = measured(losses, step + 1, fabric) | values
        generator_optimiser.zero_grad(set_to_none=True)
        fabric.backward(loss)
        clip_gradients(generator, recipe.generator)
        generator_optimiser.step()
        _learns(judging, True)
        average.update_parameters(generator)

        done = step + 1
        stop = run.out_of_time(fabric)
        if stop and run.finishes:
            steps = done
        progress(done, steps, values)
        if done % LOG_EVERY == 0 or done == steps:
            run.log(done, values | look_for_collapse(*round_.made(), f"{recipe.name}, step {done}"))
        if done % SHOW_EVERY == 0 or done == steps:
            run.show_picture(done, "sample", as_column(round_.sample()))
        if done == steps or run.seconds // WATCH_EVERY_S > watched:
            watched = run.seconds // WATCH_EVERY_S
            watch(average.module, done, run.seconds / 60)
        if done == steps:
            break
        if run.due_to_save(done * recipe.batch / len(train)) or stop:
            run.save(parts, optimisers, done)
        if stop:
            return False
    counted = {"steps": steps, "train_images": len(train), "data": [JOIN.join(recipe.sets)], "pretrained": ""}
    run.finish(average.module, counted | dict(facts), step=steps)
    return True


def _learns(parameters: Sequence[nn.Parameter], whether: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(whether)


def weigh(parts: dict[str, Tensor], recipe: ImagineRecipe | SliceRecipe) -> Tensor:
    """The weighted sum of the generator's losses."""
    weights = recipe.loss.model_dump()
    return torch.stack([weights[name] * part for name, part in parts.items()]).sum()


def look_for_collapse(generated: Tensor, real: Tensor, where: str) -> dict[str, float]:
    """How different generated pictures are, and real ones; warns if the generator has collapsed.

    Args:
        generated, real: (N, 3, S, S) float in [0, 1].
        where: for the warning.

    Returns:
        ``diversity`` and ``real_diversity`` (see there), and ``collapsed``, 1 or 0. For the log.
    """
    values = {"diversity": diversity(generated), "real_diversity": diversity(real)}
    collapsed = (
        len(generated) > 1 and not values["diversity"] >= COLLAPSED * values["real_diversity"]
    )  # not a number, too
    if collapsed:
        log.warning("%s: pictures hardly differ (%.4f, real ones %.4f): collapsed?", where, *values.values())
    return values | {"collapsed": float(collapsed)}


def diversity(pictures: Tensor) -> float:
    """How different the pictures of a batch are: the mean over pixels of the standard deviation between them."""
    return float(pictures.detach().float().std(dim=0, correction=0).mean())


def as_column(pictures: Tensor) -> Tensor:
    """The first ``SHOWN`` of (N, 3, H, W) pictures one below the other, (3, SHOWN·H, W)."""
    return torch.cat(list(pictures[:SHOWN].detach().float()), dim=1).clamp(0, 1).cpu()
