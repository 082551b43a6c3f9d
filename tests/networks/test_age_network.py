"""Age networks: whatever the three parts are, and files from before they were apart."""

from __future__ import annotations

import copy
from typing import get_args

import pytest
import torch
from synthetic import age_network
from torch import Tensor

from spiralage.networks.age import AgeNetwork
from spiralage.networks.backbones import BACKBONES, BackboneName, CompactNet, make_backbone
from spiralage.networks.heads import HeadName, make_head
from spiralage.networks.views import CentredSquare
from spiralage.training.optimisers import make_average

LAST: dict[BackboneName, dict[str, str]] = {  # a name today → the name in files from before
    "alexnet": {"head.logits": "backbone.21"},
    "compact": {"head.logits": "backbone.head.2", "backbone.norm": "backbone.head.0"},
    "mobilenet": {"head.logits": "backbone.19"},
    "vgg16": {"head.logits": "backbone.9"},
    "vgg16-bn": {"head.logits": "backbone.9"},
}


def network_of(name: BackboneName, seed: int = 0) -> AgeNetwork:
    torch.manual_seed(seed)
    return age_network(make_backbone(name, 0.5, 4), crop=256, pool=4).eval()


def as_before(tensors: dict[str, Tensor], name: BackboneName) -> dict[str, Tensor]:
    """The tensors under their old names."""
    for new, old in LAST[name].items():
        tensors = {key.replace(f"{new}.", f"{old}."): value for key, value in tensors.items()}
    assert not any(key.startswith("head.") for key in tensors)
    return tensors


def test_every_name_has_a_row() -> None:
    assert tuple(BACKBONES) == get_args(BackboneName)


@torch.no_grad()
@pytest.mark.parametrize("name", ["compact", "mobilenet", "vgg16-bn"])
def test_any_backbone_takes_any_head(name: BackboneName) -> None:
    backbone, crops = make_backbone(name, 0.5, 4), torch.randint(0, 256, (2, 256, 256, 3), dtype=torch.uint8)
    for head in get_args(HeadName):
        network = AgeNetwork(CentredSquare(crop=256, pool=8), backbone, make_head(head, backbone.width)).eval()
        pictures = network.views(crops)
        assert network.features(pictures).shape == (2, backbone.width)
        torch.testing.assert_close(network(crops), network.head.probabilities(network.features(pictures)))
        assert network.loss(pictures, torch.tensor([3, 40])).ndim == 0


@torch.no_grad()
@pytest.mark.parametrize("name", BACKBONES)
def test_the_smallest_picture_is_taken(name: BackboneName) -> None:
    with torch.device("meta"):  # shapes alone
        backbone = network_of(name).backbone
        assert backbone(torch.rand(1, 3, backbone.smallest, backbone.smallest)).shape == (1, backbone.width)


@pytest.mark.parametrize("name", BACKBONES)
def test_old_names_are_read(name: BackboneName) -> None:
    with torch.device("meta"):
        network = network_of(name)
        average = make_average(network, 0.5)  # as in a checkpoint of an interrupted training
    old = as_before(network.state_dict(), name)
    network.load_state_dict(old, assign=True)
    average.load_state_dict(
        {f"module.{key}": value for key, value in old.items()} | {"n_averaged": torch.tensor(7)}, assign=True
    )


def test_old_names_keep_their_values() -> None:
    before, after = network_of("compact", 1), network_of("compact", 2)
    after.load_state_dict(as_before(before.state_dict(), "compact"))
    assert all(torch.equal(value, before.state_dict()[key]) for key, value in after.state_dict().items())


def test_other_names_are_refused() -> None:
    network = network_of("compact")
    for extra in ("head.logits.scale", "backbone.head.1.weight", "nothing"):
        with pytest.raises(RuntimeError, match="Unexpected key"):
            network.load_state_dict(network.state_dict() | {extra: torch.zeros(1)})


def test_a_copy_reads_old_names_too() -> None:
    network = network_of("compact", 1)
    variant = copy.deepcopy(network_of("compact", 2))
    variant.load_state_dict(as_before(network.state_dict(), "compact"))
    assert isinstance(variant.backbone, CompactNet)
    assert torch.equal(variant.backbone.norm.weight, network.state_dict()["backbone.norm.weight"])


@torch.no_grad()
def test_a_mirrored_network_answers_with_the_mean_over_both() -> None:
    plain, crops = network_of("compact"), torch.randint(0, 256, (3, 256, 256, 3), dtype=torch.uint8)
    mirrored = AgeNetwork(plain.views, plain.backbone, plain.head, mirror=True).eval()
    one, other = plain(crops), plain(crops.flip(2))
    assert (one - other).abs().max() > 1e-6
    torch.testing.assert_close(mirrored(crops), (one + other) / 2)
    torch.testing.assert_close(mirrored(crops.flip(2)), mirrored(crops))


@torch.no_grad()
def test_one_that_is_told_begins_with_the_answers_of_one_that_is_not() -> None:
    plain, crops = network_of("compact"), torch.randint(0, 256, (3, 256, 256, 3), dtype=torch.uint8)
    told = AgeNetwork(plain.views, copy.deepcopy(plain.backbone), copy.deepcopy(plain.head), told_mask=True).eval()
    mask = torch.zeros(3, 256, 256, dtype=torch.uint8)
    mask[:, 100:] = 1
    torch.testing.assert_close(told(crops, mask), plain(crops))
    torch.testing.assert_close(told(crops), plain(crops))
    told.load_state_dict(network_of("compact", 2).state_dict())  # three channels
    torch.testing.assert_close(told(crops, mask), network_of("compact", 2)(crops))


@torch.no_grad()
def test_a_mask_is_seen_where_it_is() -> None:
    plain = network_of("compact")
    told = AgeNetwork(plain.views, plain.backbone, plain.head, told_mask=True)
    crops, mask = torch.full((1, 256, 256, 3), 51, dtype=torch.uint8), torch.zeros(1, 256, 256, dtype=torch.bool)
    mask[:, :128, :64] = True
    seen = told.seen(crops, mask)
    side = seen.shape[-1]
    assert seen.shape == (1, 4, side, side)
    assert seen[:, :3].allclose(torch.tensor(0.2))
    assert seen[0, 3, : side // 2, : side // 4].eq(1).all()
    assert seen[0, 3].mean().item() == pytest.approx(1 / 8)
    assert told.normalise(seen)[:, 3].equal(seen[:, 3])  # colours alone are normalised
