"""LPIPS: how different two pictures look (Zhang et al., CVPR 2018), shift-tolerant (Ghildyal and Liu, ECCV 2022)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spiralage.networks.features import Features

_EPS = 1e-10


class Lpips(nn.Module):
    """The weighted squared distance between unit-length activations, its mean over places, summed over layers.

    Zhang et al., equation 1, with what their ``lin`` layers have learned from people's judgements. 0 for equal
    pictures; what is large depends on the network: numbers of two networks can't be compared.

    Args:
        features: with ``layers="lpips"``, all blocks.
        weights: of every layer's channels, (C,) ≥ 0 each.

    Example:
        >>> from spiralage.networks.backbones.blurred import BlurredAlexNet
        >>> features = Features(BlurredAlexNet(4), 0.5, 0.25, layers="lpips")
        >>> measure = Lpips(features, [torch.ones(count) for count in (4, 12, 24, 16, 16)])
        >>> picture = torch.rand(2, 3, 32, 32)
        >>> measure(picture, picture)
        tensor([0., 0.])
    """

    def __init__(self, features: Features, weights: Sequence[Tensor]) -> None:
        super().__init__()
        self.features = features
        self.heads = nn.ParameterList(nn.Parameter(w.flatten()[:, None, None], requires_grad=False) for w in weights)

    def forward(self, pictures: Tensor, others: Tensor) -> Tensor:
        """(N, 3, S, S) each, float in [0, 1], S ≥ 16 → (N,) float; gradients reach both."""
        pairs = zip(self.heads, self.features(pictures), self.features(others), strict=True)
        layers = [(head * (_unit(a) - _unit(b)).square()).sum(dim=1).mean(dim=(1, 2)) for head, a, b in pairs]
        return torch.stack(layers).sum(dim=0)


def _unit(activations: Tensor) -> Tensor:
    """Activations, (N, C, H, W), of length 1 over channels; where there is none, 0."""
    lengths: Tensor = torch.linalg.vector_norm(activations.float(), dim=1, keepdim=True)
    return activations / (lengths + _EPS)
