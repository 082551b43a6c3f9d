"""Heads: a backbone's features in, a distribution over the ages 0…100 out, and a loss. Named in ``HEADS``.

A new head is

- a subclass of ``Head`` in a file of its own;
- a name in ``HeadName``, which type checkers read, and a row in ``HEADS``;
- for recipes, a class in ``training/recipes/age_losses.py`` with its settings and their bounds, named in
  ``AgeLossRecipe``.

Any backbone takes it. Tests fail where these disagree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from spiralage.networks.heads.head import Head
from spiralage.networks.heads.softmax import CrossEntropyHead, DistributionHead, MeanVarianceHead, SoftmaxHead

__all__ = ["HEADS", "Head", "HeadName", "SoftmaxHead", "make_head"]

HeadName: TypeAlias = Literal["mean-variance", "cross-entropy", "dldl"]

HEADS: dict[HeadName, Callable[..., Head]] = {
    "mean-variance": MeanVarianceHead,
    "cross-entropy": CrossEntropyHead,
    "dldl": DistributionHead,
}


def make_head(name: HeadName, width: int, **settings: float) -> Head:
    """The untrained head of that name.

    Args:
        name: which.
        width: of the backbone's features.
        settings: what its class takes beside the width.

    Example:
        >>> import torch
        >>> make_head("dldl", 8, l1=1.0).probabilities(torch.zeros(2, 8)).shape
        torch.Size([2, 101])
    """
    return HEADS[name](width, **settings)
