"""Recipes of ``spiralage evaluate lopo``: leave one person out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from spiralage.errors import RecipeError
from spiralage.occlusion.occluders import OccluderName
from spiralage.training.recipes.age import Augmentation
from spiralage.training.recipes.age_losses import AgeLossRecipe, MeanVariance
from spiralage.training.recipes.base import Epochs, Name, Optimiser, Strict


class FineTuning(Strict):
    """How each fold's network goes on from the start network."""

    epochs: Epochs
    batch: int = Field(ge=1, le=65536)
    freeze: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="leading layers of the backbone that stay as they are",
    )
    optimiser: Optimiser
    loss: AgeLossRecipe = MeanVariance()
    augmentation: Augmentation = Augmentation()


class Candidate(Strict):
    """A setting of ``fine_tuning`` that inner folds may choose."""

    epochs: Epochs
    learning_rate: float = Field(gt=0, le=10)
    freeze: int = Field(ge=0, le=1000, description="fine_tuning's or more: that many layers' answers are kept")


class Block(Strict):
    """One block of the table: which faces the network was trained on, before and in the folds."""

    faces: Literal["unmasked", "masked"]
    start: Name = Field(description="name of the age recipe whose trained weights every fold starts from")


class LopoRecipe(Strict):
    """A recipe of ``spiralage evaluate lopo``."""

    name: Name
    estimator: str = Field(max_length=200, description="what the table calls it")
    seed: int = Field(ge=0, lt=2**63)
    mirror: bool = Field(default=False, description="average the answers for a picture and its mirror image")
    ablations: tuple[Name, ...] = Field(
        default=(), description="names of SliceGAN recipes whose trained networks restore too"
    )
    occluders: tuple[OccluderName, ...] = Field(default=("paper",), min_length=1, description="what hides in the test")
    fine_tuning: FineTuning
    candidates: tuple[Candidate, ...] = Field(
        default=(), description="settings in place of fine_tuning's; inner folds choose one for each fold"
    )
    blocks: tuple[Block, ...] = Field(min_length=1)

    @property
    def settings(self) -> tuple[FineTuning, ...]:
        """What inner folds choose from, or the one setting that there is."""
        own = self.fine_tuning
        made = [
            {
                "epochs": one.epochs,
                "freeze": one.freeze,
                "optimiser": own.optimiser.model_copy(update={"learning_rate": one.learning_rate}),
            }
            for one in self.candidates
        ]
        return tuple(own.model_copy(update=values) for values in made) or (own,)

    @model_validator(mode="after")
    def _keeps_what_every_candidate_freezes(self) -> LopoRecipe:
        if any(one.freeze < self.fine_tuning.freeze for one in self.candidates):
            raise ValueError("a candidate freezes fewer layers than fine_tuning; lower fine_tuning.freeze to the least")
        return self

    @model_validator(mode="after")
    def _has_one_block_a_kind(self) -> LopoRecipe:
        kinds = [block.faces for block in self.blocks]
        if len(set(kinds)) < len(kinds):
            raise ValueError("at most one block for unmasked and one for masked faces")
        return self

    def only(self, faces: str) -> LopoRecipe:
        """The same with one block alone; raises RecipeError if it has no such block."""
        blocks = tuple(block for block in self.blocks if block.faces == faces)
        if not blocks:
            raise RecipeError(f"{self.name} has no block of {faces} faces; leave --faces away")
        return self.model_copy(update={"blocks": blocks})
