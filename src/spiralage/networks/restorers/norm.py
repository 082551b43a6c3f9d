"""Instance norm (Ulyanov et al. 2016), without learned scale and shift, in the memory order of convolutions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

EPSILON = 1e-5


class InstanceNorm(nn.InstanceNorm2d):
    """``instance_norm`` as a layer.

    Example:
        >>> x = torch.rand(2, 8, 5, 7) * 3 + 1
        >>> torch.allclose(InstanceNorm(8)(x).std(dim=(2, 3), correction=0), torch.ones(2, 8), atol=1e-3)
        True
    """

    def forward(self, x: Tensor) -> Tensor:
        return instance_norm(x)


def instance_norm(x: Tensor) -> Tensor:
    """(x − μ) / √(σ² + 10⁻⁵) of every picture's every channel, over its pixels.

    PyTorch's own gives up the channels-last order, which the next convolution then has to restore; where gradients
    are wanted this one keeps it. Without gradients PyTorch's is taken: ONNX has an operator for it.

    Args:
        x: (N, C, H, W) float. Maps of one pixel, as the thinnest slices have, come out 0.
    """
    if x.requires_grad and torch.is_grad_enabled() and not torch.compiler.is_exporting():
        normed: Tensor = _KeepingOrder.apply(x)  # type: ignore[no-untyped-call]
        return normed
    if x.shape[2:] == (1, 1):
        return x - x  # PyTorch refuses them
    return nn.functional.instance_norm(x, eps=EPSILON)


class _KeepingOrder(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        pixels = _as_rows(x)  # (N, H·W, C)
        centred = pixels - pixels.mean(dim=1, keepdim=True)
        scale = (centred.square().mean(dim=1, keepdim=True) + EPSILON).rsqrt()  # (N, 1, C)
        normed = centred * scale
        ctx.save_for_backward(normed, scale)
        return _as_maps(normed, x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        normed, scale = ctx.saved_tensors
        rows = _as_rows(gradient)
        along = normed * (rows * normed).mean(dim=1, keepdim=True)
        return _as_maps((rows - rows.mean(dim=1, keepdim=True) - along) * scale, gradient)


def _as_rows(x: Tensor) -> Tensor:
    """(N, C, H, W) → (N, H·W, C), float32 at least; no copy if x is float32 and channels last."""
    rows = x.permute(0, 2, 3, 1).flatten(1, 2)
    return rows.to(torch.promote_types(x.dtype, torch.float32))


def _as_maps(rows: Tensor, like: Tensor) -> Tensor:
    """The way back, channels last."""
    count, channels, height, width = like.shape
    return rows.to(like.dtype).view(count, height, width, channels).permute(0, 3, 1, 2)
