"""Taught by another network: the loss, the teacher's answers, and what the run remembers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from synthetic import FLOAT32, Kill, KillAt, age_recipe, use_leaf_head, use_tiny_backbones, write_crops
from torch import Tensor

from spiralage.datasets.crops import Crops
from spiralage.errors import CheckpointError
from spiralage.networks.age import AgeNetwork
from spiralage.networks.heads import make_head
from spiralage.networks.heads.losses import teaching_loss
from spiralage.training import teaching
from spiralage.training.checkpoint import load_tensors, save_tensors
from spiralage.training.pretrained import learned_from
from spiralage.training.recipes import AgeRecipe
from spiralage.training.run import CHECKPOINT, read_record
from spiralage.training.tasks.age import load_age_network, train_age
from spiralage.training.teaching import ANSWERS


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_backbones(monkeypatch)


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Crops:
    return write_crops(tmp_path_factory.mktemp("teaching") / "crops")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, crops: Crops) -> Path:
    """A folder with a finished run, ``first``."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_backbones(patch)
        train_age(age_recipe(name="first", epochs=1), crops, folder / "first", **FLOAT32)
    return folder


def taught(weight: float = 1.0, teacher: str = "first", **changes: Any) -> AgeRecipe:
    return age_recipe(teaching={"teacher": teacher, "weight": weight, "temperature": 2.0}, **changes)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_loss_is_the_divergence_of_tempered_distributions(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits, teacher_logits = (3 * torch.randn(4, 7, generator=generator, dtype=torch.float64) for _ in range(2))
    p, q = (logits / temperature).softmax(1), (teacher_logits / temperature).softmax(1)
    expected = temperature**2 * (q * (q / p).log()).sum(1).mean()
    found = teaching_loss(logits.log_softmax(1), teacher_logits.softmax(1), temperature=temperature)
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)


def test_an_age_that_the_teacher_rules_out_is_no_nan_and_teaches() -> None:
    logits = torch.zeros(1, 3, requires_grad=True)
    loss = teaching_loss(logits.log_softmax(1), torch.tensor([[1.0, 0.0, 0.0]]), temperature=2.0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(4 * np.log(3), rel=1e-5)
    assert logits.grad is not None
    assert logits.grad[0, 0] < 0 < logits.grad[0, 1]


def test_every_head_has_logarithms(monkeypatch: pytest.MonkeyPatch) -> None:
    use_leaf_head(monkeypatch)
    for name in ("mean-variance", "cross-entropy", "dldl"):  # the first is now a head that knows only probabilities
        head, features = make_head(name, 5), torch.randn(3, 5)
        torch.testing.assert_close(head.log_probabilities(features).exp(), head.probabilities(features))


def test_the_teacher_sees_the_whole_face_and_its_mirror_image(crops: Crops, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "first").symlink_to(runs / "first")
    covered = taught(occluders={"surgical-mask": 1.0})
    train_age(covered, crops, tmp_path / "run", minutes=0, **FLOAT32)
    answers = load_tensors(tmp_path / "run" / ANSWERS)[0]["probabilities"]
    teacher, train = load_age_network(runs / "first")[1], crops.indices("train")
    faces = torch.from_numpy(crops.take(train))
    with torch.no_grad():
        plain, mirrored = teacher(faces), teacher(faces.flip(2))
    assert (plain - mirrored).abs().max() > 1e-5
    torch.testing.assert_close(answers.float(), (plain + mirrored) / 2, atol=1e-4, rtol=1e-3)


def test_a_step_is_taught_the_answers_to_its_own_crops(
    crops: Crops, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "first").symlink_to(runs / "first")
    seen: list[tuple[Tensor, Tensor]] = []
    real = AgeNetwork.taught_loss

    def spy(network: AgeNetwork, pictures: Tensor, ages: Tensor, answers: Tensor, temperature: float) -> Any:
        seen.append((ages, answers))
        assert temperature == 2
        return real(network, pictures, ages, answers, temperature)

    monkeypatch.setattr(AgeNetwork, "taught_loss", spy)
    ages = torch.from_numpy(crops.ages[crops.indices("train")])
    monkeypatch.setattr(teaching, "_answers", lambda _net, c, chosen, _fabric: one_hot(c.ages[chosen]))
    train_age(taught(), crops, tmp_path / "run", **FLOAT32)
    assert all(torch.equal(answers.argmax(1), own) for own, answers in seen)
    assert sorted(torch.cat([own for own, _ in seen]).tolist()) == sorted(3 * ages.tolist())


def one_hot(ages: Any) -> Tensor:
    return torch.nn.functional.one_hot(torch.from_numpy(ages), 101).half()


def test_the_loss_is_labels_and_teacher(crops: Crops, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "first").symlink_to(runs / "first")
    first: dict[float, dict[str, float]] = {}
    for weight in (0.0, 2.0):
        progress = KillAt()
        train_age(taught(weight), crops, tmp_path / f"{weight}", progress=progress, minutes=0, **FLOAT32)
        first[weight] = progress.losses[-1]
    assert first[2.0]["teaching"] == pytest.approx(first[0.0]["teaching"])
    assert first[2.0]["loss"] == pytest.approx(first[0.0]["loss"] + 2 * first[0.0]["teaching"], rel=1e-5)


def test_answers_that_are_there_are_not_made_again(
    crops: Crops, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "first").symlink_to(runs / "first")
    monkeypatch.setattr(teaching, "BATCH", 4)
    monkeypatch.setattr(teaching, "SAVE_EVERY", 8)
    train_age(taught(), crops, tmp_path / "undisturbed", **FLOAT32)
    assert not (tmp_path / "undisturbed" / ANSWERS).exists()
    told = KillAt(12)  # killed while the teacher answers, after the first writing
    with pytest.raises(Kill):
        train_age(taught(), crops, tmp_path / "run", progress=told, **FLOAT32)
    assert len(load_tensors(tmp_path / "run" / ANSWERS)[0]["probabilities"]) == 8
    told = KillAt()
    assert train_age(taught(), crops, tmp_path / "run", progress=told, **FLOAT32)
    assert told.steps == [12, 16, *range(1, 13)]
    a, b = (load_age_network(tmp_path / name)[1].state_dict() for name in ("undisturbed", "run"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_damaged_answers_are_told_and_those_of_other_crops_replaced(crops: Crops, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "first").symlink_to(runs / "first")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ANSWERS).write_bytes(b"junk")
    with pytest.raises(CheckpointError, match=r"teaching\.safetensors: damaged .* remove it, it is made anew"):
        train_age(taught(), crops, tmp_path / "run", **FLOAT32)
    save_tensors(tmp_path / "run" / ANSWERS, {"probabilities": torch.ones(16, 101).half()}, {"teacher": "another"})
    told = KillAt()
    assert train_age(taught(), crops, tmp_path / "run", progress=told, **FLOAT32)
    assert told.steps[0] == 16


def test_the_run_remembers_its_teacher(crops: Crops, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "first").symlink_to(runs / "first")
    train_age(taught(epochs=1), crops, tmp_path / "run", **FLOAT32)
    record = read_record(tmp_path / "run")
    assert learned_from(record) == ["UTKFace, taught by first (UTKFace)"]
    header = (tmp_path / "run" / "log.csv").read_text().splitlines()[0]
    assert header == "step,seconds,loss,teaching,val_mae"
    (tmp_path / "first").unlink()
    train_age(age_recipe(name="first", seed=9, epochs=1), crops, tmp_path / "first", **FLOAT32)
    with pytest.raises(CheckpointError, match=r"run\.json has teacher_sha256"):
        train_age(taught(epochs=1), crops, tmp_path / "run", **FLOAT32)
    assert not (tmp_path / "run" / CHECKPOINT).exists()
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == record


def test_a_teacher_that_is_not_there_is_told(crops: Crops, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="missing: no finished run here"):
        train_age(taught(teacher="missing"), crops, tmp_path / "run", **FLOAT32)


def test_a_taught_recipe_has_no_pretraining() -> None:
    with pytest.raises(ValidationError, match="a taught run has no pretraining"):
        taught(pretraining=[{"data": "imdb", "epochs": 1}])
    with pytest.raises(ValidationError, match="temperature"):
        age_recipe(teaching={"teacher": "first", "temperature": 0.0})
