"""Networks that halve by blurring."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spiralage.networks.backbones.blurred import BlurPool, BlurredAlexNet, blurred_vgg16


@pytest.mark.parametrize(("height", "width"), [(8, 7), (3, 10)])
def test_a_blur_is_the_binomial_filter_on_mirrored_borders(height: int, width: int) -> None:
    x = torch.rand(2, 5, height, width, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([1.0, 2.0, 1.0])
    kernel = (weights[:, None] * weights / 16).expand(5, 1, 3, 3)
    expected = F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=5)
    torch.testing.assert_close(BlurPool()(x), expected)


def test_a_map_too_small_to_be_mirrored_keeps_its_values() -> None:
    torch.testing.assert_close(BlurPool()(torch.full((1, 1, 1, 2), 0.25)), torch.full((1, 1, 3, 3), 0.25))


@torch.no_grad()
@pytest.mark.parametrize("network", [blurred_vgg16(4), BlurredAlexNet(4)], ids=["vgg16", "alexnet"])
def test_no_stride_but_the_blurs(network: nn.Sequential) -> None:
    layers = [layer for layer in network if isinstance(layer, (nn.Conv2d, nn.MaxPool2d))]
    assert {layer.stride for layer in layers} <= {1, (1, 1)}
