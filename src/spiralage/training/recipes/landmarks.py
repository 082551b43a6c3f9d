"""Recipes of landmark networks."""

from __future__ import annotations

from pydantic import Field, model_validator

from spiralage.occlusion.occluders import OccluderName
from spiralage.training.recipes.base import Epochs, Optimiser, Share, Strict, TrainingRecipe, Weight


class LandmarkNetworkRecipe(Strict):
    """Sizes of the heat-map network; FAN has width 256, 4 stacks."""

    width: int = Field(default=96, multiple_of=4, ge=8, le=256, description="channels")
    stacks: int = Field(default=1, ge=1, le=4, description="hourglasses, one after the other")


class Boxes(Strict):
    """How far the square that the network sees lies from where it should."""

    turn_degrees: float = Field(default=45, ge=0, le=180)
    shift: float = Field(default=0.08, ge=0, le=0.5, description="part of the side")
    scale: float = Field(default=0.15, ge=0, lt=1, description="part of the size")
    near: Share = Field(
        default=0.5, description="share of faces that lie as in a second pass, a quarter as far from it"
    )


class LandmarkRecipe(TrainingRecipe):
    """A recipe of ``spiralage train landmarks``."""

    validate_every_epochs: Epochs = 1
    network: LandmarkNetworkRecipe = LandmarkNetworkRecipe()
    optimiser: Optimiser
    points: Weight = Field(default=1.0, description="weight of the points' distances beside the maps' cross-entropy")
    occluders: dict[OccluderName, Share] = Field(
        default_factory=dict, description="share of faces under each; those that aren't named are left for the test"
    )
    boxes: Boxes = Boxes()
    cut: Share = Field(default=0.5, description="share of pictures that end before the crop does, by slanting lines")
    weather: float = Field(default=1.0, ge=0, le=2, description="strength of blur, noise, light and JPEG")

    @model_validator(mode="after")
    def _covers_each_picture_once(self) -> LandmarkRecipe:
        if sum(self.occluders.values()) > 1:
            raise ValueError("the shares of occluders are parts of the pictures: together 1 at most")
        return self
