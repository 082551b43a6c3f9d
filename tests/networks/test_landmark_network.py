"""The heat-map network: how maps are read, what it loses, what it costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from spiralage.networks.landmarks import (
    BLUR,
    CELL,
    LandmarkNetwork,
    cells_along,
    gaussians,
    multiplications,
)


def network(stacks: int = 1) -> LandmarkNetwork:
    torch.manual_seed(0)
    return LandmarkNetwork(8, stacks)


def maps_round(points: Tensor) -> Tensor:
    """The maps that the targets are made of, for (N, 68, 2) points in crop pixels: (N, 68, 1024)."""
    return gaussians((points - 127.5) / CELL, cells_along()).clamp(min=1e-30).log()


def random_points(count: int, low: float = 30, high: float = 225) -> Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.uniform(low, high, (count, 68, 2))).float()


def test_maps_are_read_far_below_a_cell() -> None:
    points = random_points(3)
    found, spreads = network().read(maps_round(points))
    assert (found - points).abs().max() < 0.02  # a cell has 8 pixels
    assert spreads.max() < 1.5  # the targets' blur is no spread of the point


def test_maps_are_read_as_finely_where_convolutions_are_coarse() -> None:
    points = random_points(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, spreads = network().read(maps_round(points))
    assert found.dtype == torch.float32
    assert (found - points).abs().max() < 0.02
    assert spreads.max() < 1.5


def test_the_middle_of_the_first_cell_is_where_its_pixels_are() -> None:
    maps = torch.full((1, 68, 1024), -100.0)
    maps[..., 0] = 0.0
    found, _ = network().read(maps)
    assert set(found.flatten().tolist()) == {3.5}
    maps = torch.full((1, 68, 1024), -100.0)
    maps[..., 31] = 0.0  # the last of the first row
    assert network().read(maps)[0][0, 0].tolist() == [251.5, 3.5]


def test_two_possible_places_are_a_wide_spread() -> None:
    left, right = random_points(1, 60, 61), random_points(1, 124, 125)
    both = torch.logaddexp(maps_round(left), maps_round(right)) - np.log(2)
    points, spreads = network().read(both)
    assert (points - (left + right) / 2).abs().max() < 0.1
    assert spreads.min() > 25  # 32 pixels to either side on both axes
    assert spreads.max() < 40


def test_true_maps_lose_nothing_and_a_step_away_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    points, pictures = random_points(2), torch.zeros(2, 3, 128, 128)
    net = network()
    monkeypatch.setattr(net, "maps", lambda pictures: [maps_round(points)])
    losses = net.losses(pictures, points)
    assert abs(losses["maps"].item()) < 1e-4
    assert losses["points"].item() < 0.01
    moved = net.losses(pictures, points + torch.tensor([CELL, 0.0]))
    assert moved["points"].item() == pytest.approx(1.0, abs=0.01)
    # Between Gaussians one cell apart the divergence is half a squared cell by their variance.
    assert moved["maps"].item() == pytest.approx(0.5 / BLUR**2, abs=0.02)


def test_points_beyond_the_crop_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    points, pictures = random_points(2), torch.zeros(2, 3, 128, 128)
    net = network()
    monkeypatch.setattr(net, "maps", lambda pictures: [maps_round(random_points(2))])
    points[0, :17] = -40.0
    points[1, 20] = torch.tensor([100.0, 300.0])
    losses = net.losses(pictures, points)
    assert losses["points"].item() < 0.01
    assert abs(losses["maps"].item()) < 1e-4
    everything = net.losses(pictures, torch.full_like(points, -99.0))
    assert everything["points"].item() == 0
    assert everything["maps"].item() == 0


@pytest.mark.parametrize("stacks", [1, 2])
def test_every_weight_learns(stacks: int) -> None:
    net = network(stacks)
    losses = net.losses(torch.rand(2, 3, 128, 128), random_points(2))
    (losses["maps"] + losses["points"]).backward()  # type: ignore[no-untyped-call]
    assert len(net.maps(torch.rand(1, 3, 128, 128))) == stacks
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


@torch.no_grad()
def test_crops_go_in_and_points_come_out() -> None:
    crops = torch.randint(0, 256, (3, 256, 256, 3), dtype=torch.uint8)
    points, spreads = network().eval()(crops)
    assert (points.shape, spreads.shape) == ((3, 68, 2), (3, 68))
    assert points.min() > 3
    assert points.max() < 252
    assert spreads.min() > 0
    pictures = network().pictures(crops)
    assert pictures.shape == (3, 3, 128, 128)
    mean = crops[1, :2, 2:4, 0].float().mean() / 255
    assert pictures[1, 0, 0, 1].item() == pytest.approx(mean.item(), abs=1e-6)


def test_the_recipes_network_is_small() -> None:
    assert multiplications(LandmarkNetwork()) < 300e6
    assert sum(parameter.numel() for parameter in LandmarkNetwork().parameters()) < 1e6
