"""Recipes: one TOML file holds all that makes a training run what it is; unknown keys are errors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from spiralage.age.backbones import BackboneName
from spiralage.datasets.sources import DatasetName
from spiralage.errors import RecipeError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AgeNetworkRecipe(_Strict):
    """Which network, and what of the 256×256 crop it sees."""

    backbone: BackboneName
    crop: int = Field(ge=64, le=256, description="side of the centred square it sees, pixels")
    pool: int = Field(default=1, ge=1, le=8, description="average-pooling factor before the network")
    dropout: float = Field(default=0.5, ge=0, lt=1)
    width: int = Field(default=64, ge=4, le=64, description="channels of vgg16's or vgg16-bn's first layer")

    @model_validator(mode="after")
    def _has_a_width(self) -> AgeNetworkRecipe:
        if self.width != 64 and self.backbone not in ("vgg16", "vgg16-bn"):
            raise ValueError(f"width is for vgg16 and vgg16-bn; {self.backbone} has one width")
        return self


class Optimiser(_Strict):
    """AdamW, Adam or SGD with a linear warm-up and a cosine, step or constant schedule."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = Field(gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(default=0.0, ge=0)
    warmup_steps: int = Field(default=0, ge=0)
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    milestones: tuple[float, ...] = Field(default=(), description="parts of the run after which step lowers the rate")
    factor: float = Field(default=0.1, gt=0, le=1, description="what step multiplies the rate by")
    clip_norm: float | None = Field(default=None, gt=0, description="largest gradient norm")


class MeanVariance(_Strict):
    """Weights of the mean-variance loss; the softmax loss has weight 1."""

    name: Literal["mean-variance"] = "mean-variance"
    mean: float = Field(default=0.2, ge=0)
    variance: float = Field(default=0.05, ge=0)


class Pretraining(_Strict):
    """A data set to learn from first. Whoever lacks its crops goes without, and the run says so."""

    data: DatasetName
    epochs: float = Field(gt=0)


class CrossEntropy(_Strict):
    """The softmax loss alone, as in DEX."""

    name: Literal["cross-entropy"]


class DistributionLearning(_Strict):
    """DLDL: a normal distribution around the age is the target; l1 = 1 adds DLDL-v2's second term."""

    name: Literal["dldl"]
    deviation: float = Field(default=2.0, gt=0, description="years")
    l1: float = Field(default=0.0, ge=0)


def _loss_name(value: Any) -> str:
    return str(value.get("name", "mean-variance") if isinstance(value, dict) else getattr(value, "name", value))


AgeLossRecipe = Annotated[
    Annotated[MeanVariance, Tag("mean-variance")]
    | Annotated[CrossEntropy, Tag("cross-entropy")]
    | Annotated[DistributionLearning, Tag("dldl")],
    Discriminator(
        _loss_name,
        custom_error_type="loss_name",
        custom_error_message="name must be mean-variance, cross-entropy or dldl",
    ),
]


class Stage(_Strict):
    """A part of the run at one input size: small pictures first make early training cheap."""

    share: float = Field(gt=0, le=1, description="part of all steps")
    size: int = Field(ge=32, le=256, description="side of the network's input, pixels")


class Augmentation(_Strict):
    """How training pictures are varied."""

    rotation_degrees: float = Field(default=10, ge=0)
    shift: float = Field(default=0.05, ge=0, description="part of the side")
    scale: float = Field(default=0.1, ge=0, lt=1)
    colour: float = Field(default=0.2, ge=0, description="brightness, contrast, saturation")
    gray: float = Field(default=0.1, ge=0, le=1, description="probability")
    blur: float = Field(default=0.1, ge=0, le=1, description="probability")
    jpeg: float = Field(default=0.0, ge=0, le=1, description="probability of compression, quality 20 to 90")


class TrainingRecipe(_Strict):
    """What every recipe says."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    data: DatasetName = "utkface"
    seed: int = Field(ge=0)
    epochs: float = Field(gt=0)
    batch: int = Field(ge=1)
    ema: float = Field(default=0.999, ge=0, lt=1, description="decay of the weights' moving average")
    save_every_epochs: float = Field(default=1, gt=0, description="a checkpoint this often, besides every few minutes")


class AgeRecipe(TrainingRecipe):
    """A recipe of ``spiralage train age``."""

    start: str | None = Field(default=None, description="name of the recipe whose trained weights this one starts from")
    pretrained: Literal["faceres-deep"] | None = Field(default=None, description="published weights to start from")
    masked: float = Field(
        default=0.0, ge=0, le=1, description="share of pictures under the paper's mask, filled with 0"
    )
    pretraining: tuple[Pretraining, ...] = ()
    also: tuple[DatasetName, ...] = Field(default=(), description="sets that are learned from beside data, as one")
    validate_every_epochs: float = Field(default=2, gt=0)
    network: AgeNetworkRecipe
    optimiser: Optimiser
    loss: AgeLossRecipe = MeanVariance()
    stages: tuple[Stage, ...] = Field(min_length=1)
    augmentation: Augmentation = Augmentation()

    @property
    def sets(self) -> tuple[DatasetName, ...]:
        """All data sets of the last phase."""
        return (self.data, *self.also)

    @model_validator(mode="after")
    def _has_different_sets(self) -> AgeRecipe:
        if len(set(self.sets)) < len(self.sets):
            raise ValueError("a data set is named twice in data and also; name each once")
        return self

    @model_validator(mode="after")
    def _has_one_start(self) -> AgeRecipe:
        if self.start is not None and self.pretrained is not None:
            raise ValueError("a run starts from start or from pretrained, not both")
        if self.pretrained is not None and self.network.backbone != "mobilenet":
            raise ValueError(f"{self.pretrained} has weights for the backbone mobilenet only")
        return self


class ImagineNetworkRecipe(_Strict):
    """Sizes of ImagineGAN; the paper has size 128, width 256, 8 blocks."""

    size: Literal[32, 64, 128, 256] = Field(description="side of the imagined picture, pixels")
    width: int = Field(multiple_of=4, ge=8, le=512, description="channels of the residual blocks")
    blocks: int = Field(ge=1, le=16)
    critic_width: int = Field(ge=8, le=128, description="channels of the critic's first layer; 64 in the paper")


class ImagineWeights(_Strict):
    """Weights of ImagineGAN's losses; l1 is 0 in the paper."""

    adversarial: float = Field(default=0.1, ge=0)
    perceptual: float = Field(default=1.0, ge=0)
    hue_color: float = Field(default=10.0, ge=0)
    l1: float = Field(default=0.0, ge=0)


class Windows(_Strict):
    """How often each kind of window is drawn in training; shares are normalised."""

    random: float = Field(default=0.5, ge=0, description="128×128 anywhere in the frame")
    paper: float = Field(default=0.3, ge=0, description="the paper's mask")
    edge: float = Field(default=0.2, ge=0, description="all but a rectangle at the frame's edge")

    @model_validator(mode="after")
    def _has_a_share(self) -> Windows:
        if self.random + self.paper + self.edge == 0:
            raise ValueError("at least one share must be above 0")
        return self


class ImagineRecipe(TrainingRecipe):
    """A recipe of ``spiralage train imagine``."""

    features: str = Field(description="name of the age recipe whose network gives perceptual features")
    features_size: int = Field(ge=64, le=256, description="side of the pictures that it is shown, pixels")
    network: ImagineNetworkRecipe
    generator: Optimiser
    critic: Optimiser
    loss: ImagineWeights = ImagineWeights()
    windows: Windows = Windows()


class SliceNetworkRecipe(_Strict):
    """Sizes of SliceGAN; the paper has size 256, thickness 32, width 256, 6 blocks."""

    size: Literal[64, 128, 256] = Field(description="side of the frame, pixels")
    thickness: int = Field(ge=4, le=128, description="of a slice, pixels of the frame")
    width: int = Field(multiple_of=4, ge=8, le=512, description="channels of the residual blocks")
    blocks: int = Field(ge=1, le=16)
    critic_width: int = Field(ge=8, le=128, description="channels of the whole picture's critic's first layer")
    slice_critic_width: int = Field(ge=8, le=128, description="channels of the slices' critic's first layer")
    residual: bool = Field(default=False, description="paint the difference to what was imagined; not in the paper")


class SliceWeights(_Strict):
    """Weights of SliceGAN's losses, the paper's by default."""

    adversarial: float = Field(default=0.1, ge=0, description="on whole pictures")
    slice_adversarial: float = Field(default=0.1, ge=0, description="on slices")
    l1: float = Field(default=10.0, ge=0)
    hue_color: float = Field(default=10.0, ge=0)
    style: float = Field(default=250.0, ge=0)
    perceptual: float = Field(default=0.0, ge=0, description="on perceptual_features; 0 in the paper")


class SliceRecipe(TrainingRecipe):
    """A recipe of ``spiralage train slices``."""

    imagine: str = Field(description="name of the ImagineGAN recipe whose pictures it paints from")
    features: str = Field(description="vgg19, or the age recipe whose VGG tells styles")
    features_size: int | None = Field(
        default=None, ge=64, le=256, description="side of the pictures whose styles are compared, pixels; the frame's"
    )
    perceptual_features: str | None = Field(
        default=None, description="the age recipe whose network compares pictures: an age-aware loss"
    )
    perceptual_size: int = Field(default=112, ge=64, le=256, description="side of what it is shown, pixels")
    network: SliceNetworkRecipe
    generator: Optimiser
    critic: Optimiser
    loss: SliceWeights = SliceWeights()
    windows: Windows = Windows()

    @model_validator(mode="after")
    def _has_what_it_weighs(self) -> SliceRecipe:
        if (self.loss.perceptual > 0) != (self.perceptual_features is not None):
            raise ValueError("perceptual_features and loss.perceptual go together: give both or neither")
        return self


class FineTuning(_Strict):
    """How each fold's network goes on from the start network."""

    epochs: float = Field(gt=0)
    batch: int = Field(ge=1)
    freeze: int = Field(
        default=0, ge=0, description="leading layers of the backbone that stay as they are; they are run only once"
    )
    optimiser: Optimiser
    loss: AgeLossRecipe = MeanVariance()
    augmentation: Augmentation = Augmentation()


class Block(_Strict):
    """One block of the table: which faces the network was trained on, before and in the folds."""

    faces: Literal["unmasked", "masked"]
    start: str = Field(description="name of the age recipe whose trained weights every fold starts from")


class LopoRecipe(_Strict):
    """A recipe of ``spiralage evaluate lopo``."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    estimator: str = Field(description="what the table calls it")
    seed: int = Field(ge=0)
    mirror: bool = Field(default=False, description="average the answers for a picture and its mirror image")
    ablations: tuple[str, ...] = Field(
        default=(), description="names of SliceGAN recipes whose trained networks restore too"
    )
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


Recipe = TypeVar("Recipe", AgeRecipe, ImagineRecipe, SliceRecipe, LopoRecipe)


def load_recipe(path: Path, kind: type[Recipe]) -> Recipe:
    """Read and check a recipe file.

    Raises:
        RecipeError: no such file, not TOML, an unknown key, or a value out of range.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: can't be read ({error.strerror}); see the folder recipes/") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not TOML ({error}); compare it with one in recipes/") from error
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"{path}: {where}: {first['msg']}; mend this key") from error
