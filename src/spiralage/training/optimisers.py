"""How weights move: optimisers, learning rates, clipping, moving averages."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from spiralage.training.recipes import Optimiser


def make_optimiser(settings: Optimiser, network: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of a recipe; biases and norms are not decayed."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if settings.name == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=0.9)
    kind = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.learning_rate, betas=settings.betas, fused=True)


def set_learning_rate(optimiser: torch.optim.Optimizer, settings: Optimiser, step: int, steps: int) -> None:
    """Linear warm-up, then a half cosine to zero, steps or a constant; a pure function of the step."""
    rate = settings.learning_rate * min(1.0, (step + 1) / max(settings.warmup_steps, 1))
    if settings.schedule == "cosine":
        rate *= 0.5 * (1 + math.cos(math.pi * step / steps))
    if settings.schedule == "step":
        rate *= settings.factor ** sum(step >= part * steps for part in settings.milestones)
    for group in optimiser.param_groups:
        group["lr"] = rate


def clip_gradients(network: nn.Module, settings: Optimiser) -> None:
    """Shorten the gradient to the recipe's largest norm, if it names one."""
    if settings.clip_norm is not None:
        nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)


def make_average(network: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of a network's weights and of its batch norms' statistics.

    Averaged weights with the latest statistics would be a network that never was.
    """
    return AveragedModel(network, use_buffers=True, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]
