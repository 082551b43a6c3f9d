"""Recipes of the networks that restore: ImagineGAN and SliceGAN."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from spiralage.occlusion.occluders import OccluderName
from spiralage.training.recipes.base import Name, Optimiser, Strict, TrainingRecipe, Weight, Width, formerly


class ImagineNetworkRecipe(Strict):
    """Sizes of ImagineGAN; the paper has size 128, width 256, 8 blocks."""

    size: Literal[32, 64, 128, 256] = Field(description="side of the imagined picture, pixels")
    width: int = Field(multiple_of=4, ge=8, le=512, description="channels of the residual blocks")
    blocks: int = Field(ge=1, le=16)
    up: Literal["resize", "transposed"] = Field(
        default="resize", description="how the decoder doubles maps: nearest, then a convolution; or one transposed"
    )
    padding: Literal["zeros", "reflect"] = Field(default="reflect", description="what stands beyond a map's border")
    residual: bool = Field(
        default=False, description="paint the difference to the mean face, bent towards what is visible"
    )
    discriminator: Literal["patch", "projected"] = Field(
        default="patch", description="looks at pixels, or at the feature network's activations"
    )
    discriminator_width: Width = formerly("discriminator_width", "critic_width", description="64 in the paper")


class ImagineWeights(Strict):
    """Weights of ImagineGAN's losses; l1 is 0 in the paper."""

    adversarial: Weight = 0.1
    perceptual: Weight = 1.0
    hue_color: Weight = 10.0
    l1: Weight = 0.0


def _present_names(shares: Any) -> Any:
    """Recipes of former versions call random-window random, and have all three windows if they name some."""
    if not isinstance(shares, dict) or "random" not in shares:
        return shares
    former = {"random": 0.5, "paper": 0.3, "edge": 0.2} | shares
    return {"random-window" if name == "random" else name: share for name, share in former.items()}


def _some_share(shares: dict[OccluderName, float]) -> dict[OccluderName, float]:
    if sum(shares.values()) == 0:
        raise ValueError("at least one share must be above 0")
    return shares


Windows = Annotated[dict[OccluderName, Weight], BeforeValidator(_present_names), AfterValidator(_some_share)]
"""How often each occluder hides the rest of a face in training; shares are normalised."""


def _windows() -> dict[OccluderName, float]:
    return {"random-window": 0.5, "paper": 0.3, "edge": 0.2}


class ImagineRecipe(TrainingRecipe):
    """A recipe of ``spiralage train imagine``."""

    start: Name | None = Field(default=None, description="name of the recipe whose trained weights it starts from")
    features: Name = Field(description="the network that gives perceptual features: an age recipe's, or ImageNet's")
    features_size: int | None = Field(
        default=None, ge=64, le=256, description="side of the pictures that it is shown, pixels; the generator's"
    )
    deepest: int | None = Field(default=None, ge=1, le=5, description="the last of its blocks that is looked at; all")
    network: ImagineNetworkRecipe
    generator: Optimiser
    discriminator: Optimiser = formerly("discriminator", "critic")
    loss: ImagineWeights = ImagineWeights()
    windows: Windows = Field(default_factory=_windows)


class SliceNetworkRecipe(Strict):
    """Sizes of SliceGAN; the paper has size 256, thickness 32, width 256, 6 blocks."""

    size: Literal[64, 128, 256] = Field(description="side of the frame, pixels")
    thickness: int = Field(ge=4, le=128, description="of a slice, pixels of the frame")
    width: int = Field(multiple_of=4, ge=8, le=512, description="channels of the residual blocks")
    blocks: int = Field(ge=1, le=16)
    discriminator_width: Width = formerly("discriminator_width", "critic_width", description="of whole pictures")
    slice_discriminator_width: Width = formerly(
        "slice_discriminator_width", "slice_critic_width", description="of bands over the seams"
    )
    residual: bool = Field(default=False, description="paint the difference to what was imagined; not in the paper")


class SliceWeights(Strict):
    """Weights of SliceGAN's losses, the paper's by default."""

    adversarial: Weight = Field(default=0.1, description="on whole pictures as they are painted")
    local_adversarial: Weight = Field(default=0.1, description="on whole pictures, what is visible real")
    slice_adversarial: Weight = Field(default=0.1, description="on bands over the seams, summed over the steps")
    l1: Weight = 10.0
    color: Weight = formerly("color", "hue_color", default=10.0)
    style: Weight = 250.0
    perceptual: Weight = Field(default=0.0, description="on perceptual_features; 0 in the paper")


class SliceRecipe(TrainingRecipe):
    """A recipe of ``spiralage train slices``."""

    start: Name | None = Field(default=None, description="name of the recipe whose trained weights it starts from")
    imagine: Name = Field(description="name of the ImagineGAN recipe whose pictures it paints from")
    features: Name = Field(description="vgg19, imagenet-vgg16, or the age recipe whose VGG tells styles")
    features_size: int | None = Field(
        default=None, ge=64, le=256, description="side of the pictures whose styles are compared, pixels; the frame's"
    )
    perceptual_features: Name | None = Field(
        default=None, description="the age recipe whose network compares pictures: an age-aware loss"
    )
    perceptual_size: int = Field(default=112, ge=64, le=256, description="side of what it is shown, pixels")
    bands: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="of so many steps, drawn anew each time, are judged; all in the paper",
    )
    network: SliceNetworkRecipe
    generator: Optimiser
    discriminator: Optimiser = formerly("discriminator", "critic")
    loss: SliceWeights = SliceWeights()
    windows: Windows = Field(default_factory=_windows)

    @model_validator(mode="after")
    def _has_what_it_weighs(self) -> SliceRecipe:
        if (self.loss.perceptual > 0) != (self.perceptual_features is not None):
            raise ValueError("perceptual_features and loss.perceptual go together: give both or neither")
        return self
