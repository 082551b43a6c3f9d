"""The loss of the network that finds occlusions: cross-entropy of pixels, and soft Dice of pictures.

Why these two. Cross-entropy gives probabilities that mean something, which a threshold is then chosen from, and it is
defined where nothing is hidden: a share of the pictures, and the goal that clean faces stay whole. But it counts
pixels, and a few lost at every edge cost little. Soft Dice (Milletari et al. 2016) is nearly the measure that counts,
intersection over union, and a small occluder weighs in it as much as a large one. Lovász's hinge (Berman et al. 2018)
is that measure itself, but sorts every picture's pixels at every step, leaves no probabilities, and says nothing about
pictures without an occluder.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from spiralage.datasets.hidden_labels import Known


class Targets(NamedTuple):
    """What is known, at the network's size.

    Args:
        hidden: (N, S, S) float in [0, 1], the hidden part of what is known of each pixel.
        weight: (N, S, S) float ≥ 0; 0 where nothing is known.
        assumed: (N, S, S) bool, taken for visible though nobody said so.
    """

    hidden: Tensor
    weight: Tensor
    assumed: Tensor


def targets(known: Tensor, size: int, person: float) -> Targets:
    """What is known of crops, brought to the network's size.

    Args:
        known: (N, 256, 256) uint8, each a ``Known``.
        size: S, divides 256.
        person: the weight of a person's glasses, hair and hat.

    Example:
        >>> known = torch.full((1, 256, 256), int(Known.VISIBLE), dtype=torch.uint8)
        >>> known[:, :, :128] = Known.HIDDEN
        >>> found = targets(known, 64, person=3.0)
        >>> found.hidden.mean().item(), found.weight.mean().item(), found.assumed.any().item()
        (0.5, 1.0, False)
    """
    table = torch.ones(len(Known), device=known.device)
    table[[Known.UNKNOWN, Known.BEYOND]] = 0
    counts = table[known.int()]  # (N, 256, 256)
    table[Known.PERSON] = person
    factor = known.shape[-1] // size
    kinds = torch.stack([(known == Known.HIDDEN).float(), counts, table[known.int()], (known == Known.ASSUMED).float()])
    hidden, part, weight, assumed = F.avg_pool2d(kinds, factor)
    return Targets(hidden / part.clamp(min=1e-6), weight, assumed == 1)


def weighted_cross_entropy(logits: Tensor, wanted: Targets, doubt: float) -> Tensor:
    """The mean over known pixels of −h·log p − (1 − h)·log(1 − p), weighted.

    A pixel that is only assumed to be visible counts in it up to p = ``doubt``: there the network is surer than
    whoever said nothing, as of the hands, microphones and sunglasses that faces of every set have before them. It is a
    hard form of Reed et al. 2015, "bootstrapping".

    Args:
        logits: (N, S, S).
        wanted: see ``targets``.
        doubt: 1 trusts all.

    Example:
        >>> visible = Targets(torch.zeros(1, 2, 2), torch.ones(1, 2, 2), torch.tensor([[[True, False]] * 2]))
        >>> round(weighted_cross_entropy(torch.full((1, 2, 2), 4.0), visible, doubt=0.95).item(), 3)  # log(1 + e⁴)
        4.018
    """
    probability = torch.sigmoid(logits.detach())
    counted = wanted.weight * ~(wanted.assumed & (probability > doubt))
    each = F.binary_cross_entropy_with_logits(logits, wanted.hidden, reduction="none")
    return (each * counted).sum() / counted.sum().clamp(min=1)


LEAST = 0.002
"""Pictures that hide less, as a part of the crop, have no Dice."""


def soft_dice_loss(logits: Tensor, wanted: Targets) -> Tensor:
    """The mean over pictures that hide something of 1 − 2·Σ p·h / (Σ p + Σ h), over known pixels.

    Args:
        logits: (N, S, S).
        wanted: see ``targets``.

    Example:
        >>> hidden = torch.zeros(2, 4, 4)
        >>> hidden[0, :2] = 1
        >>> everything = Targets(hidden, torch.ones(2, 4, 4), torch.zeros(2, 4, 4, dtype=torch.bool))
        >>> round(soft_dice_loss(torch.full((2, 4, 4), 100.0), everything).item(), 3)  # twice too much: 1 − 2·8 / 24
        0.333
    """
    known = (wanted.weight > 0).float()
    found, hidden = torch.sigmoid(logits) * known, wanted.hidden * known
    both, either = (found * hidden).sum((1, 2)), (found + hidden).sum((1, 2))
    hides = hidden.mean((1, 2)) >= LEAST
    each = torch.where(hides, 1 - 2 * both / either.clamp(min=1e-6), torch.zeros_like(both))
    return each.sum() / hides.sum().clamp(min=1)
