"""How untrained backbones start."""

from __future__ import annotations

from torch import nn

from spiralage.distribution import MAX_AGE

CLASSES = MAX_AGE + 1
"""One logit for each of the ages 0…100."""


def initialise(network: nn.Module) -> None:
    """He initialisation; small last layers so that training starts near the uniform distribution."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias) if module.bias is not None else None
        if isinstance(module, nn.Linear) and module.out_features == CLASSES:
            nn.init.normal_(module.weight, std=0.01)
