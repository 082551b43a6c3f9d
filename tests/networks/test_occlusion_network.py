"""The network that finds occlusions: crops in, probabilities of the crop's size out, small and quick enough."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from spiralage.networks.occlusion import PRIOR, Block, OcclusionNetwork

SMALL = ((4, 8, 8, 8), (1, 0, 1))


def crops(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 256, 256, 3), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("count", [1, 3])
def test_an_answer_for_every_pixel(count: int) -> None:
    network = OcclusionNetwork(*SMALL).eval()
    with torch.no_grad():
        small, whole = network.logits(crops(count)), network(crops(count))
    assert small.shape == (count, OcclusionNetwork.SIDE, OcclusionNetwork.SIDE)
    assert whole.shape == (count, 256, 256)
    assert whole.dtype == torch.float32
    assert bool(((whole >= 0) & (whole <= 1)).all())


def test_untrained_it_answers_how_much_is_hidden_on_average() -> None:
    network = OcclusionNetwork().eval()
    with torch.no_grad():
        assert network(crops(2)).mean().item() == pytest.approx(PRIOR, abs=0.1)


def test_it_costs_less_than_a_gigaflop() -> None:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        OcclusionNetwork().eval()(crops(1))
    assert 0.3e9 < counter.get_total_flops() < 1e9


@torch.no_grad()
def test_an_answer_is_where_its_picture_is() -> None:
    """A change in one corner moves the answer most there, and in the right one of the four pixels of a place."""
    torch.manual_seed(0)
    network = OcclusionNetwork(*SMALL).eval()
    torch.nn.init.normal_(network.logits4.weight)
    picture = torch.full((1, 256, 256, 3), 128, dtype=torch.uint8)
    changed = picture.clone()
    changed[:, 32:64, 192:224] = crops(1)[:, 32:64, 192:224]
    moved = (network.logits(changed) - network.logits(picture)).abs()[0]
    row, column = divmod(int(moved.argmax()), OcclusionNetwork.SIDE)
    assert 12 <= row < 36
    assert 92 <= column < 116


def test_the_threshold_is_kept_with_the_weights() -> None:
    network = OcclusionNetwork(*SMALL, threshold=0.7)
    other = OcclusionNetwork(*SMALL)
    other.load_state_dict(network.state_dict())
    assert other.threshold.item() == pytest.approx(0.7)


def test_a_block_keeps_the_size_and_learns() -> None:
    x = torch.randn(2, 8, 4, 4, requires_grad=True)
    out = Block(8)(x)
    assert out.shape == x.shape
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
