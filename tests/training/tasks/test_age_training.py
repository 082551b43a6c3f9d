"""Training an age network: killed and resumed it ends as if undisturbed, and it learns."""

from __future__ import annotations

import csv
import functools
import json
import resource
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from synthetic import (
    FLOAT32,
    Kill,
    KillAt,
    age_recipe,
    drawn_crop,
    frequencies,
    use_leaf_head,
    use_tiny_backbones,
    write_crops,
    write_shard,
)
from torch import Tensor

from spiralage.datasets.crops import Crops
from spiralage.datasets.manifest import Row
from spiralage.errors import CheckpointError, DatasetError, OptionError, OutputError, SpiralageError, TrainingError
from spiralage.files import sha256_of
from spiralage.networks.age import AgeNetwork
from spiralage.networks.backbones import CompactNet
from spiralage.training.checkpoint import load_tensors, save_tensors
from spiralage.training.fabric import make_fabric
from spiralage.training.loop import batch_at, picture_order
from spiralage.training.optimisers import set_learning_rate
from spiralage.training.recipes import AgeRecipe, Optimiser, Stage
from spiralage.training.run import CHECKPOINT, WEIGHTS, Run
from spiralage.training.tasks import age
from spiralage.training.tasks.age import load_age_network, size_at, train_age, validation_mae


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Crops:
    return write_crops(tmp_path_factory.mktemp("age") / "crops")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_backbones(monkeypatch)


@pytest.fixture
def save_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every step."""
    monkeypatch.setattr(age, "Run", functools.partial(Run, save_every_s=0))


def train(
    crops: Crops,
    folder: Path,
    recipe: AgeRecipe | None = None,
    progress: KillAt | None = None,
    minutes: float | None = None,
) -> bool:
    return train_age(
        recipe or age_recipe(),
        crops,
        folder,
        minutes=minutes,
        progress=progress or KillAt(),
        **FLOAT32,
    )


def weights(folder: Path) -> dict[str, Tensor]:
    return load_tensors(folder / WEIGHTS)[0]


def assert_same_weights(a: Path, b: Path) -> None:
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    different = {n: (first[n] - second[n]).abs().max().item() for n in first if not torch.equal(first[n], second[n])}
    assert not different


def test_a_run_leaves_weights_log_and_facts(crops: Crops, tmp_path: Path) -> None:
    progress = KillAt()
    assert train(crops, tmp_path, progress=progress)
    assert progress.steps == list(range(1, 13))
    files = {WEIGHTS, "log.csv", "recipe.json", "run.json", "tensorboard"}
    assert {path.name for path in tmp_path.iterdir()} == files
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts.items() >= {"recipe": "tiny", "seed": 3, "steps": 12, "train_images": 16}.items()
    assert set(facts) >= {"commit", "hardware", "minutes", "val_mae"}
    log = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [row["step"] for row in log] == ["4", "8", "12"]
    assert float(log[-1]["val_mae"]) == pytest.approx(facts["val_mae"], abs=1e-4)
    assert AgeRecipe.model_validate_json((tmp_path / "recipe.json").read_text()) == age_recipe()
    recipe, network = load_age_network(tmp_path)
    assert recipe == age_recipe()
    assert isinstance(network, AgeNetwork)
    assert not network.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, weights(tmp_path)[name])


@pytest.mark.usefixtures("save_always")
@pytest.mark.parametrize("kills", [(7,), (2, 5, 12)])
def test_killed_and_resumed_the_weights_are_bit_identical(crops: Crops, tmp_path: Path, kills: tuple[int, ...]) -> None:
    train(crops, tmp_path / "undisturbed")
    folder = tmp_path / "killed"
    done = 0
    for kill in kills:
        progress = KillAt(kill)
        with pytest.raises(Kill):
            train(crops, folder, progress=progress)
        assert progress.steps == list(range(done + 1, kill + 1))
        assert load_tensors(folder / CHECKPOINT)[1]["step"] == kill - 1
        done = kill - 1
    last = KillAt()
    assert train(crops, folder, progress=last)
    assert last.steps == list(range(done + 1, 13))
    assert not (folder / CHECKPOINT).exists()
    assert_same_weights(folder, tmp_path / "undisturbed")


def test_the_seed_matters(crops: Crops, tmp_path: Path) -> None:
    train(crops, tmp_path / "a")
    train(crops, tmp_path / "b", age_recipe(seed=4))
    assert not torch.equal(weights(tmp_path / "a")["head.logits.weight"], weights(tmp_path / "b")["head.logits.weight"])


def test_out_of_minutes_it_stops_with_a_checkpoint(crops: Crops, tmp_path: Path) -> None:
    progress = KillAt()
    assert not train(crops, tmp_path, progress=progress, minutes=0)
    assert progress.steps == [1]
    assert load_tensors(tmp_path / CHECKPOINT)[1]["step"] == 1
    assert not (tmp_path / WEIGHTS).exists()
    with pytest.raises(CheckpointError):
        load_age_network(tmp_path)
    assert not train(crops, tmp_path, progress=progress, minutes=0)
    assert progress.steps == [1, 2]


@pytest.mark.parametrize(
    "other",
    [
        age_recipe(seed=4),
        age_recipe(network={"backbone": "compact", "crop": 224, "pool": 7}, stages=[{"share": 1.0, "size": 32}]),
        age_recipe(optimiser={"name": "sgd", "learning_rate": 1e-3}),
    ],
    ids=["seed", "crop", "optimiser"],
)
def test_another_recipe_can_not_go_on_with_a_run(crops: Crops, tmp_path: Path, other: AgeRecipe) -> None:
    train(crops, tmp_path, minutes=0)
    with pytest.raises(CheckpointError, match="another run folder"):
        train(crops, tmp_path, other)
    # The refused call left the run as it was.
    assert AgeRecipe.model_validate_json((tmp_path / "recipe.json").read_text()) == age_recipe()
    assert load_tensors(tmp_path / CHECKPOINT)[1]["step"] == 1


def test_another_network_can_not_go_on_with_a_run(
    crops: Crops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(crops, tmp_path, minutes=0)
    monkeypatch.setattr(age, "make_backbone", lambda name, dropout, width: CompactNet((8, 12, 20), (1, 1, 1), dropout))
    with pytest.raises(CheckpointError, match="another run folder"):
        train(crops, tmp_path)


def test_another_recipe_does_not_replace_a_finished_run(crops: Crops, tmp_path: Path) -> None:
    train(crops, tmp_path, age_recipe(epochs=0.25))
    before = weights(tmp_path)
    with pytest.raises(CheckpointError, match="another run folder"):
        train(crops, tmp_path, age_recipe(epochs=0.25, seed=4))
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(tmp_path).items())


def test_a_run_starts_from_the_weights_of_another(crops: Crops, tmp_path: Path) -> None:
    first = age_recipe(name="first")
    train_age(first, crops, tmp_path / "first", **FLOAT32)
    still = {"learning_rate": 1e-12}
    second = age_recipe(name="second", start="first", epochs=1, optimiser=still, ema=0.0)
    train_age(second, crops, tmp_path / "second", **FLOAT32)
    expected = load_age_network(tmp_path / "first")[1].get_submodule("backbone").state_dict()
    found = load_age_network(tmp_path / "second")[1].get_submodule("backbone").state_dict()
    assert all(torch.allclose(found[name], value) for name, value in expected.items() if name.endswith("weight"))
    facts = json.loads((tmp_path / "second" / "run.json").read_text())
    assert facts["start_data"] == ["UTKFace"]
    assert facts["start_sha256"] == sha256_of(tmp_path / "first" / WEIGHTS)
    with pytest.raises(CheckpointError, match="missing"):
        train_age(age_recipe(start="missing"), crops, tmp_path / "third", **FLOAT32)


def test_another_start_does_not_pass_for_the_one_that_was(crops: Crops, tmp_path: Path) -> None:
    train_age(age_recipe(name="first", epochs=0.25), crops, tmp_path / "first", **FLOAT32)
    second = age_recipe(name="second", start="first", epochs=0.25)
    train_age(second, crops, tmp_path / "second", **FLOAT32)
    shutil.rmtree(tmp_path / "first")
    train_age(age_recipe(name="first", epochs=0.25, seed=9), crops, tmp_path / "first", **FLOAT32)
    with pytest.raises(CheckpointError, match=r"second/run\.json has start_sha256"):
        train_age(second, crops, tmp_path / "second", **FLOAT32)


def test_crops_of_another_data_set_are_refused(crops: Crops, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds crops of utkface, not of wiki"):
        train(crops, tmp_path, age_recipe(data="wiki"))


def test_a_data_set_without_validation_pictures_has_no_error(tmp_path: Path) -> None:
    rows = [Row(f"{index}.jpg", f"{index}", 20, None, None, "train") for index in range(8)]
    crops = write_shard(tmp_path / "crops", rows, [drawn_crop(20, np.random.default_rng(0))] * 8)
    assert train(crops, tmp_path / "run", age_recipe(epochs=0.5))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["val_mae"] is None


def test_a_masked_run_is_validated_on_masked_faces(
    crops: Crops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def spy(*_: object, masked: bool) -> float:
        asked.append(masked)
        return 5.0

    monkeypatch.setattr(age, "validation_mae", spy)
    for share in (0.0, 0.5, 1.0):
        train(crops, tmp_path / str(share), age_recipe(epochs=0.25, masked=share))
    assert asked == [False, False, True]


def test_the_mask_makes_another_error(crops: Crops, tmp_path: Path) -> None:
    train(crops, tmp_path)
    network, fabric = load_age_network(tmp_path)[1], make_fabric(**FLOAT32)
    assert validation_mae(network, crops, "val", fabric) != validation_mae(network, crops, "val", fabric, masked=True)


def test_more_gpus_than_there_are_is_one_clear_error() -> None:
    with pytest.raises(OptionError, match=r"99 GPUs are asked for, \d found"):
        make_fabric("cuda", 99)


def test_a_finished_run_is_left_alone(crops: Crops, tmp_path: Path) -> None:
    assert train_age(age_recipe(), crops, tmp_path / "run", **FLOAT32)
    before = (tmp_path / "run" / "run.json").read_bytes()
    calls = KillAt(1)
    assert train_age(age_recipe(), crops, tmp_path / "run", progress=calls, **FLOAT32)
    assert calls.steps == []
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_a_finished_run_may_come_to_look_at_mirror_images(crops: Crops, tmp_path: Path) -> None:
    plain = age_recipe(epochs=0.25)
    mirrored = plain.model_copy(update={"network": plain.network.model_copy(update={"mirror": True})})
    train(crops, tmp_path, plain)
    before, record = weights(tmp_path), (tmp_path / "run.json").read_bytes()
    calls = KillAt(1)
    assert train(crops, tmp_path, mirrored, progress=calls)
    assert calls.steps == []
    recipe, network = load_age_network(tmp_path)
    assert recipe == mirrored
    assert network.mirror
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(tmp_path).items())
    assert (tmp_path / "run.json").read_bytes() == record
    assert load_tensors(tmp_path / WEIGHTS)[1]["steps"] == 1


def test_fewer_pictures_than_a_batch_are_told(crops: Crops, tmp_path: Path) -> None:
    with pytest.raises(SpiralageError):
        train(crops, tmp_path, age_recipe(batch=64, epochs=8))


def test_the_network_learns(crops: Crops, tmp_path: Path) -> None:
    still = {"rotation_degrees": 0, "shift": 0, "scale": 0, "colour": 0, "gray": 0, "blur": 0}
    recipe = age_recipe(
        epochs=25,
        augmentation=still,
        validate_every_epochs=25,
        network={"backbone": "compact", "crop": 256, "pool": 8, "dropout": 0.0},
        optimiser={"learning_rate": 5e-3, "warmup_steps": 5, "clip_norm": 5.0},
    )
    progress = KillAt()
    train(crops, tmp_path, recipe, progress)
    losses = [values["loss"] for values in progress.losses]
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) / 4
    # Ages are 12 or 92, give or take 2; the best constant is off by 40 years.
    assert json.loads((tmp_path / "run.json").read_text())["val_mae"] < 15


def test_the_size_follows_the_stages() -> None:
    stages = (Stage(share=0.6, size=64), Stage(share=0.6, size=128))  # shares are normalised
    recipe = age_recipe().model_copy(update={"stages": stages})
    assert [size_at(recipe, p) for p in (0, 0.49, 0.5, 0.99, 1)] == [64, 64, 128, 128, 128]


def test_an_epoch_shows_every_picture_once() -> None:
    indices = np.arange(100, 112)
    for epoch in range(2):
        shown = np.concatenate([batch_at(indices, 3 * epoch + step, 4, 1) for step in range(3)])
        assert sorted(shown) == list(indices)
    assert not np.array_equal(batch_at(indices, 0, 12, 1), batch_at(indices, 1, 12, 1))
    assert not np.array_equal(picture_order(12, 1, 0), picture_order(12, 2, 0))


def test_the_learning_rate_warms_up_and_falls() -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=9.0)

    def rate(settings: Optimiser, step: int) -> float:
        set_learning_rate(optimiser, settings, step, 100)
        return float(optimiser.param_groups[0]["lr"])

    constant = Optimiser(learning_rate=2.0, warmup_steps=4, schedule="constant")
    assert [rate(constant, step) for step in (0, 1, 3, 4, 99)] == [0.5, 1.0, 2.0, 2.0, 2.0]
    cosine = Optimiser(learning_rate=2.0)
    assert [rate(cosine, step) for step in (0, 50, 100)] == pytest.approx([2.0, 1.0, 0.0])


@pytest.mark.usefixtures("save_always")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_no_number_stops_the_run(
    crops: Crops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    loss, asked = AgeNetwork.loss, 0

    def breaks(network: AgeNetwork, pictures: Tensor, ages: Tensor) -> Tensor:
        nonlocal asked
        asked += 1
        return loss(network, pictures, ages) * (value if asked == 7 else 1)

    monkeypatch.setattr(AgeNetwork, "loss", breaks)
    with pytest.raises(TrainingError, match=f"stopped at step 7: loss is {value}; the last good checkpoint stays"):
        train(crops, tmp_path / "broken")
    tensors, meta = load_tensors(tmp_path / "broken" / CHECKPOINT)
    assert meta["step"] == 6
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())
    assert not Run(tmp_path / "broken", age_recipe(), "cpu").is_complete
    with pytest.raises(CheckpointError):
        load_age_network(tmp_path / "broken")
    # The checkpoint is as good as it says: without the fault the run ends as one that never had it.
    monkeypatch.setattr(AgeNetwork, "loss", loss)
    assert train(crops, tmp_path / "broken")
    train(crops, tmp_path / "undisturbed")
    assert_same_weights(tmp_path / "broken", tmp_path / "undisturbed")


@pytest.mark.usefixtures("save_always")
@pytest.mark.parametrize("step", [5, 12])
def test_weights_that_are_no_numbers_are_never_saved(
    crops: Crops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    asked = 0

    def breaks(network: AgeNetwork, settings: Optimiser) -> None:
        nonlocal asked
        asked += 1
        if asked == step:
            next(network.parameters()).grad.fill_(np.nan)  # type: ignore[union-attr]

    monkeypatch.setattr(age, "clip_gradients", breaks)
    with pytest.raises(
        TrainingError, match=f"stopped at step {step}: (network|average).* has values that are no numbers"
    ):
        train(crops, tmp_path)
    assert load_tensors(tmp_path / CHECKPOINT)[1]["step"] == step - 1
    assert not (tmp_path / WEIGHTS).exists()
    assert not (tmp_path / "run.json").exists()


def test_an_absurd_learning_rate_is_no_complete_run(crops: Crops, tmp_path: Path) -> None:
    wild = age_recipe(optimiser={"name": "sgd", "learning_rate": 10}, loss={"mean": 1e6, "variance": 1e6})
    with pytest.raises(TrainingError, match="stopped at step"):
        train(crops, tmp_path, wild)
    assert not (tmp_path / WEIGHTS).exists()


def steps_in(log: Path) -> list[str]:
    return [row["step"] for row in csv.DictReader(log.read_text().splitlines())]


@pytest.mark.usefixtures("save_always")
@pytest.mark.parametrize("kills", [(1,), (3,), (5, 6, 7), (4, 12)])
def test_the_log_has_every_step_once(crops: Crops, tmp_path: Path, kills: tuple[int, ...]) -> None:
    recipe = age_recipe(validate_every_epochs=0.25)
    for kill in kills:
        with pytest.raises(Kill):
            train(crops, tmp_path, recipe, KillAt(kill))
        with (tmp_path / "log.csv").open("a") as file:
            file.write(f"{kill},3,0.1234,9.9\n{kill + 1},3,0.12")  # logged after the last checkpoint, then half a line
    train(crops, tmp_path, recipe)
    assert steps_in(tmp_path / "log.csv") == [str(step) for step in range(1, 13)]
    assert "0.1234" not in (tmp_path / "log.csv").read_text()


@pytest.mark.parametrize(
    "text", ["", "junk", "step,seconds,loss", "\0\n\n\n", "step,seconds,loss\nx,1,2\n-4,1,1\n99,1,1\n"]
)
def test_a_damaged_log_is_mended(crops: Crops, tmp_path: Path, text: str) -> None:
    (tmp_path / "log.csv").write_text(text)
    train(crops, tmp_path, age_recipe(epochs=1))
    assert steps_in(tmp_path / "log.csv") == ["4"]


@pytest.mark.usefixtures("save_always")
def test_a_full_disk_is_told_and_the_checkpoint_stays(crops: Crops, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(step: int, steps: int, values: dict[str, float]) -> None:
        if step == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))

    try:
        with pytest.raises(OutputError, match=r"checkpoint\.safetensors: can't be written"):
            train_age(age_recipe(), crops, tmp_path, progress=fill, **FLOAT32)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert load_tensors(tmp_path / CHECKPOINT)[1]["step"] == 2
    assert {path.name for path in tmp_path.iterdir()} <= {CHECKPOINT, "recipe.json", "log.csv", "tensorboard"}
    assert train(crops, tmp_path)


def damage(path: Path, kind: str) -> None:
    """Spoil a checkpoint."""
    tensors, meta = load_tensors(path)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif kind == "no table":
        save_tensors(path, tensors, [1, 2])  # type: ignore[arg-type]
    elif kind == "nested":
        save_file(tensors, path, metadata={"spiralage": "[" * 100_000})
    elif kind == "groups":
        save_tensors(path, tensors, meta | {"param_groups": 3})
    elif kind == "tensors":
        save_tensors(path, {"network/x": torch.zeros(1)}, meta)
    else:
        save_tensors(path, tensors, meta | {kind: "three"})


@pytest.mark.parametrize("kind", ["cut", "no table", "nested", "groups", "tensors", "step", "seconds", "commits"])
def test_a_damaged_checkpoint_is_one_clear_error(crops: Crops, tmp_path: Path, kind: str) -> None:
    train(crops, tmp_path, minutes=0)
    damage(tmp_path / CHECKPOINT, kind)
    with pytest.raises(CheckpointError, match=CHECKPOINT):
        train(crops, tmp_path)


@pytest.mark.parametrize(("epochs", "calls"), [(3, 3), (1.25, 2), (0.25, 1)])
def test_a_head_is_told_of_every_epoch_and_what_it_learned_is_kept(
    crops: Crops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: float, calls: int
) -> None:
    told = use_leaf_head(monkeypatch)
    train(crops, tmp_path, age_recipe(epochs=epochs))
    ages = torch.from_numpy(crops.ages[crops.indices("train")])
    assert told == [((16, 16), ages.tolist())] * 2 * calls  # the network and its average
    _, network = load_age_network(tmp_path)
    with torch.no_grad():
        found = network(torch.from_numpy(crops.take(np.arange(2))))
    assert torch.equal(found, frequencies(ages).expand(2, -1))


@pytest.mark.parametrize("years", ["-5", "121", "999", "nan", "3.5"])
def test_an_age_that_nobody_has_is_found_before_the_training(tmp_path: Path, years: str) -> None:
    write_crops(tmp_path / "faces")
    table = tmp_path / "faces" / "shard-0000.csv"
    table.write_text(table.read_text().replace("0.jpg,0.jpg,10,", f"0.jpg,0.jpg,{years},", 1))
    with pytest.raises(DatasetError, match=r"bad row, .*0\.jpg"):
        train(Crops(tmp_path / "faces"), tmp_path / "run")
    assert not (tmp_path / "run" / "log.csv").exists()


def test_a_validation_that_is_no_number_stops_the_run(
    crops: Crops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(age, "validation_mae", lambda *_, **__: float("nan"))
    with pytest.raises(TrainingError, match="val_mae is nan"):
        train(crops, tmp_path / "run")
    assert not (tmp_path / "run" / WEIGHTS).exists()
