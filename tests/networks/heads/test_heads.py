"""Heads: distributions over 101 ages, losses in float32, and named as recipes name them."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch.nn import functional as F

from spiralage.networks.heads import HEADS, HeadName, SoftmaxHead, make_head
from spiralage.networks.heads.losses import distribution_loss, mean_variance_loss
from spiralage.training.recipes import CrossEntropy, DistributionLearning, MeanVariance

NAMES: tuple[HeadName, ...] = get_args(HeadName)
AGES = torch.tensor([1, 20, 60, 116])


def lively(name: HeadName, **settings: float) -> SoftmaxHead:
    """A head whose answers differ."""
    torch.manual_seed(0)
    head = make_head(name, 8, **settings)
    assert isinstance(head, SoftmaxHead)
    torch.nn.init.normal_(head.logits.weight)
    torch.nn.init.normal_(head.logits.bias)
    return head


def features() -> torch.Tensor:
    return torch.randn(4, 8, generator=torch.Generator().manual_seed(1))


def test_every_name_has_a_head() -> None:
    assert set(HEADS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_probabilities_are_the_softmax_of_the_logits(name: HeadName) -> None:
    head = lively(name)
    p = head.probabilities(features())
    assert (p.shape, p.dtype) == ((4, 101), torch.float32)
    torch.testing.assert_close(p.sum(dim=1), torch.ones(4))
    raised = (features() @ head.logits.weight.T + head.logits.bias).exp()
    torch.testing.assert_close(p, raised / raised.sum(dim=1, keepdim=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_new_head_starts_near_the_uniform_distribution(name: HeadName) -> None:
    torch.manual_seed(0)
    assert make_head(name, 256).probabilities(torch.randn(4, 256)).max() < 0.03  # uniform is 0.0099


def test_a_recipes_loss_is_its_heads() -> None:
    recipes = (MeanVariance(mean=0.3, variance=0.7), CrossEntropy(name="cross-entropy"))
    distribution = DistributionLearning(name="dldl", std=3.0, l1=0.5)
    heads = [lively(recipe.name, **recipe.weights) for recipe in (*recipes, distribution)]
    logits = heads[0].logits(features())
    expected = [
        mean_variance_loss(logits, AGES, mean_weight=0.3, variance_weight=0.7),
        F.cross_entropy(logits, AGES.clamp(max=100)),
        distribution_loss(logits, AGES, std=3.0, l1_weight=0.5),
    ]
    found = [head.loss(features(), AGES) for head in heads]
    torch.testing.assert_close(torch.stack(found), torch.stack(expected))
    assert len({round(loss.item(), 4) for loss in found}) == 3


@pytest.mark.parametrize("name", NAMES)
def test_under_bfloat16_the_loss_is_that_of_the_rounded_logits(name: HeadName) -> None:
    head = lively(name)
    with torch.autocast("cpu", torch.bfloat16):
        loss, p = head.loss(features(), AGES), head.probabilities(features())
        logits = head.logits(features())
    assert (logits.dtype, loss.dtype, p.dtype) == (torch.bfloat16, torch.float32, torch.float32)
    torch.testing.assert_close(loss, head.loss_of(logits.float(), AGES))
    torch.testing.assert_close(p, logits.float().softmax(dim=1))


def test_the_hook_after_an_epoch_asks_for_nothing_unless_a_head_wants_it() -> None:
    asked = iter([(features(), AGES)])
    make_head("dldl", 8).after_epoch(asked)
    assert next(asked)[0].shape == (4, 8)
