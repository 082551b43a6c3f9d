"""Recipes: those of the repository load, and every mistake in one is named."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from spiralage.errors import RecipeError
from spiralage.networks.heads import HEADS, HeadName, make_head
from spiralage.occlusion.occluders import OCCLUDERS
from spiralage.training import imagenet
from spiralage.training.recipes import (
    AgeRecipe,
    CrossEntropy,
    DistributionLearning,
    ImagineRecipe,
    ImagineWeights,
    LandmarkRecipe,
    LopoRecipe,
    MeanVariance,
    OcclusionRecipe,
    SliceRecipe,
    SliceWeights,
    load_recipe,
)

RECIPES = Path(__file__).parents[2] / "recipes"
FILES = sorted(path for path in RECIPES.glob("*.toml") if path.stem != "queue")  # a list of recipes, not one


AGE = """
name = "sample"
seed = 1
epochs = 10
batch = 64
ema = 0.998
[network]
backbone = "compact"
crop = 256
pool = 2
dropout = 0.2
[loss]
mean = 0.2
[optimiser]
learning_rate = 4e-4
clip_norm = 5.0
[[stages]]
share = 0.6
size = 96
[[stages]]
share = 0.4
size = 128
"""

IMAGINE = """
name = "sample"
seed = 1
epochs = 5
batch = 32
features = "features"
features_size = 112
[network]
size = 64
width = 96
blocks = 6
discriminator_width = 24
[generator]
learning_rate = 2e-4
[discriminator]
learning_rate = 2e-4
[loss]
l1 = 10.0
[windows]
random = 0.5
paper = 0.3
edge = 0.2
"""


def command_of(path: Path) -> str:
    """Which command a recipe is for, by a table that only such recipes have."""
    text = path.read_text(encoding="utf-8")
    if "[boxes]" in text:
        return "train landmarks"
    if "[distractors]" in text:
        return "train occlusion"
    if "[generator]" in text:
        return "train slices" if "\nthickness = " in text else "train imagine"
    return "evaluate lopo" if "[fine_tuning]" in text else "train age"


def load(path: Path) -> AgeRecipe | ImagineRecipe | LandmarkRecipe | OcclusionRecipe | SliceRecipe | LopoRecipe:
    command = command_of(path)
    if command == "train occlusion":
        return load_recipe(path, OcclusionRecipe)
    if command == "train landmarks":
        return load_recipe(path, LandmarkRecipe)
    if command == "evaluate lopo":
        return load_recipe(path, LopoRecipe)
    if command == "train slices":
        return load_recipe(path, SliceRecipe)
    return load_recipe(path, ImagineRecipe) if command == "train imagine" else load_recipe(path, AgeRecipe)


def files_of(command: str) -> list[Path]:
    return [path for path in FILES if command_of(path) == command]


def changed(folder: Path, text: str, old: str, new: str) -> Path:
    """A sample recipe with one change of whole lines."""
    assert text.count(f"\n{old}\n") == 1, f"{old!r} must be there once"
    path = folder / "sample.toml"
    path.write_text(text.replace(f"\n{old}\n", f"\n{new}\n"), encoding="utf-8")
    return path


def test_the_recipes_are_found() -> None:
    assert {"alexnet", "best", "compact", "imagine-128", "slices"} <= {path.stem for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_recipe_loads_and_says_how_to_run_it(path: Path) -> None:
    recipe = load(path)
    assert recipe.name == path.stem
    command = path.read_text(encoding="utf-8").splitlines()[0].removesuffix(" --threads 1")
    assert command == f"# spiralage {command_of(path)} recipes/{path.name}"


@pytest.mark.parametrize("path", files_of("train age"), ids=lambda path: path.stem)
def test_training_ends_at_the_size_that_the_network_is_used_at(path: Path) -> None:
    recipe = load_recipe(path, AgeRecipe)
    assert recipe.network.crop % recipe.network.pool == 0
    assert recipe.stages[-1].size == recipe.network.crop // recipe.network.pool
    assert sum(stage.share for stage in recipe.stages) == pytest.approx(1)


def has_recipe(name: str, command: str) -> bool:
    return name in {path.stem for path in files_of(command)}


@pytest.mark.parametrize("path", files_of("train imagine"), ids=lambda path: path.stem)
def test_what_an_imagine_gan_learns_by_has_a_recipe(path: Path) -> None:
    recipe = load_recipe(path, ImagineRecipe)
    assert recipe.features in {"vgg19", *imagenet.WEIGHTS} or has_recipe(recipe.features, "train age")


@pytest.mark.parametrize("path", files_of("train slices"), ids=lambda path: path.stem)
def test_what_a_slice_gan_learns_by_has_a_recipe(path: Path) -> None:
    recipe = load_recipe(path, SliceRecipe)
    assert has_recipe(recipe.imagine, "train imagine")
    assert recipe.features in {"vgg19", *imagenet.WEIGHTS} or has_recipe(recipe.features, "train age")
    assert recipe.perceptual_features is None or has_recipe(recipe.perceptual_features, "train age")
    assert recipe.network.size % recipe.network.thickness == 0


@pytest.mark.parametrize("path", files_of("train landmarks"), ids=lambda path: path.stem)
def test_some_occluders_are_kept_for_the_test_of_landmarks(path: Path) -> None:
    recipe = load_recipe(path, LandmarkRecipe)
    assert "surgical-mask" in recipe.occluders
    assert {"n95-mask", "veil", "cup"} <= set(OCCLUDERS) - set(recipe.occluders)
    assert 0.5 < sum(recipe.occluders.values()) < 1  # some faces are clean


@pytest.mark.parametrize("path", files_of("evaluate lopo"), ids=lambda path: path.stem)
def test_what_leave_one_person_out_needs_has_a_recipe(path: Path) -> None:
    recipe = load_recipe(path, LopoRecipe)
    assert all(has_recipe(block.start, "train age") for block in recipe.blocks)
    assert all(has_recipe(name, "train slices") for name in recipe.ablations)


def test_ablations_differ_from_slices_in_what_they_leave_out_alone() -> None:
    whole, without, aware = (
        load_recipe(RECIPES / f"{name}.toml", SliceRecipe).model_dump(exclude={"name"})
        for name in ("slices", "slices-no-hue", "slices-age-aware")
    )
    assert without["loss"]["color"] == 0
    without["loss"]["color"] = whole["loss"]["color"]
    assert without == whole
    assert (aware["perceptual_features"], aware["loss"]["perceptual"] > 0) == ("best", True)
    aware["loss"]["perceptual"], aware["perceptual_features"] = 0, None
    assert aware == whole


def test_the_papers_spiral_net_has_its_sizes() -> None:
    imagine = load_recipe(RECIPES / "imagine-paper.toml", ImagineRecipe)
    slices = load_recipe(RECIPES / "slices-paper.toml", SliceRecipe)
    assert (imagine.network.size, imagine.network.width, imagine.network.blocks) == (128, 256, 8)
    assert (slices.network.size, slices.network.thickness) == (256, 32)
    assert (slices.network.width, slices.network.blocks, slices.network.residual) == (256, 6, False)
    assert imagine.loss == ImagineWeights(adversarial=0.1, perceptual=5, hue_color=10, l1=0)  # five layers' mean
    assert (imagine.batch, slices.batch) == (25, 5)
    assert (imagine.network.residual, slices.bands) == (False, None)
    assert slices.loss == SliceWeights()
    for recipe in (imagine, slices):
        assert (recipe.generator.learning_rate, recipe.discriminator.learning_rate) == (5e-5, 2e-4)
        assert recipe.generator.betas == recipe.discriminator.betas == (0, 0.999)


def test_an_unknown_occluder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"sample\.toml: windows\.papier.*: Input should be 'paper'"):
        load(changed(tmp_path, IMAGINE, "paper = 0.3", "papier = 0.3"))


def test_a_perceptual_loss_and_its_network_go_together(tmp_path: Path) -> None:
    text = (RECIPES / "slices.toml").read_text(encoding="utf-8")
    for old, new in (
        ("[loss]", "[loss]\nperceptual = 1"),
        ("batch = 4", 'batch = 4\nperceptual_features = "best"'),
    ):
        with pytest.raises(RecipeError, match="give both or neither"):
            load(changed(tmp_path, text, old, new))


@pytest.mark.parametrize("text", [AGE, IMAGINE], ids=["age", "imagine"])
def test_the_samples_are_sound(tmp_path: Path, text: str) -> None:
    assert load(changed(tmp_path, text, "seed = 1", "seed = 2")).seed == 2


@pytest.mark.parametrize(
    ("text", "old", "new", "key"),
    [
        (AGE, "seed = 1", "seed = 1\nsede = 2", "sede"),
        (AGE, "pool = 2", "pool = 2\npol = 2", "network.pol"),
        (AGE, "mean = 0.2", "meen = 0.2", "loss.mean-variance.meen"),
        (AGE, "mean = 0.2", 'name = "cross-entropy"\nmean = 0.2', "loss.cross-entropy.mean"),
        (AGE, "mean = 0.2", 'name = "dldl"\nl2 = 1.0', "loss.dldl.l2"),
        (AGE, "share = 0.4", "share = 0.4\nsise = 1", "stages.1.sise"),
        (IMAGINE, "l1 = 10.0", "l2 = 10.0", "loss.l2"),
    ],
)
def test_an_unknown_key_is_named(tmp_path: Path, text: str, old: str, new: str, key: str) -> None:
    with pytest.raises(RecipeError, match=rf"sample\.toml: {key}: "):
        load(changed(tmp_path, text, old, new))


@pytest.mark.parametrize(
    ("text", "old", "new", "key"),
    [
        (AGE, "batch = 64", "batch = 0", "batch"),
        (AGE, "seed = 1", "seed = -1", "seed"),
        (AGE, "seed = 1", 'seed = "one"', "seed"),
        (AGE, "seed = 1", "# no seed", "seed"),
        (AGE, "epochs = 10", "epochs = 0", "epochs"),
        (AGE, "ema = 0.998", "ema = 1.0", "ema"),
        (AGE, 'name = "sample"', 'name = "../sample"', "name"),
        (AGE, 'backbone = "compact"', 'backbone = "resnet"', "network.backbone"),
        (AGE, "crop = 256", "crop = 257", "network.crop"),
        (AGE, "pool = 2", "pool = 0", "network.pool"),
        (AGE, "dropout = 0.2", "dropout = 1.0", "network.dropout"),
        (AGE, "mean = 0.2", "mean = -0.2", "loss.mean-variance.mean"),
        (AGE, "mean = 0.2", 'name = "dldl"\nstd = 0', "loss.dldl.std"),
        (AGE, "seed = 1", "seed = 1\nmasked = 1.5", "occluders.paper"),
        (AGE, "seed = 1", 'seed = 1\npretrained = "imagenet"', "pretrained"),
        (AGE, "learning_rate = 4e-4", "learning_rate = 0", "optimiser.learning_rate"),
        (AGE, "clip_norm = 5.0", "clip_norm = -5.0", "optimiser.clip_norm"),
        (AGE, "size = 96", "size = 16", "stages.0.size"),
        (IMAGINE, "size = 64", "size = 40", "network.size"),
        (IMAGINE, "width = 96", "width = 6", "network.width"),
        (IMAGINE, "random = 0.5", "random = -0.5", "windows.random-window"),
    ],
)
def test_a_value_out_of_range_is_named(tmp_path: Path, text: str, old: str, new: str, key: str) -> None:
    with pytest.raises(RecipeError, match=rf"sample\.toml: {key}: "):
        load(changed(tmp_path, text, old, new))


@pytest.mark.parametrize(
    ("lines", "loss"),
    [
        ("mean = 0.3", MeanVariance(mean=0.3, variance=0.05)),
        ('name = "mean-variance"\nvariance = 0.1', MeanVariance(mean=0.2, variance=0.1)),
        ('name = "cross-entropy"', CrossEntropy(name="cross-entropy")),
        ('name = "dldl"', DistributionLearning(name="dldl", std=2.0, l1=0.0)),
        ('name = "dldl"\nstd = 3.0\nl1 = 1.0', DistributionLearning(name="dldl", std=3.0, l1=1.0)),
    ],
)
def test_a_loss_by_name(tmp_path: Path, lines: str, loss: MeanVariance | CrossEntropy | DistributionLearning) -> None:
    assert load_recipe(changed(tmp_path, AGE, "mean = 0.2", lines), AgeRecipe).loss == loss


def test_the_loss_is_mean_variance_unless_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sample.toml"
    path.write_text(AGE.replace("\n[loss]\nmean = 0.2\n", "\n"), encoding="utf-8")
    assert load_recipe(path, AgeRecipe).loss == MeanVariance(mean=0.2, variance=0.05)


@pytest.mark.parametrize("head", HEADS)
def test_every_head_has_a_loss_with_the_heads_settings(tmp_path: Path, head: HeadName) -> None:
    loss = load_recipe(changed(tmp_path, AGE, "mean = 0.2", f'name = "{head}"'), AgeRecipe).loss
    assert loss.name == head
    assert make_head(loss.name, 4, **loss.weights).width == 4


def test_an_unknown_loss_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    path = changed(tmp_path, AGE, "mean = 0.2", 'name = "focal"')
    with pytest.raises(RecipeError, match="loss: name must be mean-variance, cross-entropy or dldl"):
        load_recipe(path, AgeRecipe)


@pytest.mark.parametrize("value", ['"dldl"', '"focal"', "3", "[]"])
def test_a_loss_that_is_no_table_is_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / "sample.toml"
    path.write_text(f"loss = {value}\n" + AGE.replace("\n[loss]\nmean = 0.2\n", "\n"), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"sample\.toml: loss"):
        load_recipe(path, AgeRecipe)


def test_a_run_has_one_start(tmp_path: Path) -> None:
    mobile = AGE.replace('"compact"', '"mobilenet"')
    pretrained = 'seed = 1\npretrained = "faceres-deep"'
    recipe = load_recipe(changed(tmp_path, mobile, "seed = 1", pretrained), AgeRecipe)
    assert (recipe.start, recipe.pretrained) == (None, "faceres-deep")
    with pytest.raises(RecipeError, match="not both"):
        load_recipe(changed(tmp_path, mobile, "seed = 1", pretrained + '\nstart = "first"'), AgeRecipe)


@pytest.mark.parametrize("backbone", ["compact", "alexnet"])
def test_published_weights_are_for_their_own_backbone(tmp_path: Path, backbone: str) -> None:
    other = AGE.replace('"compact"', f'"{backbone}"')
    with pytest.raises(RecipeError, match="faceres-deep has weights for the backbone mobilenet only"):
        load_recipe(changed(tmp_path, other, "seed = 1", 'seed = 1\npretrained = "faceres-deep"'), AgeRecipe)


@pytest.mark.parametrize("size", [48, 96])
def test_imagines_size_must_divide_the_crop(tmp_path: Path, size: int) -> None:
    # at_size pools by 256 // size, so these would come out at 51 and 128 pixels.
    with pytest.raises(RecipeError, match=r"network\.size"):
        load(changed(tmp_path, IMAGINE, "size = 64", f"size = {size}"))


def test_windows_need_a_share_to_draw_from(tmp_path: Path) -> None:
    path = changed(tmp_path, IMAGINE, "random = 0.5\npaper = 0.3\nedge = 0.2", "random = 0\npaper = 0\nedge = 0")
    with pytest.raises(RecipeError, match="windows"):
        load(path)


def test_a_recipe_without_stages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sample.toml"
    path.write_text(AGE[: AGE.index("[[stages]]")], encoding="utf-8")
    with pytest.raises(RecipeError, match=r"stages: "):
        load(path)


def test_a_recipe_of_the_other_kind_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"imagine-128\.toml"):
        load_recipe(RECIPES / "imagine-128.toml", AgeRecipe)
    with pytest.raises(RecipeError, match=r"compact\.toml"):
        load_recipe(RECIPES / "compact.toml", ImagineRecipe)


@pytest.mark.parametrize("data", [b"name = ", b"just words", b'name = "caf\xe9"', b"\x89PNG\r\n"])
def test_not_toml(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(data)
    with pytest.raises(RecipeError, match="not TOML"):
        load_recipe(path, AgeRecipe)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(RecipeError, match="can't be read"):
            load_recipe(path, AgeRecipe)


@pytest.mark.parametrize("backbone", ["vgg16", "vgg16-bn"])
def test_a_width_is_for_vgg16(tmp_path: Path, backbone: str) -> None:
    wide = AGE.replace('backbone = "compact"', f'backbone = "{backbone}"\nwidth = 16')
    path = tmp_path / "sample.toml"
    path.write_text(wide, encoding="utf-8")
    assert load_recipe(path, AgeRecipe).network.width == 16
    path.write_text(wide.replace(f'"{backbone}"', '"alexnet"'), encoding="utf-8")
    with pytest.raises(RecipeError, match="width is for vgg16 and vgg16-bn; alexnet has one width"):
        load_recipe(path, AgeRecipe)


def numbers_in(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a recipe numbers stand."""
    parts = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in parts:
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield (*path, key)
        yield from numbers_in(value, (*path, key))


def complete_recipes() -> list[tuple[type[BaseModel], dict[str, Any]]]:
    """A recipe of every kind, with every key, also those that may be absent."""
    age = load_recipe(RECIPES / "best.toml", AgeRecipe).model_dump(mode="json")
    age["optimiser"] |= {"milestones": [0.5]}
    imagine = load_recipe(RECIPES / "imagine-128.toml", ImagineRecipe).model_dump(mode="json")
    slices = load_recipe(RECIPES / "slices.toml", SliceRecipe).model_dump(mode="json")
    lopo = load_recipe(RECIPES / "lopo-best.toml", LopoRecipe).model_dump(mode="json")
    return [(AgeRecipe, age), (ImagineRecipe, imagine), (SliceRecipe, slices), (LopoRecipe, lopo)]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1e300, -1e300, 10**400, 10**30], ids=str)
def test_no_number_is_absurd(value: float) -> None:
    for kind, values in complete_recipes():
        kind.model_validate(values)
        paths = list(numbers_in(values))
        assert len(paths) > 10
        for path in paths:
            changed = copy.deepcopy(values)
            inner = changed
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
            with pytest.raises(ValidationError):
                kind.model_validate(changed)


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e300", "1e999", "9" * 5000])
def test_an_absurd_learning_rate_is_one_clear_error(tmp_path: Path, value: str) -> None:
    with pytest.raises(RecipeError, match=r"sample\.toml: "):
        load(changed(tmp_path, AGE, "learning_rate = 4e-4", f"learning_rate = {value}"))


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 10_000,
        "a = " + "[" * 8_000 + "]" * 8_000,
        "a = " + "{a = " * 2_500 + "1" + "}" * 2_500,
        ".".join("a" * 4_000) + " = 1",
        "[" + ".".join("a" * 4_000) + "]",
        ".".join("a" * 200_000) + " = 1",
        "# " + "x" * (2 << 20),
    ],
    ids=["open", "arrays", "tables", "dotted", "table names", "endless key", "large"],
)
def test_a_hostile_file_is_one_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hostile.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"hostile\.toml: "):
        load_recipe(path, AgeRecipe)


def test_an_endless_file_is_one_clear_error() -> None:
    with pytest.raises(RecipeError, match="not a recipe"):
        load_recipe(Path("/dev/zero"), AgeRecipe)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("size = 128", "size = 96", r"the last stage trains at 96 pixels, the network is used at crop / pool = 128"),
        ("pool = 2", "pool = 1", r"trains at 128 pixels, the network is used at crop / pool = 256"),
        ("crop = 256", "crop = 224", r"trains at 128 pixels, the network is used at crop / pool = 112"),
        ("pool = 2", "pool = 3", r"network: .*pool must divide crop, 3 doesn't divide 256"),
        ("size = 96", "size = 257", r"stages\.0\.size"),
        ('backbone = "compact"', 'backbone = "alexnet"\nwidth = 64', None),
    ],
)
def test_what_is_trained_is_what_is_used(tmp_path: Path, old: str, new: str, message: str | None) -> None:
    path = changed(tmp_path, AGE, old, new)
    if message is None:
        load(path)
        return
    with pytest.raises(RecipeError, match=message):
        load(path)


def test_the_issues_recipe_is_refused(tmp_path: Path) -> None:
    text = AGE.replace("crop = 256", "crop = 224").replace("pool = 2", "pool = 3").replace("size = 128", "size = 96")
    (tmp_path / "sample.toml").write_text(text)
    with pytest.raises(RecipeError, match="pool must divide crop"):
        load(tmp_path / "sample.toml")


def test_a_stage_is_no_smaller_than_the_backbone_takes(tmp_path: Path) -> None:
    text = AGE.replace('backbone = "compact"', 'backbone = "alexnet"').replace("size = 96", "size = 48")
    (tmp_path / "sample.toml").write_text(text)
    with pytest.raises(RecipeError, match="a stage of alexnet has 63 to 256 pixels"):
        load(tmp_path / "sample.toml")


def test_old_keys_are_read(tmp_path: Path) -> None:
    old = IMAGINE.replace("discriminator", "critic")
    assert "critic_width" in old
    (tmp_path / "sample.toml").write_text(old)
    new = tmp_path / "new" / "sample.toml"
    new.parent.mkdir()
    new.write_text(IMAGINE)
    assert load(tmp_path / "sample.toml") == load(new)
    dldl = load_recipe(changed(tmp_path, AGE, "mean = 0.2", 'name = "dldl"\ndeviation = 3.0'), AgeRecipe)
    assert dldl.loss == DistributionLearning(name="dldl", std=3.0)
    slices = load_recipe(RECIPES / "slices.toml", SliceRecipe)
    former = slices.model_dump_json().replace("discriminator", "critic")
    assert "slice_critic_width" in former
    assert SliceRecipe.model_validate_json(former) == slices
