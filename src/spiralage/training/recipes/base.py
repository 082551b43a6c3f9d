"""What recipes of every kind are made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from spiralage.datasets.sources import DatasetName

Weight = Annotated[float, Field(ge=0, le=1e6)]
"""Of a loss."""
Share = Annotated[float, Field(ge=0, le=1)]
"""A probability, or a part of the whole."""
Epochs = Annotated[float, Field(gt=0, le=1e5)]
Width = Annotated[int, Field(ge=8, le=128)]
"""Channels of a discriminator's first layer."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]+$", max_length=100)]
"""Of a recipe and of its run's folder."""


class Strict(BaseModel):
    """Unknown keys and numbers that are none are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def formerly(name: str, former: str, **limits: Any) -> Any:
    """A field under its name, or under the name that it had in the recipes of old runs."""
    return Field(validation_alias=AliasChoices(name, former), **limits)


_Beta = Annotated[float, Field(ge=0, lt=1)]


class Optimiser(Strict):
    """AdamW, Adam or SGD with a linear warm-up and a cosine, step or constant schedule."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = Field(gt=0, le=10)
    betas: tuple[_Beta, _Beta] = (0.9, 0.999)
    weight_decay: float = Field(default=0.0, ge=0, le=10)
    warmup_steps: int = Field(default=0, ge=0, le=10**7)
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    milestones: tuple[Share, ...] = Field(default=(), description="parts of the run after which step lowers the rate")
    factor: float = Field(default=0.1, gt=0, le=1, description="what step multiplies the rate by")
    clip_norm: float | None = Field(default=None, gt=0, le=1e6, description="largest gradient norm")


class TrainingRecipe(Strict):
    """What every recipe of a training says."""

    name: Name
    data: DatasetName = "utkface"
    also: tuple[DatasetName, ...] = Field(default=(), description="sets that are learned from beside data, as one")
    seed: int = Field(ge=0, lt=2**63)
    epochs: Epochs
    batch: int = Field(ge=1, le=65536)
    ema: float = Field(default=0.999, ge=0, lt=1, description="decay of the weights' moving average")
    save_every_epochs: Epochs = Field(default=1, description="a checkpoint this often, besides every few minutes")

    @property
    def sets(self) -> tuple[DatasetName, ...]:
        """All data sets that it learns from; an age network in its last phase."""
        return (self.data, *self.also)

    @model_validator(mode="after")
    def _has_different_sets(self) -> TrainingRecipe:
        if len(set(self.sets)) < len(self.sets):
            raise ValueError("a data set is named twice in data and also; name each once")
        return self

    def trains_as(self, other: TrainingRecipe | None) -> bool:
        """Whether a run of the other recipe is a run of this one."""
        return self == other
