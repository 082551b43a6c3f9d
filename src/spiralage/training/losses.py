"""The losses of SpiralNet: plain functions of tensors. Those of age networks are their heads', see networks/heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

Reduction: TypeAlias = Literal["mean", "sum"]
"""What becomes of the layers' distances. SpiralNet's authors sum them; a mean is of one size however many there are."""
BLACK = 1 / 255


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


def perceptual_loss(generated: Sequence[Tensor], real: Sequence[Tensor], *, reduction: Reduction = "mean") -> Tensor:
    """Over layers, the mean or the sum of the L1 distance between a feature network's activations.

    Args:
        generated, real: the same layers, (N, C, H, W) each. Every layer's distance is a mean over all of these.
        reduction: over layers.

    Example:
        >>> black, white = [torch.zeros(1, 2, 4, 4)] * 5, [torch.ones(1, 2, 4, 4)] * 5
        >>> perceptual_loss(black, white), perceptual_loss(black, white, reduction="sum")
        (tensor(1.), tensor(5.))
    """
    distances = torch.stack([F.l1_loss(a, b) for a, b in zip(generated, real, strict=True)])
    return distances.sum() if reduction == "sum" else distances.mean()


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


def style_loss(generated: Sequence[Tensor], real: Sequence[Tensor], *, reduction: Reduction = "mean") -> Tensor:
    """The same of Gram matrices: which features occur together, not where.

    Args:
        generated, real: the same layers, (N, C, H, W) each; heights and widths may differ between the two.
        reduction: over layers.
    """
    grams = ([gram(layer) for layer in layers] for layers in (generated, real))
    return perceptual_loss(*grams, reduction=reduction)


def inside_mean(values: Tensor, inside: Tensor) -> Tensor:
    """The mean over those pixels that are photo, 0 if none is.

    Args:
        values: (N, C, H, W) float.
        inside: (N, 1, H, W) bool, False beyond the photo.

    Example:
        >>> inside_mean(torch.tensor([[[[1.0, 7.0]]]]), torch.tensor([[[[True, False]]]]))
        tensor(1.)
    """
    return (values * inside).sum() / (inside.sum() * values.shape[1]).clamp(min=1)


def color_loss(generated: Tensor, real: Tensor, inside: Tensor) -> Tensor:
    """SliceGAN's colour loss (Guo et al., ECCV 2020): 1 − cosine similarity of the RGB vectors, its mean over pixels.

    Args:
        generated, real: (N, 3, H, W) float in [0, 1].
        inside: see ``inside_mean``.

    Example:
        >>> gray, dark = torch.full((1, 3, 2, 2), 0.8), torch.full((1, 3, 2, 2), 0.2)
        >>> color_loss(gray, dark, torch.ones(1, 1, 2, 2, dtype=torch.bool)).abs() < 1e-6
        tensor(True)
    """
    # One step of 8 bits is added, since the angle of black means nothing.
    similarity = F.cosine_similarity(generated + BLACK, real + BLACK, dim=1)
    return inside_mean(1 - similarity[:, None], inside)


def adversarial_loss(logits: Tensor, *, real: bool) -> Tensor:
    """Binary cross-entropy of a discriminator's logits against "all real" or "all generated"."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def discrimination_loss(logits: Tensor) -> Tensor:
    """The mean adversarial loss of a batch whose first half is real and whose second half is generated.

    One call of a discriminator for both halves costs less than two.

    Args:
        logits: (2N, ...) float.
    """
    real, generated = logits.chunk(2)
    return (adversarial_loss(real, real=True) + adversarial_loss(generated, real=False)) / 2
