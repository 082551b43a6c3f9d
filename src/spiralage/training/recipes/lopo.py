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
    blocks: tuple[Block, ...] = Field(min_length=1)

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
