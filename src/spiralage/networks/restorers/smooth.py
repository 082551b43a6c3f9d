"""What lies smoothly around what is visible: pull-push interpolation (Gortler et al. 1996, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

FULL = 2.0
"""A coarse pixel counts wholly once this part of 1 of its four pixels is known: half of them."""


def pull_push(values: Tensor, known: Tensor) -> Tensor:
    """Fill what isn't known from ever coarser means of what is.

    Args:
        values: (N, C, S, S) float; S is a power of 2. Where nothing is known they don't matter.
        known: (N, 1, S, S) float in [0, 1], how much each counts.

    Returns:
        (N, C, S, S) float: the values where ``known`` is 1; 0 if nothing is known at all.

    Example:
        >>> corner = torch.zeros(1, 1, 4, 4)
        >>> corner[..., 0, 0] = 1
        >>> pull_push(torch.full((1, 1, 4, 4), 3.0), corner).unique()
        tensor([3.])
    """
    if values.shape[-1] == 1:
        return torch.where(known > 0, values, torch.zeros_like(values))
    share = F.avg_pool2d(known, 2)
    means = F.avg_pool2d(values * known, 2) / share.clamp(min=1e-6)
    coarse = pull_push(means, (FULL * share).clamp(max=1))
    around = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
    return values * known + around * (1 - known)
