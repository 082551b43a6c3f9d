"""Losses by name: a recipe names the head that has it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag

from spiralage.networks.heads import HEADS
from spiralage.training.recipes.base import Strict, Weight, formerly


class _AgeLoss(Strict):
    @property
    def weights(self) -> dict[str, float]:
        """What the head of that name takes."""
        return self.model_dump(exclude={"name"})


class MeanVariance(_AgeLoss):
    """Weights of the mean-variance loss; the softmax loss has weight 1."""

    name: Literal["mean-variance"] = "mean-variance"
    mean: Weight = 0.2
    variance: Weight = 0.05


class CrossEntropy(_AgeLoss):
    """The softmax loss alone, as in DEX."""

    name: Literal["cross-entropy"]


class DistributionLearning(_AgeLoss):
    """DLDL: a normal distribution around the age is the target; l1 = 1 adds DLDL-v2's second term."""

    name: Literal["dldl"]
    std: float = formerly("std", "deviation", default=2.0, ge=0.1, le=100, description="years")
    l1: Weight = 0.0


def _names() -> str:
    *others, last = HEADS
    return f"{', '.join(others)} or {last}"


def _loss_name(value: Any) -> str:
    return str(value.get("name", "mean-variance") if isinstance(value, dict) else getattr(value, "name", value))


AgeLossRecipe = Annotated[
    Annotated[MeanVariance, Tag("mean-variance")]
    | Annotated[CrossEntropy, Tag("cross-entropy")]
    | Annotated[DistributionLearning, Tag("dldl")],
    Discriminator(
        _loss_name,
        custom_error_type="loss_name",
        custom_error_message=f"name must be {_names()}",
    ),
]
