"""The losses of the age networks and of SpiralNet: plain functions of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from spiralage.training.recipes import CrossEntropy, DistributionLearning, MeanVariance

AgeLoss: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def mean_variance_loss(
    logits: Tensor, ages: Tensor, *, mean_weight: float = 0.2, variance_weight: float = 0.05
) -> Tensor:
    """Softmax loss + mean loss + variance loss (Pan et al., CVPR 2018, equations 3–6).

    With p = softmax(logits), m = Σ j·p_j and v = Σ p_j (j − m)²:
    L = CE(logits, y) + λ1 · ½·mean((m − y)²) + λ2 · mean(v).

    Args:
        logits: (N, K) float, one per age 0…K−1.
        ages: (N,) true ages in years; above K−1 they count as K−1.
        mean_weight: λ1.
        variance_weight: λ2.

    Returns:
        A scalar.

    Example:
        >>> sure = torch.full((1, 101), -100.0); sure[0, 30] = 100.0
        >>> mean_variance_loss(sure, torch.tensor([30])).item()
        0.0
    """
    if logits.dtype != torch.float64:  # bfloat16 is too coarse for a mean over 101 ages
        logits = logits.float()
    target = ages.clamp(max=logits.shape[1] - 1)
    years = torch.arange(logits.shape[1], dtype=logits.dtype, device=logits.device)
    p = logits.softmax(dim=1)
    mean = p @ years  # (N,)
    variance = (p * (years - mean[:, None]) ** 2).sum(dim=1)  # (N,)
    mean_loss = ((mean - target) ** 2).mean() / 2
    return F.cross_entropy(logits, target.long()) + mean_weight * mean_loss + variance_weight * variance.mean()


def distribution_loss(logits: Tensor, ages: Tensor, *, deviation: float = 2.0, l1_weight: float = 0.0) -> Tensor:
    """Label distribution learning (DLDL, Gao et al. 2017), with DLDL-v2's second term (2018).

    The target q is a normal distribution around the true age, cut to 0…K−1 and normalised:
    L = mean KL(q ‖ p) + λ · mean |m − y|.

    Args:
        logits: (N, K) float, one per age 0…K−1.
        ages: (N,) true ages in years; above K−1 they count as K−1.
        deviation: of q, years.
        l1_weight: λ; 0 is DLDL, 1 DLDL-v2.

    Returns:
        A scalar ≥ 0.

    Example:
        >>> logits = -((torch.arange(101.0) - 30) ** 2)[None] / (2 * 2.0**2)
        >>> round(distribution_loss(logits, torch.tensor([30])).item(), 4)
        0.0
    """
    if logits.dtype != torch.float64:
        logits = logits.float()
    years = torch.arange(logits.shape[1], dtype=logits.dtype, device=logits.device)
    age = ages.clamp(max=logits.shape[1] - 1).to(logits.dtype)
    target = (-((years - age[:, None]) ** 2) / (2 * deviation**2)).log_softmax(dim=1)  # (N, K)
    log_p = logits.log_softmax(dim=1)
    divergence = F.kl_div(log_p, target, reduction="batchmean", log_target=True)
    return divergence + l1_weight * (log_p.exp() @ years - age).abs().mean()


def make_age_loss(settings: MeanVariance | CrossEntropy | DistributionLearning) -> AgeLoss:
    """The loss of a recipe: (N, K) logits and (N,) ages in years → a scalar."""
    if isinstance(settings, MeanVariance):
        weights = {"mean_weight": settings.mean, "variance_weight": settings.variance}
        return lambda logits, ages: mean_variance_loss(logits, ages, **weights)
    if isinstance(settings, CrossEntropy):
        return lambda logits, ages: mean_variance_loss(logits, ages, mean_weight=0.0, variance_weight=0.0)
    deviation, l1 = settings.deviation, settings.l1
    return lambda logits, ages: distribution_loss(logits, ages, deviation=deviation, l1_weight=l1)


def hue_color_loss(generated: Tensor, real: Tensor) -> Tensor:
    """Hue-color loss (Guo et al., ECCV 2020): how far colours differ in hue, whatever their strength.

    With c the cosine similarity of the RGB vectors at a pixel:
    mean over pixels of (1 − min(c(x, y), c(1 − x, 1 − y)) + 0.001)^0.4, less its value at c = 1, so that
    equal pictures have loss 0 (the constant does not change the gradient).

    Args:
        generated, real: (N, 3, H, W) float in [0, 1].

    Returns:
        A scalar ≥ 0.
    """
    bright = F.cosine_similarity(generated, real, dim=1, eps=1e-3)
    dark = F.cosine_similarity(1 - generated, 1 - real, dim=1, eps=1e-3)
    # Where both vectors are nearly black their angle means nothing; eps pulls c to 0 there, so ask for
    # the similarity that such a pixel has with itself instead of 1.
    bright_self = F.cosine_similarity(real, real, dim=1, eps=1e-3)
    dark_self = F.cosine_similarity(1 - real, 1 - real, dim=1, eps=1e-3)
    difference = torch.maximum(bright_self - bright, dark_self - dark).clamp(min=0)
    loss: Tensor = ((difference + 0.001) ** 0.4 - 0.001**0.4).mean()
    return loss


def perceptual_loss(generated: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Mean over layers of the L1 distance between a feature network's activations.

    Args:
        generated, real: the same layers, (N, C, H, W) each.
    """
    distances = [F.l1_loss(a, b) for a, b in zip(generated, real, strict=True)]
    return torch.stack(distances).mean()


def gram(features: Tensor) -> Tensor:
    """The Gram matrix of a layer's activations (Gatys et al. 2016, equation 3), over channels × pixels.

    Args:
        features: (N, C, H, W).

    Returns:
        (N, C, C).
    """
    flat = (features if features.dtype == torch.float64 else features.float()).flatten(2)  # (N, C, H·W)
    with torch.autocast(flat.device.type, enabled=False):  # bfloat16 is too coarse for what is then subtracted
        return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def style_loss(generated: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Mean over layers of the L1 distance between Gram matrices: which features occur together, not where.

    Args:
        generated, real: the same layers, (N, C, H, W) each; heights and widths may differ between the two.
    """
    return perceptual_loss([gram(layer) for layer in generated], [gram(layer) for layer in real])


def adversarial_loss(logits: Tensor, *, real: bool) -> Tensor:
    """Binary cross-entropy of a critic's logits against "all real" or "all generated"."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))
