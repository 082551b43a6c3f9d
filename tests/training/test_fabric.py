"""Precision is asked for; only "auto" asks the hardware."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from synthetic import FLOAT32, KillAt, age_recipe, use_tiny_backbones, write_crops

from spiralage.networks.heads import SoftmaxHead
from spiralage.training import fabric
from spiralage.training.fabric import Precision, make_fabric
from spiralage.training.tasks.age import train_age


@pytest.mark.parametrize("computes", [False, True])
def test_only_auto_asks_the_processor(monkeypatch: pytest.MonkeyPatch, computes: bool) -> None:
    monkeypatch.setattr(fabric, "computes_bfloat16", lambda device: computes)

    def dtype(precision: Precision) -> torch.dtype:
        with make_fabric("cpu", precision=precision).autocast():
            answer: torch.Tensor = torch.nn.Linear(2, 2)(torch.zeros(1, 2))
            return answer.dtype

    assert dtype("32-true") == torch.float32
    assert dtype("bf16-mixed") == torch.bfloat16
    assert dtype("auto") == (torch.bfloat16 if computes else torch.float32)


@pytest.mark.parametrize(("precision", "expected"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)])
def test_a_training_computes_as_it_is_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: Precision, expected: torch.dtype
) -> None:
    seen: list[torch.dtype] = []
    loss = SoftmaxHead.loss

    def spy(head: SoftmaxHead, features: torch.Tensor, ages: torch.Tensor) -> torch.Tensor:
        seen.append(head.logits(features).dtype)
        return loss(head, features, ages)

    use_tiny_backbones(monkeypatch)
    monkeypatch.setattr(SoftmaxHead, "loss", spy)
    crops = write_crops(tmp_path / "crops")
    assert train_age(age_recipe(epochs=0.5), crops, tmp_path / "run", device="cpu", precision=precision)
    assert seen == [expected] * 2


def test_bfloat16_goes_nearly_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_backbones(monkeypatch)
    crops, exact, rounded = write_crops(tmp_path / "crops"), KillAt(), KillAt()
    train_age(age_recipe(epochs=1), crops, tmp_path / "exact", progress=exact, **FLOAT32)
    train_age(age_recipe(epochs=1), crops, tmp_path / "rounded", device="cpu", precision="bf16-mixed", progress=rounded)
    for one, two in zip(exact.losses, rounded.losses, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=0.03)
    assert exact.losses != rounded.losses
