"""The age networks: shapes, sizes, and what of a crop they see."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from synthetic import age_network
from torch import Tensor, nn

from spiralage.networks.backbones import AlexNet, CompactNet, make_backbone


def parameters_of(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def random_crops(count: int = 1) -> Tensor:
    return torch.randint(0, 256, (count, 256, 256, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def alexnet() -> AlexNet:
    torch.manual_seed(0)
    return AlexNet().eval()


@pytest.fixture(scope="module")
def compact() -> CompactNet:
    torch.manual_seed(0)
    return CompactNet().eval()


def test_alexnet_has_torchvisions_parameter_count(alexnet: AlexNet) -> None:
    convolutions = [(3, 64, 11), (64, 192, 5), (192, 384, 3), (384, 256, 3), (256, 256, 3)]
    linears = [(256 * 6 * 6, 4096), (4096, 4096)]
    expected = sum(inputs * outputs * side**2 + outputs for inputs, outputs, side in convolutions)
    expected += sum(inputs * outputs + outputs for inputs, outputs in linears)
    assert expected == 57_003_840
    assert parameters_of(alexnet) == expected


@torch.no_grad()
def test_alexnet_takes_224_and_112_pixels(alexnet: AlexNet) -> None:
    for side in (224, 112, 63):
        assert alexnet(torch.rand(2, 3, side, side)).shape == (2, 4096)


@torch.no_grad()
def test_alexnets_features_are_its_convolutions(alexnet: AlexNet) -> None:
    x = torch.rand(1, 3, 224, 224)
    features = alexnet.activations(x)
    assert [tuple(f.shape[1:]) for f in features] == [
        (64, 55, 55),
        (192, 27, 27),
        (384, 13, 13),
        (256, 13, 13),
        (256, 13, 13),
    ]
    assert all((f >= 0).all() for f in features)
    first = cast(nn.Conv2d, alexnet[0])
    torch.testing.assert_close(features[0], first(x).relu())


def test_compact_has_few_parameters(compact: CompactNet) -> None:
    def block(channels: int) -> int:
        return 2 * (9 * channels * channels) + 2 * (2 * channels)  # two convolutions without bias, two norms

    stem = 3 * 64 * 16 + 64 + 64 * 128 * 9 + 128
    downs = 128 * 256 * 9 + 256 + 256 * 384 * 9 + 384
    norm = 2 * 384
    expected = stem + 2 * block(128) + 2 * block(256) + block(384) + downs + norm
    assert parameters_of(compact) == expected
    assert round(expected / 1e6, 1) == 6.9


@torch.no_grad()
def test_compact_halves_three_times_after_its_stem(compact: CompactNet) -> None:
    x = torch.rand(2, 3, 128, 128)
    assert [tuple(f.shape) for f in compact.activations(x)] == [
        (2, 128, 16, 16),
        (2, 128, 16, 16),
        (2, 256, 8, 8),
        (2, 384, 4, 4),
    ]
    assert compact(x).shape == (2, 384)
    assert compact(torch.rand(1, 3, 32, 32)).shape == (1, 384)


@torch.no_grad()
def test_compacts_blocks_start_as_the_identity(compact: CompactNet) -> None:
    stem, first, *_ = compact.activations(torch.rand(1, 3, 64, 64))
    torch.testing.assert_close(first, stem)


@torch.no_grad()
def test_training_starts_near_the_uniform_distribution(compact: CompactNet) -> None:
    p = age_network(compact, crop=256, pool=2)(random_crops(4))
    assert p.max() < 0.03  # uniform is 0.0099


def test_backbones_are_made_by_name() -> None:
    compact = make_backbone("compact", 0.3)
    assert isinstance(compact, CompactNet)
    assert [m.p for m in compact.modules() if isinstance(m, nn.Dropout)] == [0.3]
    with torch.device("meta"):
        alexnet = make_backbone("alexnet", 0.4)
    assert isinstance(alexnet, AlexNet)
    assert [m.p for m in alexnet.modules() if isinstance(m, nn.Dropout)] == [0.4, 0.4]


@torch.no_grad()
def test_age_network_takes_crops(compact: CompactNet) -> None:
    assert age_network(compact, crop=256, pool=8)(random_crops(3)).shape == (3, 101)


@pytest.mark.parametrize(("crop", "pool"), [(192, 2), (224, 7)])
@torch.no_grad()
def test_age_network_sees_only_its_centred_square(compact: CompactNet, crop: int, pool: int) -> None:
    network = age_network(compact, crop=crop, pool=pool)
    crops = random_crops()
    before = network(crops)
    start, end = (256 - crop) // 2, (256 + crop) // 2
    for y, x in ((start - 1, 128), (end, 128), (128, start - 1), (128, end)):
        marked = crops.clone()
        marked[:, y, x] = 255 - marked[:, y, x]
        assert torch.equal(network(marked), before), f"the pixel ({x}, {y}) lies outside"
    for y, x in ((start, 128), (end - 1, 128), (128, start), (128, end - 1)):
        marked = crops.clone()
        marked[:, y, x] = torch.where(marked[:, y, x] < 128, 255, 0).to(torch.uint8)
        assert not torch.equal(network(marked), before), f"the pixel ({x}, {y}) lies inside"


class Recorder(CompactNet):
    """A backbone that keeps what it was given."""

    seen: Tensor

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x
        return torch.zeros(len(x), self.width)


@torch.no_grad()
def test_age_network_pools_and_normalises() -> None:
    backbone = Recorder()
    crops = random_crops(2)
    age_network(backbone, crop=128, pool=4)(crops)
    # By hand: the mean of each 4×4 block of the centre, in [0, 1], then (x − ½) / ¼.
    centre = crops[:, 64:192, 64:192].double() / 255
    blocks = centre.reshape(2, 32, 4, 32, 4, 3).mean(dim=(2, 4)).permute(0, 3, 1, 2)
    torch.testing.assert_close(backbone.seen.double(), (blocks - 0.5) / 0.25, atol=1e-5, rtol=0)


@torch.no_grad()
def test_age_network_without_pooling_shows_the_pixels() -> None:
    backbone = Recorder()
    crops = torch.zeros(1, 256, 256, 3, dtype=torch.uint8)
    crops[0, 10, 20, 1] = 255
    age_network(backbone, crop=256, pool=1)(crops)
    assert backbone.seen.shape == (1, 3, 256, 256)
    assert backbone.seen[0, 1, 10, 20] == 2  # white
    assert (backbone.seen == -2).sum() == backbone.seen.numel() - 1  # black
