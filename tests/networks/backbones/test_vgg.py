"""VGG: its layers, its activations, and its width."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from spiralage.networks.backbones import make_backbone
from spiralage.networks.backbones.vgg import VGG, VGGName, block_activations, convolutions, folded
from spiralage.networks.heads import make_head


def test_vgg16_has_the_papers_parameters() -> None:
    with torch.device("meta"):  # no memory for 134 million numbers
        network = VGG()
    linear = 25088 * 4096 + 4096 + 4096 * 4096 + 4096
    assert sum(p.numel() for p in network[0].parameters()) == 14_714_688  # torchvision's vgg16.features
    assert sum(p.numel() for p in network.parameters()) == 14_714_688 + linear


@pytest.mark.parametrize(("name", "numbers"), [("vgg16", (0, 2, 5, 7, 10, 28)), ("vgg19", (0, 2, 5, 7, 10, 34))])
def test_layers_have_torchvisions_numbers(name: VGGName, numbers: tuple[int, ...]) -> None:
    found = [i for i, layer in enumerate(convolutions(name, 4)) if isinstance(layer, nn.Conv2d)]
    assert (*found[:5], found[-1]) == numbers
    assert len(found) == int(name[3:]) - 3


@torch.no_grad()
@pytest.mark.parametrize(("name", "counts"), [("vgg16", [2, 2, 3, 3, 3]), ("vgg19", [2, 2, 4, 4, 4])])
def test_activations_by_block(name: VGGName, counts: list[int]) -> None:
    torch.manual_seed(0)
    layers, x = convolutions(name, 4), torch.rand(2, 3, 32, 64)
    blocks = block_activations(layers, x)
    assert [len(block) for block in blocks] == counts
    shapes = [
        (2, 4 * widening, 32 // s, 64 // s) for widening, s in zip((1, 2, 4, 8, 8), (1, 2, 4, 8, 16), strict=True)
    ]
    assert [tuple(block[0].shape) for block in blocks] == shapes
    assert all((activation >= 0).all() for block in blocks for activation in block)
    torch.testing.assert_close(nn.functional.max_pool2d(blocks[-1][-1], 2), layers(x))


def test_norms_have_torchvisions_numbers() -> None:
    layers = convolutions("vgg16", 4, normed=True)  # torchvision's vgg16_bn
    numbers = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    assert numbers == [0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40]
    assert all(isinstance(layers[i + 1], nn.BatchNorm2d) for i in numbers)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in convolutions("vgg16", 4))


@torch.no_grad()
def test_folded_norms_change_nothing() -> None:
    torch.manual_seed(0)
    network = make_backbone("vgg16-bn", 0.5, 4)
    assert isinstance(network, VGG)
    network.train()(3 * torch.randn(8, 3, 32, 32))  # statistics of their own
    layers, x = network.eval()[0], torch.randn(2, 3, 32, 48)
    assert isinstance(layers, nn.Sequential)
    plain = folded(layers)
    assert [type(layer) for layer in plain] == [type(layer) for layer in convolutions("vgg16", 4)]
    before = layers(x)
    torch.testing.assert_close(plain(x), before)
    for value in plain.parameters():
        value.zero_()
    assert torch.equal(layers(x), before)  # the network keeps its own


@torch.no_grad()
def test_features_are_the_first_of_each_block() -> None:
    torch.manual_seed(0)
    network, x = VGG(width=4).eval(), torch.rand(1, 3, 32, 32)
    layers = network[0]
    assert isinstance(layers, nn.Sequential)
    first = layers[0](x).relu()
    assert torch.equal(network.activations(x)[0], first)
    assert [f.shape[1] for f in network.activations(x)] == [4, 8, 16, 32, 32]
    assert network(x).shape == (1, 256)


def test_a_fresh_backbone_starts_near_the_uniform_distribution() -> None:
    torch.manual_seed(0)
    network: Any = make_backbone("vgg16", 0.3, 8)
    network.eval()
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [0.3, 0.3]
    head = make_head("cross-entropy", network.width)
    p = head.probabilities(network(torch.randn(4, 3, 64, 64)))
    assert p.max() < 0.05
