"""The losses of softmax heads: plain functions of logits and ages."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


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


def distribution_loss(logits: Tensor, ages: Tensor, *, std: float = 2.0, l1_weight: float = 0.0) -> Tensor:
    """Label distribution learning (DLDL, Gao et al. 2017), with DLDL-v2's second term (2018).

    The target q is a normal distribution around the true age, cut to 0…K−1 and normalised:
    L = mean KL(q ‖ p) + λ · mean |m − y|.

    Args:
        logits: (N, K) float, one per age 0…K−1.
        ages: (N,) true ages in years; above K−1 they count as K−1.
        std: of q, years.
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
    target = (-((years - age[:, None]) ** 2) / (2 * std**2)).log_softmax(dim=1)  # (N, K)
    log_p = logits.log_softmax(dim=1)
    divergence = F.kl_div(log_p, target, reduction="batchmean", log_target=True)
    return divergence + l1_weight * (log_p.exp() @ years - age).abs().mean()


def teaching_loss(log_p: Tensor, teacher: Tensor, *, temperature: float = 1.0) -> Tensor:
    """How far a distribution is from a teacher's (Hinton, Vinyals and Dean 2015, section 2).

    With p_T ∝ p^(1/T), which for a softmax is softmax(logits / T): L = T² · mean KL(teacher_T ‖ p_T). T² keeps the
    size of the gradient.

    Args:
        log_p: (N, K) float, logarithms of the learner's probabilities.
        teacher: (N, K) float, the teacher's probabilities; no gradient goes to it.
        temperature: T; above 1 small probabilities count more.

    Returns:
        A scalar ≥ 0.

    Example:
        >>> teacher = torch.tensor([[0.9, 0.1]])
        >>> teaching_loss(teacher.log(), teacher, temperature=2.0).item()
        0.0
    """
    soft = (teacher.clamp_min(torch.finfo(teacher.dtype).tiny).log() / temperature).log_softmax(dim=1)
    divergence = F.kl_div((log_p / temperature).log_softmax(dim=1), soft, reduction="batchmean", log_target=True)
    return temperature**2 * divergence
