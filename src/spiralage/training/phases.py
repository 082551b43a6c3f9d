"""The phases of an age training: pre-training on other data first, each phase with its own schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from spiralage.datasets.crops import Crops, Indices
from spiralage.datasets.joined import JOIN, AnyCrops
from spiralage.training.recipes import AgeRecipe


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


def phase_at(phases: Sequence[Phase], step: int) -> tuple[Phase, int]:
    """The phase that a step of the run is in, and its number within it."""
    for phase in phases[:-1]:
        if step < phase.steps:
            return phase, step
        step -= phase.steps
    return phases[-1], step
