"""A linear layer and a softmax over the ages 0…100: the heads of this file differ in their losses alone."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from spiralage.distribution import MAX_AGE
from spiralage.networks.heads.head import Head
from spiralage.networks.heads.losses import distribution_loss, mean_variance_loss


class SoftmaxHead(Head):
    """One logit per age.

    Args:
        width: of the features.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.logits = nn.Linear(width, MAX_AGE + 1)
        nn.init.normal_(self.logits.weight, std=0.01)  # training starts near the uniform distribution
        nn.init.zeros_(self.logits.bias)

    def probabilities(self, features: Tensor) -> Tensor:
        logits: Tensor = self.logits(features)
        return logits.float().softmax(dim=1)

    def log_probabilities(self, features: Tensor) -> Tensor:
        logits: Tensor = self.logits(features)
        return logits.float().log_softmax(dim=1)

    def loss(self, features: Tensor, ages: Tensor) -> Tensor:
        logits: Tensor = self.logits(features)
        with torch.autocast(logits.device.type, enabled=False):  # bfloat16 is too coarse for a mean over 101 ages
            return self.loss_of(logits.float(), ages)

    @abstractmethod
    def loss_of(self, logits: Tensor, ages: Tensor) -> Tensor:
        """The loss of (N, 101) float32 logits."""


class CrossEntropyHead(SoftmaxHead):
    """The softmax loss alone, as in DEX (Rothe et al. 2015)."""

    def loss_of(self, logits: Tensor, ages: Tensor) -> Tensor:
        return mean_variance_loss(logits, ages, mean_weight=0.0, variance_weight=0.0)


class MeanVarianceHead(SoftmaxHead):
    """Softmax + mean-variance loss, see ``losses.mean_variance_loss``.

    Args:
        width: of the features.
        mean, variance: weights; the softmax loss has weight 1.
    """

    def __init__(self, width: int, *, mean: float = 0.2, variance: float = 0.05) -> None:
        super().__init__(width)
        self.weights = {"mean_weight": mean, "variance_weight": variance}

    def loss_of(self, logits: Tensor, ages: Tensor) -> Tensor:
        return mean_variance_loss(logits, ages, **self.weights)


class DistributionHead(SoftmaxHead):
    """Label distribution learning, see ``losses.distribution_loss``.

    Args:
        width: of the features.
        std: of the target distribution, years.
        l1: weight of DLDL-v2's second term.
    """

    def __init__(self, width: int, *, std: float = 2.0, l1: float = 0.0) -> None:
        super().__init__(width)
        self.std, self.l1 = std, l1

    def loss_of(self, logits: Tensor, ages: Tensor) -> Tensor:
        return distribution_loss(logits, ages, std=self.std, l1_weight=self.l1)
