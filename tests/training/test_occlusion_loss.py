"""The losses of the network that finds occlusions, against what they are by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from spiralage.datasets.hidden_labels import Known
from spiralage.training.occlusion_loss import Targets, soft_dice_loss, targets, weighted_cross_entropy


def known_as(*columns: Known) -> Tensor:
    """A crop in stripes of equal width, each of another kind."""
    width = 256 // len(columns)
    return torch.cat([torch.full((1, 256, width), int(kind), dtype=torch.uint8) for kind in columns], dim=2)


def test_targets_are_means_over_what_is_known() -> None:
    known = known_as(Known.HIDDEN, Known.PERSON, Known.ASSUMED, Known.UNKNOWN)
    known[0, 0, 0] = Known.BEYOND  # a quarter of the first pixel
    known[0, 0, 1] = Known.VISIBLE
    found = targets(known, 128, person=5.0)
    assert found.hidden[0, 0, 0].item() == pytest.approx(2 / 3)
    assert found.weight[0, 0, 0].item() == pytest.approx(3 / 4)
    columns = [found.weight[0, 5, column].item() for column in (5, 40, 70, 100)]
    assert columns == [1, 5, 1, 0]
    assert [found.hidden[0, 5, column].item() for column in (5, 40, 70, 100)] == [1, 0, 0, 0]
    assert [bool(found.assumed[0, 5, column]) for column in (5, 40, 70, 100)] == [False, False, True, False]


def test_what_is_not_known_counts_in_no_loss() -> None:
    wanted = targets(known_as(Known.HIDDEN, Known.VISIBLE, Known.UNKNOWN, Known.BEYOND), 64, person=3.0)
    logits = torch.zeros(1, 64, 64, requires_grad=True)
    (weighted_cross_entropy(logits, wanted, 0.95) + soft_dice_loss(logits, wanted)).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert bool((logits.grad[:, :, 32:] == 0).all())
    assert bool((logits.grad[:, :, :16] < 0).all())
    assert bool((logits.grad[:, :, 16:32] > 0).all())


def test_cross_entropy_by_hand() -> None:
    wanted = targets(known_as(Known.HIDDEN, Known.VISIBLE, Known.PERSON, Known.UNKNOWN), 64, person=2.0)
    hit, miss = -math.log(0.8), -math.log(0.2)
    logits = torch.full((1, 64, 64), math.log(4))  # p = 0.8
    assert weighted_cross_entropy(logits, wanted, 1.0).item() == pytest.approx((hit + miss + 2 * miss) / 4)


def test_who_said_nothing_is_doubted_where_the_network_is_sure() -> None:
    for kind, surely, counted in (
        (Known.ASSUMED, 0.97, False),
        (Known.ASSUMED, 0.9, True),
        (Known.VISIBLE, 0.97, True),
        (Known.HIDDEN, 0.97, True),
    ):
        logits = torch.full((1, 64, 64), math.log(surely / (1 - surely)), requires_grad=True)
        weighted_cross_entropy(logits, targets(known_as(kind), 64, person=1.0), 0.95).backward()  # type: ignore[no-untyped-call]
        assert logits.grad is not None
        assert bool(logits.grad.any()) == counted


def test_dice_counts_pictures_not_pixels() -> None:
    hidden = torch.zeros(3, 64, 64)
    hidden[0, :, :32] = 1  # half
    hidden[1, :8, :8] = 1  # a 64th
    wanted = Targets(hidden, torch.ones_like(hidden), torch.zeros_like(hidden, dtype=torch.bool))
    right = (hidden * 2 - 1) * 100
    assert soft_dice_loss(right, wanted).item() == pytest.approx(0, abs=1e-6)
    for wrong in (0, 1):
        logits = right.clone()
        logits[wrong] = -100
        assert soft_dice_loss(logits, wanted).item() == pytest.approx(0.5)
    clean = Targets(hidden[2:], wanted.weight[2:], wanted.assumed[2:])
    assert soft_dice_loss(right[2:], clean).item() == 0  # says nothing of clean pictures


def test_nothing_known_is_no_loss() -> None:
    wanted = targets(known_as(Known.UNKNOWN), 64, person=1.0)
    logits = torch.ones(1, 64, 64)
    assert weighted_cross_entropy(logits, wanted, 0.95).item() == 0
    assert soft_dice_loss(logits, wanted).item() == 0
