from __future__ import annotations

import numpy as np
import pytest

from spiralage.occlusion.weather import weather
from spiralage.types import AlignedFace, Pixels

SEEDS = range(16)


@pytest.fixture(scope="module")
def worse(portrait_crop: AlignedFace) -> list[Pixels]:
    return [weather(portrait_crop.pixels, np.random.default_rng(seed)) for seed in SEEDS]


def test_pictures_become_worse_but_nothing_moves(worse: list[Pixels], portrait_crop: AlignedFace) -> None:
    before = portrait_crop.pixels.mean(axis=2).ravel()
    for picture in worse:
        assert picture.dtype == np.uint8
        assert picture.shape == portrait_crop.pixels.shape
        assert np.corrcoef(picture.mean(axis=2).ravel(), before)[0, 1] > 0.93
    changed = [bool((picture != portrait_crop.pixels).any()) for picture in worse]
    assert np.mean(changed) > 0.6


def test_some_are_blurred_and_some_are_noisy(worse: list[Pixels], portrait_crop: AlignedFace) -> None:
    def roughness(picture: Pixels) -> float:
        return float(np.abs(np.diff(picture.mean(axis=2), axis=1)).mean())

    ratios = [roughness(picture) / roughness(portrait_crop.pixels) for picture in worse]
    assert min(ratios) < 0.8
    assert max(ratios) > 1.05


def test_colours_stay_in_their_order(worse: list[Pixels], portrait_crop: AlignedFace) -> None:
    skin = portrait_crop.pixels[150:170, 100:110].mean(axis=(0, 1))
    assert skin[0] > skin[2] + 30
    for picture in worse:
        assert picture[150:170, 100:110].mean(axis=(0, 1))[0] > picture[150:170, 100:110].mean(axis=(0, 1))[2]


def test_the_same_seed_gives_the_same_weather_and_the_picture_stays(portrait_crop: AlignedFace) -> None:
    before = portrait_crop.pixels.copy()
    one, other = (weather(portrait_crop.pixels, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    one[:] = 0
    np.testing.assert_array_equal(portrait_crop.pixels, before)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (17, 5)])
def test_every_size_is_taken(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for seed in SEEDS:
        assert weather(picture, np.random.default_rng(seed), strength=2.0).shape == picture.shape


def test_no_strength_no_weather(portrait_crop: AlignedFace) -> None:
    fine = weather(portrait_crop.pixels, np.random.default_rng(0), strength=0)
    np.testing.assert_array_equal(fine, portrait_crop.pixels)
    assert fine is not portrait_crop.pixels
