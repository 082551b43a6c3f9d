"""What every head is: it reads a distribution over the ages 0…100 off a backbone's features, and learns to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Head(nn.Module, ABC):
    """The last part of an age network.

    A head answers two questions, and may do something after every epoch. Whatever it learns, by gradient or not, is
    a parameter or a buffer of it, so that it is saved, averaged and exported.

    Args:
        width: of the features.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    @abstractmethod
    def loss(self, features: Tensor, ages: Tensor) -> Tensor:
        """How wrong the head is.

        Args:
            features: (N, width) float, what the backbone says of N faces.
            ages: (N,) true ages in years; above 100 they count as 100.

        Returns:
            A scalar float32, to minimise.
        """

    @abstractmethod
    def probabilities(self, features: Tensor) -> Tensor:
        """P(age = j) for j = 0…100: (N, width) float → (N, 101) float32, every row with the sum 1."""

    def log_probabilities(self, features: Tensor) -> Tensor:
        """Their logarithms, (N, 101) float32; a head that has them otherwise than by taking them says so."""
        probabilities = self.probabilities(features)
        return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()

    def after_epoch(self, seen: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Told after every epoch of a training or of a fold, the last one even if it is cut short.

        It is for what no gradient reaches, as a forest's leaves. A training tells the head of the network that
        learns and that of the weights' moving average, each what its own backbone says.

        Args:
            seen: (features, ages) of all training pictures, batch after batch, not augmented; in a fold, which has
                the answers of frozen layers to augmented views alone, in the epoch's view. They are computed only as
                far as they are asked for.
        """
