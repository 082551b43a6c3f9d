"""Leave one person out: from the zip to the table through the commands, killed and resumed, and in processes."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from people import AGES, write_archive
from PIL import Image
from synthetic import FLOAT32, Kill, age_recipe, use_tiny_backbones, write_crops
from torch import Tensor, nn

from spiralage.cli import main
from spiralage.datasets.crops import Crops, Indices
from spiralage.errors import CheckpointError, DatasetError
from spiralage.evaluation.conditions import all_conditions
from spiralage.evaluation.protocols import lopo
from spiralage.evaluation.protocols.lopo import Plan, pictures_of, run_lopo
from spiralage.evaluation.protocols.lopo_answers import read_predictions
from spiralage.evaluation.results import ConditionKey, LopoRow, PredictionRow, read_rows
from spiralage.faces.dlib_faces import DlibDetector
from spiralage.training.checkpoint import load_tensors, save_tensors
from spiralage.training.recipes import LopoRecipe, load_recipe
from spiralage.training.run import RECORD, WEIGHTS
from spiralage.training.tasks.age import build_age_network, load_age_network
from spiralage.types import Pixels

START = """
name = "tiny"
seed = 3
epochs = 1
batch = 4
[network]
backbone = "compact"
crop = 256
pool = 8
[optimiser]
learning_rate = 1e-3
[[stages]]
share = 1.0
size = 32
"""

LOPO = """
name = "tiny-lopo"
estimator = "Tiny"
seed = 7
mirror = true
[fine_tuning]
epochs = 2
batch = 4
[fine_tuning.optimiser]
learning_rate = 1e-2
[[blocks]]
faces = "unmasked"
start = "tiny"
[[blocks]]
faces = "masked"
start = "tiny-masked"
"""

COMMAND = (
    "evaluate",
    "lopo",
    "tiny-lopo.toml",
    "--crops",
    "cache/fgnet",
    "--threads",
    "1",
    "--device",
    "cpu",
    "--precision",
    "32-true",
)


@dataclass(frozen=True)
class Experiment:
    """The folder that the commands ran in, and what the last of them said."""

    folder: Path
    output: str

    @property
    def crops(self) -> Crops:
        return Crops(self.folder / "cache" / "fgnet")

    def plan(self, run: Path) -> Plan:
        recipe = load_recipe(self.folder / "tiny-lopo.toml", LopoRecipe)
        return Plan(recipe, self.folder / "cache" / "fgnet", self.folder / "runs", run, partial=True, **FLOAT32)

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "tiny-lopo"


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_backbones(monkeypatch)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """``train age`` twice, then ``evaluate lopo`` on a zip of three persons without faces."""

    folder = tmp_path_factory.mktemp("lopo")
    write_archive(folder / "FGNET.zip")
    write_crops(folder / "cache" / "utkface")
    (folder / "tiny.toml").write_text(START)
    masked = START.replace('"tiny"', '"tiny-masked"\nstart = "tiny"\nmasked = 1.0')
    (folder / "tiny-masked.toml").write_text(masked)
    (folder / "tiny-lopo.toml").write_text(LOPO)
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_backbones(patch)
        patch.setattr(DlibDetector, "SMALLEST_CNN", 10_000)  # no face is drawn: spare the slow search
        patch.chdir(folder)
        for recipe in ("tiny.toml", "tiny-masked.toml"):
            assert main(["train", "age", recipe, "--threads", "1", "--device", "cpu", "--precision", "32-true"]) == 0
        with contextlib.redirect_stdout(output):
            assert main([*COMMAND, "--data", "FGNET.zip", "--partial"]) == 0
    return Experiment(folder, output.getvalue())


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def folds(run: Path) -> dict[str, Tensor]:
    return {str(path.relative_to(run)): load_tensors(path)[0]["probabilities"] for path in run.glob("*/*.safetensors")}


def assert_same_folds(a: Path, b: Path) -> None:
    first, second = folds(a), folds(b)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def times(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.name != "identity.json"
    }


def test_the_table_has_a_row_for_every_condition_of_both_blocks(experiment: Experiment) -> None:
    path = experiment.folder / "results" / "table1.csv"
    constant, *rows = read_csv(path)
    assert list(constant) == list(LopoRow.model_fields)
    assert constant["estimator"] == "constant"
    # By hand: others' medians are 18, 29 and 18 years; see test_lopo_answers.py.
    assert float(constant["mae"]) == 196 / 12
    assert float(constant["cs5"]) == 1 / 12
    conditions = [c.key for c in all_conditions()]
    assert [row.key for row in read_rows(path, LopoRow)[1:]] == 2 * conditions
    trained_on = [row["trained_on"] for row in rows]
    ways = ("UTKFace → FG-NET, unmasked", "UTKFace → UTKFace, masked → FG-NET, masked")
    assert trained_on == [way for way in ways for _ in conditions]
    for row in rows:
        assert [row[name] for name in ("estimator", "recipe", "seed")] == ["Tiny", "tiny-lopo", "7"]
        assert [row[name] for name in ("images", "persons")] == ["12", "3"]
        assert row["commit"]
        assert row["hardware"]
        assert float(row["mae_low"]) < float(row["mae"]) < float(row["mae_high"])
    assert len(experiment.output.splitlines()) >= 1 + len(rows)


def test_the_table_follows_from_the_predictions_in_full(experiment: Experiment) -> None:
    answers = read_rows(experiment.folder / "results" / "lopo" / "tiny-lopo.csv", PredictionRow)
    assert {answer.found_by for answer in answers} == {"fallback"}
    persons = np.array([person for person, ages in AGES.items() for _ in ages])
    years = [age for ages in AGES.values() for age in ages]
    for row in read_rows(experiment.folder / "results" / "table1.csv", LopoRow)[1:]:
        asked = [answer for answer in answers if (answer.faces, answer.key) == (row.faces, row.key)]
        assert [answer.person for answer in asked] == persons.tolist()
        assert [answer.age for answer in asked] == years
        errors = np.abs(np.array([answer.estimate for answer in asked]) - years)
        by_person = [errors[persons == person].mean() for person in AGES]
        assert row.mae == pytest.approx(errors.mean(), abs=1e-9)
        assert row.mae_by_person == pytest.approx(np.mean(by_person), abs=1e-9)
        assert all(0 <= answer.cdf <= 1 for answer in asked)


def test_blocks_and_conditions_differ(experiment: Experiment) -> None:
    plan = experiment.plan(experiment.run)
    answers = [p for block in plan.recipe.blocks for p in read_predictions(plan, block).probabilities.values()]
    assert len(answers) == 2 * len(all_conditions())
    for index, p in enumerate(answers):
        assert p.shape == (12, 101)
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
        assert not any(np.allclose(p, other, atol=1e-6) for other in answers[:index])


def test_the_page_and_the_plot(experiment: Experiment) -> None:
    page = (experiment.folder / "results" / "table1.md").read_text(encoding="utf-8")
    for paper in ("| 4.47 (", "| 11.33 (", "| 7.86 ("):
        assert paper in page
    assert "`recipes/tiny-lopo.toml`, seed 7" in page
    with Image.open(experiment.folder / "results" / "lopo" / "tiny-lopo.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 300


def test_called_again_nothing_is_computed(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a fold is computed again")

    monkeypatch.chdir(experiment.folder)
    monkeypatch.setattr(lopo, "fine_tune", never)
    before, crops = times(experiment.run), times(experiment.folder / "cache")
    results = {path: path.read_bytes() for path in (experiment.folder / "results").rglob("*.*")}
    assert main([*COMMAND, "--partial"]) == 0  # without --data: the crops are there
    assert times(experiment.run) == before
    assert times(experiment.folder / "cache") == crops
    assert {path: path.read_bytes() for path in results} == results


def test_a_lost_fold_alone_is_computed_again(experiment: Experiment, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(experiment.run, run)
    before = times(run)
    lost = run / "masked" / "002.safetensors"
    lost.unlink()
    plan = experiment.plan(run)
    with pytest.raises(CheckpointError, match=r"002\.safetensors"):
        read_predictions(plan, plan.recipe.blocks[1])
    told: list[tuple[int, int, str]] = []
    run_lopo(plan, progress=lambda *what: told.append(what))
    assert told == [(3, 3, "folds, masked")]
    assert {name for name, time in times(run).items() if time != before[name]} == {"masked/002.safetensors"}
    assert_same_folds(run, experiment.run)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def garble(path: Path) -> None:
    path.write_bytes(b"\x00\xff" * 40)


def drop_a_condition(path: Path) -> None:
    tensors, facts = load_tensors(path)
    save_tensors(path, {"probabilities": tensors["probabilities"][1:]}, facts)


def forget_the_commit(path: Path) -> None:
    tensors, facts = load_tensors(path)
    save_tensors(path, tensors, {"person": facts["person"]})


def rename_the_tensor(path: Path) -> None:
    tensors, facts = load_tensors(path)
    save_tensors(path, {"other": tensors["probabilities"]}, facts)


def put_nan(path: Path) -> None:
    tensors, facts = load_tensors(path)
    save_tensors(path, {"probabilities": tensors["probabilities"] * float("nan")}, facts)


@pytest.mark.parametrize(
    "damage", [cut, garble, drop_a_condition, forget_the_commit, rename_the_tensor, put_nan, Path.unlink]
)
def test_a_damaged_fold_is_named(experiment: Experiment, tmp_path: Path, damage: Callable[[Path], object]) -> None:
    shutil.copytree(experiment.run, tmp_path / "run")
    plan = experiment.plan(tmp_path / "run")
    block = plan.recipe.blocks[0]
    read_predictions(plan, block)
    damage(tmp_path / "run" / "unmasked" / "002.safetensors")
    with pytest.raises(CheckpointError, match=r"002\.safetensors"):
        read_predictions(plan, block)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"recipe": 3}', '{"recipe": {"faces": "masked"}}', "\udcff"])
def test_a_damaged_identity_is_named(experiment: Experiment, tmp_path: Path, text: str) -> None:
    shutil.copytree(experiment.run, tmp_path / "run")
    (tmp_path / "run" / "unmasked" / "identity.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CheckpointError, match=r"identity\.json: damaged .* remove its folder"):
        run_lopo(experiment.plan(tmp_path / "run"))


def test_a_former_versions_experiment_goes_on(experiment: Experiment, tmp_path: Path) -> None:
    shutil.copytree(experiment.run, tmp_path / "run")
    for path in (tmp_path / "run").glob("*/identity.json"):
        identity = json.loads(path.read_text(encoding="utf-8"))
        del identity["recipe"]["occluders"]  # the paper's mask was the only one
        path.write_text(json.dumps(identity), encoding="utf-8")
    before = times(tmp_path / "run")
    run_lopo(experiment.plan(tmp_path / "run"))
    assert times(tmp_path / "run") == before


def test_killed_again_and_again_it_ends_as_if_undisturbed(experiment: Experiment, tmp_path: Path) -> None:
    plan = experiment.plan(tmp_path)

    def die_at(done: int, what: str) -> set[str]:
        """What is there after a kill."""

        def progress(*now: object) -> None:
            if now[::2] == (done, what):
                raise Kill

        with pytest.raises(Kill):
            run_lopo(plan, progress=progress)
        return {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*") if path.name != "identity.json"}

    # Half of the views, or all of them but not yet renamed: nothing is left of them.
    assert die_at(12, "views, unmasked") == set()
    assert die_at(24, "views, unmasked") == set()
    there = {"unmasked/views.npy"}
    assert die_at(12, "conditions, unmasked") == there
    there |= {"unmasked/answers.npy", "unmasked/001.safetensors"}
    assert die_at(1, "folds, unmasked") == there
    there |= {"unmasked/002.safetensors"}
    assert die_at(2, "folds, unmasked") == there
    there |= {"unmasked/003.safetensors"}
    assert die_at(24, "views, masked") == there
    there |= {f"masked/{name}" for name in ("views.npy", "answers.npy", "001.safetensors", "002.safetensors")}
    assert die_at(2, "folds, masked") == there
    run_lopo(plan)
    assert_same_folds(tmp_path, experiment.run)


def test_another_experiment_is_refused(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(experiment.folder)
    before = times(experiment.run)
    for number, (old, new) in enumerate(
        (("seed = 7", "seed = 8"), ("1e-2", "2e-2"), ('"tiny"', '"tiny-masked"'), ("mirror = true", "mirror = false"))
    ):
        other = tmp_path / f"{number}.toml"
        other.write_text(LOPO.replace(old, new))
        assert (
            main(
                [
                    "evaluate",
                    "lopo",
                    str(other),
                    "--run",
                    "runs/tiny-lopo",
                    "--device",
                    "cpu",
                    "--precision",
                    "32-true",
                    "--partial",
                ]
            )
            == 1
        )
        (error,) = capsys.readouterr().err.strip().splitlines()
        assert "runs/tiny-lopo/unmasked holds another experiment; choose another folder with --run" in error
    assert times(experiment.run) == before
    assert json.loads((experiment.run / "unmasked" / "identity.json").read_text())["recipe"]["seed"] == 7


def test_a_missing_start_run_is_one_clear_line(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(experiment.folder)
    (tmp_path / "lopo.toml").write_text(LOPO.replace('"tiny"', '"missing"'))
    assert main(["evaluate", "lopo", str(tmp_path / "lopo.toml"), "--run", str(tmp_path / "run"), "--partial"]) == 1
    (error,) = capsys.readouterr().err.strip().splitlines()
    assert "runs/missing: no finished run; run: spiralage train age recipes/missing.toml" in error


def test_a_start_that_has_seen_fgnet_is_refused(experiment: Experiment, tmp_path: Path) -> None:
    plan = experiment.plan(tmp_path / "run")
    shutil.copytree(plan.starts, tmp_path / "starts")
    record = tmp_path / "starts" / "tiny" / RECORD
    record.write_text(record.read_text().replace('"utkface"', '"fgnet"'))
    leaking = dataclasses.replace(plan, starts=tmp_path / "starts")
    with pytest.raises(CheckpointError, match="tiny has learned from FG-NET"):
        run_lopo(leaking)
    other = dataclasses.replace(leaking, recipe=plan.recipe.model_copy(update={"blocks": plan.recipe.blocks[1:]}))
    record = tmp_path / "starts" / "tiny-masked" / RECORD
    record.write_text(record.read_text().replace('"UTKFace"', '"FG-NET"'))  # what its own start had learned from
    with pytest.raises(CheckpointError, match="tiny-masked has learned from FG-NET"):
        run_lopo(other)
    assert not (tmp_path / "run").exists()


def test_a_part_of_fgnet_must_be_asked_for(experiment: Experiment, tmp_path: Path) -> None:
    plan = dataclasses.replace(experiment.plan(tmp_path / "run"), partial=False)
    with pytest.raises(DatasetError, match=r"has 12 images of 3 persons, FG-NET 1002 of 82; .* --partial"):
        run_lopo(plan)


def test_crops_of_another_data_set_are_refused(experiment: Experiment, tmp_path: Path) -> None:
    plan = dataclasses.replace(experiment.plan(tmp_path / "run"), crops=experiment.folder / "cache" / "utkface")
    with pytest.raises(DatasetError, match="holds crops of utkface, not of fgnet"):
        run_lopo(plan)


class LeftSide(nn.Module):
    """Stands for a network: its answer tells the brightness of the left half of what it sees."""

    def forward(self, x: Tensor) -> Tensor:
        return x[..., : x.shape[-1] // 2].mean(dim=(1, 2, 3))[:, None] * torch.linspace(-3, 3, 101)


def test_a_person_is_out_and_is_asked_about_own_pictures(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained_on: list[Indices] = []

    def fake(network: object, views: object, ages: Tensor, train: Indices, *_: object, **__: object) -> nn.Module:
        assert ages.tolist() == [age for person in AGES.values() for age in person]
        trained_on.append(train)
        return LeftSide()

    monkeypatch.setattr(lopo, "fine_tune", fake)
    plan, crops = experiment.plan(tmp_path), experiment.crops
    run_lopo(plan)
    subjects = np.array([row.subject for row in crops.rows])
    for person, train in zip([*AGES, *AGES], trained_on, strict=True):
        assert sorted(train) == list(np.flatnonzero(subjects != person))
        assert sorted([*train, *pictures_of(crops, person)]) == list(range(12))

    network = load_age_network(experiment.folder / "runs" / "tiny")[1]

    def asked(pictures: Pixels) -> np.ndarray:
        with torch.no_grad():
            return np.asarray(LeftSide()(network.normalise(network.views(torch.from_numpy(pictures)))).numpy())

    some = np.array([0, 5, 11])
    for block in plan.recipe.blocks:
        answers = read_predictions(plan, block).probabilities
        for condition in all_conditions():
            pictures = condition.apply(crops.take(some), some)
            expected = (asked(pictures) + asked(np.ascontiguousarray(pictures[:, :, ::-1]))) / 2
            np.testing.assert_allclose(answers[condition.key][some], expected, rtol=0.02)


def test_processes_compute_the_same(experiment: Experiment, tmp_path: Path) -> None:
    # Processes know nothing of this test's patches: a real network, small by its input and its frozen layers.
    network = {"backbone": "mobilenet", "crop": 256, "pool": 8, "dropout": 0.1}
    recipe = age_recipe(name="mobile", network=network)
    torch.manual_seed(0)
    start = build_age_network(recipe)
    for parameter in start.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
    save_tensors(tmp_path / "mobile" / WEIGHTS, start.state_dict(), {"recipe": recipe.model_dump(mode="json")})
    (tmp_path / "mobile" / RECORD).write_text('{"data": ["utkface"], "pretrained": ""}')
    values = {
        "name": "mobile-lopo",
        "estimator": "MobileNet",
        "seed": 7,
        "fine_tuning": {"epochs": 1, "batch": 4, "freeze": 12, "optimiser": {"learning_rate": 1e-3}},
        "blocks": [{"faces": "masked", "start": "mobile"}],
    }
    settings = LopoRecipe.model_validate(values)
    for workers in (1, 2):
        plan = Plan(settings, experiment.crops.folder, tmp_path, tmp_path / str(workers), partial=True, **FLOAT32)
        done: list[int] = []
        run_lopo(plan, workers=workers, progress=lambda now, total, what: done.append(now))  # noqa: B023
        assert done[-3:] == [1, 2, 3]
    assert_same_folds(tmp_path / "2", tmp_path / "1")
    answers = read_predictions(plan, settings.blocks[0]).probabilities
    assert all(np.isfinite(p).all() for p in answers.values())
    assert not np.allclose(answers[ConditionKey("original")][0], answers[ConditionKey("original")][-1], atol=1e-4)
