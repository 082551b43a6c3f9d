"""Recipes: one TOML file holds all that makes a training run what it is; unknown keys are errors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from spiralage.datasets.sources import DatasetName
from spiralage.errors import RecipeError
from spiralage.networks.backbones import SMALLEST, BackboneName
from spiralage.occlusion.occluders import OccluderName

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


LARGEST = 1 << 14
"""Bytes of a recipe file; those here have a tenth of it. TOML's reader takes a minute for some files of 50 KB."""

Weight = Annotated[float, Field(ge=0, le=1e6)]
"""Of a loss."""
Share = Annotated[float, Field(ge=0, le=1)]
"""A probability, or a part of the whole."""
Epochs = Annotated[float, Field(gt=0, le=1e5)]
Width = Annotated[int, Field(ge=8, le=128)]
"""Channels of a discriminator's first layer."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]+$", max_length=100)]
"""Of a recipe and of its run's folder."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _formerly(name: str, former: str, **limits: Any) -> Any:
    """A field under its name, or under the name that it had in the recipes of old runs."""
    return Field(validation_alias=AliasChoices(name, former), **limits)


class AgeNetworkRecipe(_Strict):
    """Which network, and what of the 256×256 crop it sees."""

    backbone: BackboneName
    crop: int = Field(ge=64, le=256, description="side of the centred square it sees, pixels")
    pool: int = Field(default=1, ge=1, le=8, description="average-pooling factor before the network")
    dropout: float = Field(default=0.5, ge=0, lt=1)
    width: int = Field(default=64, ge=4, le=64, description="channels of vgg16's or vgg16-bn's first layer")

    @property
    def side(self) -> int:
        """Of what the network sees, pixels."""
        return self.crop // self.pool

    @model_validator(mode="after")
    def _has_a_side(self) -> AgeNetworkRecipe:
        if self.crop % self.pool:
            raise ValueError(f"pool must divide crop, {self.pool} doesn't divide {self.crop}")
        smallest = SMALLEST[self.backbone]
        if self.side < smallest:
            raise ValueError(f"{self.backbone} takes {smallest} pixels or more, crop / pool = {self.side}")
        return self

    @model_validator(mode="after")
    def _has_a_width(self) -> AgeNetworkRecipe:
        if self.width != 64 and self.backbone not in ("vgg16", "vgg16-bn"):
            raise ValueError(f"width is for vgg16 and vgg16-bn; {self.backbone} has one width")
        return self


_Beta = Annotated[float, Field(ge=0, lt=1)]


class Optimiser(_Strict):
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


class _AgeLoss(_Strict):
    @property
    def weights(self) -> dict[str, float]:
        """What the head of that name takes."""
        return self.model_dump(exclude={"name"})


class MeanVariance(_AgeLoss):
    """Weights of the mean-variance loss; the softmax loss has weight 1."""

    name: Literal["mean-variance"] = "mean-variance"
    mean: Weight = 0.2
    variance: Weight = 0.05


class Pretraining(_Strict):
    """A data set to learn from first. Whoever lacks its crops goes without, and the run says so."""

    data: DatasetName
    epochs: Epochs


class CrossEntropy(_AgeLoss):
    """The softmax loss alone, as in DEX."""

    name: Literal["cross-entropy"]


class DistributionLearning(_AgeLoss):
    """DLDL: a normal distribution around the age is the target; l1 = 1 adds DLDL-v2's second term."""

    name: Literal["dldl"]
    std: float = _formerly("std", "deviation", default=2.0, ge=0.1, le=100, description="years")
    l1: Weight = 0.0


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

    rotation_degrees: float = Field(default=10, ge=0, le=180)
    shift: float = Field(default=0.05, ge=0, le=1, description="part of the side")
    scale: float = Field(default=0.1, ge=0, lt=1)
    colour: float = Field(default=0.2, ge=0, le=1, description="brightness, contrast, saturation")
    gray: float = Field(default=0.1, ge=0, le=1, description="probability")
    blur: float = Field(default=0.1, ge=0, le=1, description="probability")
    jpeg: float = Field(default=0.0, ge=0, le=1, description="probability of compression, quality 20 to 90")


class TrainingRecipe(_Strict):
    """What every recipe says."""

    name: Name
    data: DatasetName = "utkface"
    seed: int = Field(ge=0, lt=2**63)
    epochs: Epochs
    batch: int = Field(ge=1, le=65536)
    ema: float = Field(default=0.999, ge=0, lt=1, description="decay of the weights' moving average")
    save_every_epochs: Epochs = Field(default=1, description="a checkpoint this often, besides every few minutes")


class AgeRecipe(TrainingRecipe):
    """A recipe of ``spiralage train age``."""

    start: Name | None = Field(default=None, description="name of the recipe whose trained weights it starts from")
    pretrained: Literal["faceres-deep"] | None = Field(default=None, description="published weights to start from")
    occluders: dict[OccluderName, Share] = Field(
        default_factory=dict, description="share of pictures under each; the paper's mask, filled with 0, or drawn ones"
    )
    pretraining: tuple[Pretraining, ...] = ()
    also: tuple[DatasetName, ...] = Field(default=(), description="sets that are learned from beside data, as one")
    validate_every_epochs: Epochs = 2
    network: AgeNetworkRecipe
    optimiser: Optimiser
    loss: AgeLossRecipe = MeanVariance()
    stages: tuple[Stage, ...] = Field(min_length=1)
    augmentation: Augmentation = Augmentation()

    @property
    def masked(self) -> float:
        """The share of pictures under the paper's mask."""
        return self.occluders.get("paper", 0.0)

    @property
    def drawn(self) -> dict[OccluderName, float]:
        """The shares of all other occluders."""
        return {name: share for name, share in self.occluders.items() if name != "paper"}

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
    def _ends_with_what_is_used(self) -> AgeRecipe:
        last, used = self.stages[-1].size, self.network.side
        if last != used:
            raise ValueError(
                f"the last stage trains at {last} pixels, the network is used at crop / pool = {used}; make them equal"
            )
        smallest = SMALLEST[self.network.backbone]
        if not all(smallest <= stage.size <= self.network.crop for stage in self.stages):
            raise ValueError(f"a stage of {self.network.backbone} has {smallest} to {self.network.crop} pixels")
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
    discriminator_width: Width = _formerly("discriminator_width", "critic_width", description="64 in the paper")


class ImagineWeights(_Strict):
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

    features: Name = Field(description="name of the age recipe whose network gives perceptual features")
    features_size: int = Field(ge=64, le=256, description="side of the pictures that it is shown, pixels")
    network: ImagineNetworkRecipe
    generator: Optimiser
    discriminator: Optimiser = _formerly("discriminator", "critic")
    loss: ImagineWeights = ImagineWeights()
    windows: Windows = Field(default_factory=_windows)


class SliceNetworkRecipe(_Strict):
    """Sizes of SliceGAN; the paper has size 256, thickness 32, width 256, 6 blocks."""

    size: Literal[64, 128, 256] = Field(description="side of the frame, pixels")
    thickness: int = Field(ge=4, le=128, description="of a slice, pixels of the frame")
    width: int = Field(multiple_of=4, ge=8, le=512, description="channels of the residual blocks")
    blocks: int = Field(ge=1, le=16)
    discriminator_width: Width = _formerly("discriminator_width", "critic_width", description="of whole pictures")
    slice_discriminator_width: Width = _formerly(
        "slice_discriminator_width", "slice_critic_width", description="of slices"
    )
    residual: bool = Field(default=False, description="paint the difference to what was imagined; not in the paper")


class SliceWeights(_Strict):
    """Weights of SliceGAN's losses, the paper's by default."""

    adversarial: Weight = Field(default=0.1, description="on whole pictures")
    slice_adversarial: Weight = Field(default=0.1, description="on slices")
    l1: Weight = 10.0
    hue_color: Weight = 10.0
    style: Weight = 250.0
    perceptual: Weight = Field(default=0.0, description="on perceptual_features; 0 in the paper")


class SliceRecipe(TrainingRecipe):
    """A recipe of ``spiralage train slices``."""

    imagine: Name = Field(description="name of the ImagineGAN recipe whose pictures it paints from")
    features: Name = Field(description="vgg19, or the age recipe whose VGG tells styles")
    features_size: int | None = Field(
        default=None, ge=64, le=256, description="side of the pictures whose styles are compared, pixels; the frame's"
    )
    perceptual_features: Name | None = Field(
        default=None, description="the age recipe whose network compares pictures: an age-aware loss"
    )
    perceptual_size: int = Field(default=112, ge=64, le=256, description="side of what it is shown, pixels")
    network: SliceNetworkRecipe
    generator: Optimiser
    discriminator: Optimiser = _formerly("discriminator", "critic")
    loss: SliceWeights = SliceWeights()
    windows: Windows = Field(default_factory=_windows)

    @model_validator(mode="after")
    def _has_what_it_weighs(self) -> SliceRecipe:
        if (self.loss.perceptual > 0) != (self.perceptual_features is not None):
            raise ValueError("perceptual_features and loss.perceptual go together: give both or neither")
        return self


class FineTuning(_Strict):
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


class Block(_Strict):
    """One block of the table: which faces the network was trained on, before and in the folds."""

    faces: Literal["unmasked", "masked"]
    start: Name = Field(description="name of the age recipe whose trained weights every fold starts from")


class LopoRecipe(_Strict):
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


Recipe = TypeVar("Recipe", bound=BaseModel)


def load_recipe(path: Path, kind: type[Recipe]) -> Recipe:
    """Read and check a recipe file.

    Raises:
        RecipeError: no such file, not TOML, an unknown key, or a value out of range.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecipeError(f"{path}: can't be read ({reason}); see the folder recipes/") from error
    if len(data) > LARGEST:
        raise RecipeError(f"{path}: not a recipe (over {LARGEST >> 10} KB); compare it with one in recipes/")
    try:
        values = tomllib.loads(data.decode())
    except RecursionError as error:
        raise RecipeError(f"{path}: not a recipe (nested too deeply); compare it with one in recipes/") from error
    except ValueError as error:  # tomllib's own is one, as are a number too long and bytes that are no text
        raise RecipeError(f"{path}: not TOML ({error}); compare it with one in recipes/") from error
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "recipe"
        raise RecipeError(f"{path}: {where}: {first['msg']}; mend this key") from error
