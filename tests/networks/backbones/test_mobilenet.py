"""MobileNet: its size, its shapes, and TensorFlow's padding."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from spiralage.networks.backbones import make_backbone
from spiralage.networks.backbones.mobilenet import MobileNet, SameConv


@pytest.fixture(scope="module")
def mobilenet() -> MobileNet:
    torch.manual_seed(0)
    return MobileNet().eval()


def summing_conv(stride: int) -> SameConv:
    """A convolution that adds up the nine pixels it sees."""
    convolution = SameConv(1, 1, stride)
    nn.init.ones_(convolution.weight)
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return convolution


def count_of(side: int) -> Tensor:
    """A picture of 1, 2, 3, … row by row."""
    return torch.arange(1.0, side * side + 1).reshape(1, 1, side, side)


def test_its_parameters_are_counted_by_hand(mobilenet: MobileNet) -> None:
    channels = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    expected = 3 * 9 * 32 + 32
    for inputs, outputs in pairwise(channels):
        expected += inputs * 9 + inputs + inputs * outputs + outputs
    expected += 1024 * 256 + 256
    assert expected == 3_458_432
    assert sum(p.numel() for p in mobilenet.parameters()) == expected
    assert not list(mobilenet.buffers())  # no batch norm


@torch.no_grad()
@pytest.mark.parametrize("side", [224, 128, 64])
def test_features_halve_the_side_five_times(mobilenet: MobileNet, side: int) -> None:
    pictures = torch.rand(2, 3, side, side)
    assert mobilenet(pictures).shape == (2, 256)
    shapes = [tuple(feature.shape) for feature in mobilenet.activations(pictures)]
    expected = [(64, 2), (128, 4), (256, 8), (512, 16), (1024, 32)]
    assert shapes == [(2, channels, side // stride, side // stride) for channels, stride in expected]


@torch.no_grad()
def test_features_are_the_last_of_their_size(mobilenet: MobileNet) -> None:
    x = pictures = torch.rand(2, 3, 64, 64)
    last_of_size: dict[int, Tensor] = {}
    for layer in list(mobilenet)[:14]:
        x = layer(x)
        last_of_size[x.shape[-1]] = x
    for found, expected in zip(mobilenet.activations(pictures), last_of_size.values(), strict=True):
        assert torch.equal(found, expected)


@torch.no_grad()
def test_the_output_goes_on_from_the_last_activations(mobilenet: MobileNet) -> None:
    pictures = torch.rand(2, 3, 64, 64)
    pooled = mobilenet.activations(pictures)[-1].mean(dim=(2, 3))
    features = mobilenet[16](pooled).relu()
    assert torch.allclose(features, mobilenet(pictures), atol=1e-6)


@torch.no_grad()
def test_at_stride_1_the_padding_is_on_all_sides() -> None:
    # 1 2    every window of the padded picture holds all four
    # 3 4
    assert summing_conv(1)(count_of(2)).squeeze().tolist() == [[10, 10], [10, 10]]


@torch.no_grad()
def test_at_stride_2_the_padding_is_right_and_below_alone() -> None:
    #  1  2  3  4 | 0    the windows start at (0, 0), (0, 2), (2, 0) and (2, 2); padded on all sides
    #  5  6  7  8 | 0    they would start a pixel earlier
    #  9 10 11 12 | 0
    # 13 14 15 16 | 0
    top_left = 1 + 2 + 3 + 5 + 6 + 7 + 9 + 10 + 11
    top_right = 3 + 4 + 7 + 8 + 11 + 12
    bottom_left = 9 + 10 + 11 + 13 + 14 + 15
    bottom_right = 11 + 12 + 15 + 16
    found = summing_conv(2)(count_of(4)).squeeze().tolist()
    assert found == [[top_left, top_right], [bottom_left, bottom_right]]


@torch.no_grad()
def test_grouped_channels_stay_apart() -> None:
    convolution = SameConv(2, 2, 2, groups=2)
    assert convolution.weight.shape == (2, 1, 3, 3)
    picture = torch.rand(1, 2, 4, 4)
    changed = picture.clone()
    changed[:, 1] += 1
    before, after = convolution(picture), convolution(changed)
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.equal(before[:, 1], after[:, 1])


def test_it_is_made_by_name_with_its_dropout() -> None:
    with torch.device("meta"):
        network = make_backbone("mobilenet", 0.3)
    assert isinstance(network, MobileNet)
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [0.3]
