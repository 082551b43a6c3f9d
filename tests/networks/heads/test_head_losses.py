"""The losses of the heads, against numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from spiralage.networks.heads.losses import distribution_loss, mean_variance_loss
from spiralage.types import Doubles


def test_mean_variance_by_hand() -> None:
    logits = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]).log()
    ages = torch.tensor([0, 1])
    # Row 0: m = ¾, v = 11/16, CE = ln 2, ½(m − 0)² = 9/32. Row 1: m = 1¼, v = 11/16, CE = ln 4, ½(m − 1)² = 1/32.
    cross_entropy = (math.log(2) + math.log(4)) / 2
    mean, variance = (9 / 32 + 1 / 32) / 2, 11 / 16
    loss = mean_variance_loss(logits, ages, mean_weight=0.3, variance_weight=0.7)
    assert loss.item() == pytest.approx(cross_entropy + 0.3 * mean + 0.7 * variance, abs=1e-6)
    default = mean_variance_loss(logits, ages)
    assert default.item() == pytest.approx(cross_entropy + 0.2 * mean + 0.05 * variance, abs=1e-6)
    plain = mean_variance_loss(logits, ages, mean_weight=0, variance_weight=0)
    assert plain.item() == pytest.approx(cross_entropy, abs=1e-6)


def test_an_age_above_the_oldest_class_counts_as_the_oldest() -> None:
    logits = torch.randn(3, 101, generator=torch.Generator().manual_seed(0))
    old = torch.tensor([100, 110, 116])
    assert mean_variance_loss(logits, old) == mean_variance_loss(logits, torch.full((3,), 100))


@pytest.mark.parametrize(("mean_weight", "variance_weight"), [(0.2, 0.05), (2, 3), (0, 0)])
def test_mean_variance_has_the_right_gradient(mean_weight: float, variance_weight: float) -> None:
    logits = torch.randn(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    ages = torch.tensor([0, 3, 6])
    weights = {"mean_weight": mean_weight, "variance_weight": variance_weight}
    assert gradcheck(lambda x: mean_variance_loss(x, ages, **weights), (logits,))


def test_mean_variance_takes_bfloat16() -> None:
    logits = torch.randn(4, 101, generator=torch.Generator().manual_seed(0)).bfloat16()
    loss = mean_variance_loss(logits, torch.tensor([1, 20, 60, 90]))
    assert loss.dtype == torch.float32
    assert loss == mean_variance_loss(logits.float(), torch.tensor([1, 20, 60, 90]))


def normal_target(age: float, std: float, classes: int = 101) -> Doubles:
    """The discrete normal distribution around an age."""
    weights: Doubles = np.array([math.exp(-((year - age) ** 2) / (2 * std**2)) for year in range(classes)])
    return np.asarray(weights / weights.sum())


@pytest.mark.parametrize("age", [0, 1, 30, 100])
@pytest.mark.parametrize("std", [0.5, 2.0])
def test_distribution_loss_is_zero_at_its_target(age: int, std: float) -> None:
    logits = torch.from_numpy(np.log(np.maximum(normal_target(age, std), 1e-300)))[None]
    assert distribution_loss(logits, torch.tensor([age]), std=std).item() == pytest.approx(0, abs=1e-9)
    assert distribution_loss(logits + 1, torch.tensor([age + 1 if age < 100 else 99]), std=std) > 0.05


def test_distribution_loss_against_numpy() -> None:
    rng = np.random.default_rng(0)
    logits, ages = rng.standard_normal((3, 101)), [4, 50, 97]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    divergences, distances = [], []
    for row, age in zip(p, ages, strict=True):
        q = normal_target(age, 3.0)
        kept = q > 0
        divergences.append((q[kept] * np.log(q[kept] / row[kept])).sum())
        distances.append(abs((np.arange(101) * row).sum() - age))
    found = distribution_loss(torch.from_numpy(logits), torch.tensor(ages), std=3.0)
    assert found.item() == pytest.approx(np.mean(divergences), rel=1e-9)
    found = distribution_loss(torch.from_numpy(logits), torch.tensor(ages), std=3.0, l1_weight=0.7)
    assert found.item() == pytest.approx(np.mean(divergences) + 0.7 * np.mean(distances), rel=1e-9)


def test_distribution_loss_by_hand() -> None:
    # Three ages, y = 1 and std 1: q ∝ (e^-½, 1, e^-½). p is uniform: KL = log 3 − entropy of q, m = y.
    side = math.exp(-0.5) / (1 + 2 * math.exp(-0.5))  # 0.2741
    entropy = -2 * side * math.log(side) - (1 - 2 * side) * math.log(1 - 2 * side)
    uniform = torch.zeros(1, 3)
    for l1 in (0.0, 1.0):
        loss = distribution_loss(uniform, torch.tensor([1]), std=1.0, l1_weight=l1)
        assert loss.item() == pytest.approx(math.log(3) - entropy, abs=1e-6)
        assert loss.item() == pytest.approx(0.0301, abs=1e-4)


def test_distribution_loss_counts_an_age_above_the_oldest_class_as_the_oldest() -> None:
    logits = torch.randn(3, 101, generator=torch.Generator().manual_seed(0))
    hundred = distribution_loss(logits, torch.full((3,), 100), l1_weight=1.0)
    assert distribution_loss(logits, torch.tensor([100, 110, 116]), l1_weight=1.0) == hundred


@pytest.mark.parametrize("l1", [0.0, 1.0])
def test_distribution_loss_has_the_right_gradient(l1: float) -> None:
    logits = torch.randn(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    ages = torch.tensor([0, 2, 6])
    means = logits.detach().softmax(dim=1) @ torch.arange(7.0, dtype=torch.float64)
    assert ((means - ages).abs() > 0.1).all()  # away from the kink of |m − y|
    assert gradcheck(lambda x: distribution_loss(x, ages, std=1.5, l1_weight=l1), (logits,))


def test_distribution_loss_takes_bfloat16() -> None:
    logits = torch.randn(4, 101, generator=torch.Generator().manual_seed(0)).bfloat16()
    ages = torch.tensor([1, 20, 60, 90])
    loss = distribution_loss(logits, ages, l1_weight=1.0)
    assert loss.dtype == torch.float32
    assert loss == distribution_loss(logits.float(), ages, l1_weight=1.0)
