"""Recipes of the network that finds what hides a face."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from spiralage.datasets.sources import DatasetName
from spiralage.occlusion.occluders import OCCLUDERS, OccluderName
from spiralage.training.recipes.base import Epochs, Optimiser, Share, Strict, TrainingRecipe, Weight

DistractorName: TypeAlias = Literal["glasses", "hair"]
"""What is drawn and is not to be found: it belongs to a person."""

_Channels = Annotated[int, Field(ge=4, le=512)]
_Blocks = Annotated[int, Field(ge=0, le=8)]
_Times = Annotated[int, Field(ge=1, le=1000)]


class OcclusionNetworkRecipe(Strict):
    """Sizes of the network, see ``networks.occlusion``."""

    widths: tuple[_Channels, _Channels, _Channels, _Channels] = (24, 64, 128, 192)
    blocks: tuple[_Blocks, _Blocks, _Blocks] = (1, 1, 2)


class Disorder(Strict):
    """How training pictures are varied, once something is drawn on them."""

    rotation_degrees: float = Field(default=12, ge=0, le=180)
    shift: float = Field(default=0.06, ge=0, le=0.5, description="part of the side")
    scale: float = Field(default=0.15, ge=0, lt=1)
    weather: Share = Field(default=0.7, description="of pictures that go through a worse camera, see occlusion.weather")


class OcclusionWeights(Strict):
    """Weights of the losses, and of pixels in them; see ``training.occlusion_loss``."""

    cross_entropy: Weight = 1.0
    dice: Weight = 1.0
    person: Weight = Field(default=3.0, description="of a pixel of glasses, hair or a hat, in the cross-entropy")
    doubt: float = Field(
        default=0.95, gt=0.5, le=1, description="a pixel that nobody has labelled counts up to this probability"
    )


class OcclusionRecipe(TrainingRecipe):
    """A recipe of ``spiralage train occlusion``."""

    occluders: dict[OccluderName, Share] = Field(description="share of pictures under each; the rest has none")
    distractors: dict[DistractorName, Share] = Field(
        default_factory=dict, description="share of pictures on which each is drawn, under what hides"
    )
    kept_out: tuple[OccluderName, ...] = Field(default=(), description="kinds that it is tested with and never sees")
    times: dict[DatasetName, _Times] = Field(
        default_factory=dict, description="how often an epoch has each picture of a set; once"
    )
    validate_every_epochs: Epochs = 0.5
    network: OcclusionNetworkRecipe = OcclusionNetworkRecipe()
    optimiser: Optimiser
    loss: OcclusionWeights = OcclusionWeights()
    disorder: Disorder = Disorder()

    @model_validator(mode="after")
    def _draws_what_it_may(self) -> OcclusionRecipe:
        if not 0 < sum(self.occluders.values()) <= 1:
            raise ValueError("the shares of occluders are parts of the pictures: together above 0 and 1 at most")
        twice = [name for name in OCCLUDERS if self.occluders.get(name) and name in self.kept_out]
        if twice:
            raise ValueError(f"{', '.join(twice)}: drawn in training and kept out of it; choose one")
        if self.occluders.get("hair"):
            raise ValueError("hair is a person's: name it among distractors")
        return self

    @model_validator(mode="after")
    def _repeats_what_it_has(self) -> OcclusionRecipe:
        unknown = sorted(set(self.times) - set(self.sets))
        if unknown:
            raise ValueError(f"times names {', '.join(unknown)}, which it doesn't learn from; add it to also")
        return self
