"""Recipes of age networks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from spiralage.datasets.sources import DatasetName
from spiralage.networks.backbones import BACKBONES, BackboneName
from spiralage.occlusion.occluders import OccluderName
from spiralage.training.recipes.age_losses import AgeLossRecipe, MeanVariance
from spiralage.training.recipes.base import Epochs, Name, Optimiser, Share, Strict, TrainingRecipe, Weight


class AgeNetworkRecipe(Strict):
    """Which network, and what of the 256×256 crop it sees."""

    backbone: BackboneName
    crop: int = Field(ge=64, le=256, description="side of the centred square it sees, pixels")
    pool: int = Field(default=1, ge=1, le=8, description="average-pooling factor before the network")
    dropout: float = Field(default=0.5, ge=0, lt=1)
    mirror: bool = Field(default=False, description="average the answers for a crop and its mirror image, in use alone")
    told_mask: bool = Field(default=False, description="it is told what is hidden, by a fourth channel")
    width: int = Field(default=64, ge=4, le=64, description="channels of vgg16's or vgg16-bn's first layer")

    @property
    def side(self) -> int:
        """Of what the network sees, pixels."""
        return self.crop // self.pool

    @model_validator(mode="after")
    def _has_a_side(self) -> AgeNetworkRecipe:
        if self.crop % self.pool:
            raise ValueError(f"pool must divide crop, {self.pool} doesn't divide {self.crop}")
        smallest = BACKBONES[self.backbone].kind.smallest
        if self.side < smallest:
            raise ValueError(f"{self.backbone} takes {smallest} pixels or more, crop / pool = {self.side}")
        return self

    @model_validator(mode="after")
    def _has_a_width(self) -> AgeNetworkRecipe:
        if self.width != 64 and not BACKBONES[self.backbone].widths:
            those = " and ".join(name for name, row in BACKBONES.items() if row.widths)
            raise ValueError(f"width is for {those}; {self.backbone} has one width")
        return self


class Pretraining(Strict):
    """A data set to learn from first. Whoever lacks its crops goes without, and the run says so."""

    data: DatasetName
    epochs: Epochs


class Stage(Strict):
    """A part of the run at one input size: small pictures first make early training cheap."""

    share: float = Field(gt=0, le=1, description="part of all steps")
    size: int = Field(ge=32, le=256, description="side of the network's input, pixels")


class Augmentation(Strict):
    """How training pictures are varied."""

    rotation_degrees: float = Field(default=10, ge=0, le=180)
    shift: float = Field(default=0.05, ge=0, le=1, description="part of the side")
    scale: float = Field(default=0.1, ge=0, lt=1)
    colour: float = Field(default=0.2, ge=0, le=1, description="brightness, contrast, saturation")
    gray: float = Field(default=0.1, ge=0, le=1, description="probability")
    blur: float = Field(default=0.1, ge=0, le=1, description="probability")
    jpeg: float = Field(default=0.0, ge=0, le=1, description="probability of compression, quality 20 to 90")


class Telling(Strict):
    """How a network that is told what is hidden learns it: as it is in use, where a network finds it."""

    missing: float = Field(default=0.1, ge=0, le=1, description="part of the occluders that isn't told of")
    as_it_looks: float = Field(default=0.1, ge=0, le=1, description="part that is told of, and shows what hides")
    edge_px: int = Field(default=6, ge=0, le=32, description="the mask's edge is off by so much at most, crop pixels")
    shift_px: int = Field(default=4, ge=0, le=32, description="the mask is off by so much at most, crop pixels")


class Teaching(Strict):
    """A trained age network that teaches: labels' loss + weight · temperature² · KL(its answer ‖ the learner's).

    Both distributions are taken to the power 1 / temperature first (Hinton et al. 2015, who so keep the gradient's
    size). What the teacher sees of a face, see ``training.teaching``.
    """

    teacher: Name = Field(description="name of the age recipe whose run teaches")
    weight: Weight = 1.0
    temperature: float = Field(default=1.0, ge=0.1, le=100)


class AgeRecipe(TrainingRecipe):
    """A recipe of ``spiralage train age``."""

    start: Name | None = Field(default=None, description="name of the recipe whose trained weights it starts from")
    pretrained: Literal["faceres-deep", "imagenet-alexnet"] | None = Field(
        default=None, description="published weights to start from"
    )
    occluders: dict[OccluderName, Share] = Field(
        default_factory=dict, description="share of pictures under each; the paper's mask, filled with 0, or drawn ones"
    )
    pretraining: tuple[Pretraining, ...] = ()
    validate_every_epochs: Epochs = 2
    network: AgeNetworkRecipe
    optimiser: Optimiser
    loss: AgeLossRecipe = MeanVariance()
    stages: tuple[Stage, ...] = Field(min_length=1)
    augmentation: Augmentation = Augmentation()
    teaching: Teaching | None = None
    telling: Telling = Telling()

    @property
    def masked(self) -> float:
        """The share of pictures under the paper's mask."""
        return self.occluders.get("paper", 0.0)

    @property
    def drawn(self) -> dict[OccluderName, float]:
        """The shares of all other occluders."""
        return {name: share for name, share in self.occluders.items() if name != "paper"}

    def trains_as(self, other: TrainingRecipe | None) -> bool:
        """Whether a run of the other recipe is a run of this one: how the network is used is no part of that."""
        if not isinstance(other, AgeRecipe):
            return False
        network = other.network.model_copy(update={"mirror": self.network.mirror})
        return self == other.model_copy(update={"network": network})

    @model_validator(mode="before")
    @classmethod
    def _with_present_keys(cls, values: Any) -> Any:
        """Recipes of former versions say masked for the paper's mask's share."""
        if not isinstance(values, dict) or "masked" not in values:
            return values
        if "occluders" in values:
            raise ValueError("masked is the paper's share in occluders; give one of the two")
        rest = {name: value for name, value in values.items() if name != "masked"}
        return rest | ({"occluders": {"paper": values["masked"]}} if values["masked"] else {})

    @model_validator(mode="after")
    def _covers_each_picture_once(self) -> AgeRecipe:
        if sum(self.occluders.values()) > 1:
            raise ValueError("the shares of occluders are parts of the pictures: together 1 at most")
        return self

    @model_validator(mode="after")
    def _ends_with_what_is_used(self) -> AgeRecipe:
        last, used = self.stages[-1].size, self.network.side
        if last != used:
            raise ValueError(
                f"the last stage trains at {last} pixels, the network is used at crop / pool = {used}; make them equal"
            )
        smallest = BACKBONES[self.network.backbone].kind.smallest
        if not all(smallest <= stage.size <= self.network.crop for stage in self.stages):
            raise ValueError(f"a stage of {self.network.backbone} has {smallest} to {self.network.crop} pixels")
        return self

    @model_validator(mode="after")
    def _is_taught_throughout(self) -> AgeRecipe:
        if self.teaching is not None and self.pretraining:
            raise ValueError("a taught run has no pretraining; give that a recipe of its own, and start from it")
        return self

    @model_validator(mode="after")
    def _is_told_from_a_start(self) -> AgeRecipe:
        if self.network.told_mask and self.pretrained is not None:
            raise ValueError("published weights know no mask; train a network on them first, and start from that")
        return self

    @model_validator(mode="after")
    def _has_one_start(self) -> AgeRecipe:
        if self.start is not None and self.pretrained is not None:
            raise ValueError("a run starts from start or from pretrained, not both")
        fits = {"faceres-deep": "mobilenet", "imagenet-alexnet": "alexnet"}
        if self.pretrained is not None and self.network.backbone != fits[self.pretrained]:
            raise ValueError(f"{self.pretrained} has weights for the backbone {fits[self.pretrained]} only")
        return self
