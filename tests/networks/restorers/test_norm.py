"""Instance norm: PyTorch's numbers, in the memory order of convolutions."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn import functional as F

from spiralage.networks.restorers.norm import InstanceNorm, instance_norm

SHAPES = [(2, 8, 16, 16), (1, 3, 5, 40), (4, 16, 2, 1), (2, 4, 1, 64)]


def maps(shape: tuple[int, int, int, int], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32) * 3 + 2
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_answers_as_pytorchs_does(shape: tuple[int, int, int, int]) -> None:
    ours, theirs = (maps(shape).requires_grad_() for _ in range(2))
    gradient = maps(shape).flip(0)
    one, two = instance_norm(ours), F.instance_norm(theirs)
    torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)
    torch.autograd.backward(one, gradient)
    torch.autograd.backward(two, gradient.contiguous())  # of one channels-last picture PyTorch's gradient is wrong
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(instance_norm(maps(shape)), two.detach(), atol=1e-5, rtol=1e-5)  # without gradients


def test_it_keeps_the_order_forth_and_back() -> None:
    x = maps((2, 8, 16, 16)).requires_grad_()
    out = InstanceNorm(8)(x)
    assert out.is_contiguous(memory_format=torch.channels_last)
    torch.autograd.backward(out.square().sum())
    assert x.grad is not None
    assert x.grad.is_contiguous(memory_format=torch.channels_last)


def test_its_gradient_is_right() -> None:
    x = torch.randn(2, 3, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert gradcheck(instance_norm, (x,))


@pytest.mark.parametrize("wanted", [False, True])
def test_maps_of_one_pixel_come_out_0(wanted: bool) -> None:
    assert torch.equal(instance_norm(maps((2, 3, 1, 1)).requires_grad_(wanted)), torch.zeros(2, 3, 1, 1))


def test_bfloat16_is_computed_in_float32() -> None:
    x = maps((2, 8, 16, 16), torch.bfloat16).requires_grad_()
    out = instance_norm(x)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), F.instance_norm(x.float()), atol=0.02, rtol=0.01)
