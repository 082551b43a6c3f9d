"""What of a crop is seen: the same code in training and in use."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from spiralage.networks.views import CentredSquare, shrink


def random_crops(count: int = 1) -> Tensor:
    return torch.randint(0, 256, (count, 256, 256, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def places(crop: int, count: int = 300) -> list[tuple[int, int]]:
    torch.manual_seed(0)
    views = CentredSquare(crop=crop, pool=1)
    return [views.random_place() for _ in range(count)]


def test_a_square_is_anywhere_in_training() -> None:
    found = places(224)
    for axis in (0, 1):
        values = [place[axis] for place in found]
        assert min(values) == 0
        assert max(values) == 32
        assert 14 < sum(values) / len(values) < 18
    assert sum(top == left for top, left in found) < 30  # the two are drawn apart
    assert len(set(found)) > 200


def test_a_whole_crop_has_one_place_and_draws_nothing() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert CentredSquare(crop=256, pool=2).random_place() == (0, 0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("place", [(0, 0), (0, 32), (32, 0), (7, 19)])
def test_a_place_is_top_and_left(place: tuple[int, int]) -> None:
    crops = random_crops()
    top, left = place
    expected = crops[:, top : top + 224, left : left + 224].permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(CentredSquare(crop=224, pool=1)(crops, place=place), expected)


def test_the_centre_is_a_place_as_any() -> None:
    views, crops = CentredSquare(crop=224, pool=2), random_crops(2)
    assert views.centre == (16, 16)
    assert torch.equal(views(crops), views(crops, size=112, place=(16, 16)))


@pytest.mark.parametrize("size", [224, 112, 80, 56, 48])
def test_shrinking_is_a_mean_over_areas(size: int) -> None:
    pictures = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(shrink(pictures, size), F.interpolate(pictures, size=(size, size), mode="area"))


def test_masks_shrink_as_pictures_do() -> None:
    views = CentredSquare(crop=224, pool=2)
    mask = (torch.rand(256, 256, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    as_picture = (mask[None, :, :, None].expand(1, 256, 256, 3) * 255).to(torch.uint8)
    for size in (112, 80):
        torch.testing.assert_close(views.shrunk(mask, size), views(as_picture, size=size)[:, :1])


def test_a_square_that_can_not_be_pooled_is_refused() -> None:
    with pytest.raises(ValueError, match="pool must divide crop, got 224 and 3"):
        CentredSquare(crop=224, pool=3)
