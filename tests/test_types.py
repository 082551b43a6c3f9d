from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spiralage.types import (
    CROP_SIZE,
    AgeEstimate,
    AlignedFace,
    Box,
    Face,
    Landmarks,
    Occlusion,
    Photo,
    PhotoReport,
    Pixels,
    Restoration,
)

CROP = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8)
MASK = np.zeros((CROP_SIZE, CROP_SIZE), np.bool_)
MATRIX = np.eye(2, 3)

WRONG_PICTURES = [
    np.zeros((256, 256), np.uint8),
    np.zeros((256, 256, 4), np.uint8),
    np.zeros((1, 256, 256, 3), np.uint8),
    np.zeros((256, 256, 3), np.float32),
    np.zeros((256, 256, 3), np.int64),
]


@pytest.mark.parametrize("pixels", [*WRONG_PICTURES, np.zeros((0, 4, 3), np.uint8), np.zeros((4, 0, 3), np.uint8)])
def test_a_photo_is_uint8_rgb_with_pixels(pixels: Any) -> None:
    with pytest.raises(ValueError, match="a photo must"):
        Photo(pixels)


def test_the_size_of_a_photo_is_width_and_height() -> None:
    photo = Photo(np.zeros((3, 5, 3), np.uint8))
    assert photo.size == (5, 3)
    assert photo.name == "photo"


@pytest.mark.parametrize(
    "values", [(0, 0, 0, 1), (0, 0, 1, -1), (np.nan, 0, 1, 1), (0, np.inf, 1, 1), (0, 0, np.inf, 1)]
)
def test_a_box_is_finite_and_has_an_area(values: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="a box needs"):
        Box(*values)


def test_a_box_may_reach_beyond_the_photo() -> None:
    assert Box(-10, -20, 4, 8).centre == (-8, -16)


@pytest.mark.parametrize("shape", [(67, 2), (68, 3), (5,), (2, 5), (0, 2)])
def test_landmarks_are_68_or_5_points(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="landmarks must be"):
        Landmarks(np.zeros(shape), "given")


@pytest.mark.parametrize("spread", [np.ones(5), np.full(68, -1.0), np.full(68, np.nan), np.ones((68, 1))])
def test_each_landmark_has_one_spread(spread: np.ndarray) -> None:
    with pytest.raises(ValueError, match="spreads must be finite and not negative, one for each point"):
        Landmarks(np.zeros((68, 2)), "heatmap", spread)


def test_spreads_grow_as_landmarks_move_apart() -> None:
    points, spread = np.arange(10.0).reshape(5, 2), np.arange(5.0)
    turned = np.array([[0.0, -3.0, 1.0], [3.0, 0.0, 2.0]])  # by a right angle, three times as large
    moved = Landmarks(points, "heatmap", spread).moved(turned)
    np.testing.assert_allclose(moved.points, np.stack([1 - 3 * points[:, 1], 2 + 3 * points[:, 0]], axis=1))
    assert moved.spread_px is not None
    np.testing.assert_allclose(moved.spread_px, 3 * spread)
    assert moved.source == "heatmap"
    assert Landmarks(points, "dlib").moved(turned).spread_px is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_landmarks_are_finite(value: float) -> None:
    points = np.zeros((5, 2))
    points[3, 1] = value
    with pytest.raises(ValueError, match="finite"):
        Landmarks(points, "given")


def test_five_of_68() -> None:
    points = np.stack([np.arange(68.0), -np.arange(68.0)], axis=1)
    five = Landmarks(points, "dlib").five()
    assert five.tolist() == [[38.5, -38.5], [44.5, -44.5], [30, -30], [48, -48], [54, -54]]


def test_five_of_five() -> None:
    points = np.arange(10.0).reshape(5, 2)
    np.testing.assert_array_equal(Landmarks(points, "yunet").five(), points)


def test_a_face_knows_its_box_first() -> None:
    face = Face(Box(0, 0, 1, 1))
    assert face.score == 1
    assert face.landmarks is None


@pytest.mark.parametrize("pixels", [*WRONG_PICTURES, CROP[:-1], CROP[:, 1:]])
def test_crops_have_256_pixels_a_side(pixels: Any) -> None:
    with pytest.raises(ValueError, match="a crop must"):
        AlignedFace(pixels, MATRIX, MASK)
    with pytest.raises(ValueError, match="a restoration must"):
        Restoration(pixels, "none")


def test_an_aligned_face_checks_its_matrix_and_mask() -> None:
    assert AlignedFace(CROP, MATRIX, MASK).landmarks is None
    with pytest.raises(ValueError, match="affine matrix"):
        AlignedFace(CROP, np.eye(3), MASK)
    with pytest.raises(ValueError, match="inside mask"):
        AlignedFace(CROP, MATRIX, MASK[:10])


def test_an_occlusion_is_a_bool_mask_of_a_crop() -> None:
    assert Occlusion(MASK).kind == "given"
    with pytest.raises(ValueError, match="shape"):
        Occlusion(MASK[:10])
    with pytest.raises(ValueError, match="bool"):
        Occlusion(MASK.astype(np.uint8))


def test_what_an_occlusion_covers_is_0() -> None:
    hidden = MASK.copy()
    hidden[:64] = True
    pixels: Pixels = np.random.default_rng(0).integers(1, 256, CROP.shape, np.uint8)
    before = pixels.copy()
    covered = Occlusion(hidden).cover(pixels)
    assert Occlusion(hidden).fraction == 0.25
    assert covered.dtype == np.uint8
    assert not covered[:64].any()
    np.testing.assert_array_equal(covered[64:], before[64:])
    np.testing.assert_array_equal(pixels, before)
    assert Occlusion(MASK).fraction == 0
    assert Occlusion(~MASK).fraction == 1


def two_ages(first: int, second: int, share: float) -> AgeEstimate:
    probabilities = np.zeros(101, np.float32)
    probabilities[first] += share
    probabilities[second] += 1 - share
    return AgeEstimate(probabilities)


def test_mean_and_deviation_of_two_ages() -> None:
    estimate = two_ages(20, 60, 0.75)
    assert estimate.mean == pytest.approx(30)
    assert estimate.std == pytest.approx(40 * np.sqrt(0.75 * 0.25))
    assert estimate.p_at_least(20) == pytest.approx(1)
    assert estimate.p_at_least(20.5) == pytest.approx(0.25)
    assert estimate.p_at_least(60) == pytest.approx(0.25)
    assert estimate.p_at_least(61) == 0


def test_the_interval_of_one_age_is_within_its_year() -> None:
    assert two_ages(40, 40, 0.5).interval(0.9) == pytest.approx((39.55, 40.45))
    assert two_ages(40, 40, 0.5).interval(0.5) == pytest.approx((39.75, 40.25))


@pytest.mark.parametrize("level", [0, 1, -0.1, 1.5])
def test_the_level_of_an_interval_is_between_0_and_1(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        two_ages(1, 2, 0.5).interval(level)


@given(st.lists(st.floats(0, 1), min_size=101, max_size=101), st.floats(0.05, 0.95))
@settings(max_examples=60, deadline=None)
def test_what_holds_for_every_distribution(weights: list[float], level: float) -> None:
    raw = np.array(weights) + 1e-3
    estimate = AgeEstimate((raw / raw.sum()).astype(np.float32))
    low, high = estimate.interval(level)
    assert 0 <= low <= high <= 100
    assert 0 <= estimate.mean <= 100
    assert 0 <= estimate.std <= 50
    wide_low, wide_high = estimate.interval((1 + level) / 2)
    assert wide_low <= low
    assert high <= wide_high
    # The whole years that the interval touches hold at least its level.
    touched = slice(int(np.floor(low + 0.5)), int(np.floor(high + 0.5)) + 1)
    assert estimate.probabilities[touched].sum() >= level - 1e-4
    chances = [estimate.p_at_least(age) for age in (0, 18, 30.5, 65, 100, 101)]
    assert chances[0] == pytest.approx(1, abs=1e-4)
    assert chances == sorted(chances, reverse=True)
    assert chances[-1] == 0


@pytest.mark.parametrize(
    "probabilities",
    [
        np.full(100, 0.01),
        np.full((1, 101), 1 / 101),
        np.full(101, 0.01),
        np.zeros(101),
        np.full(101, np.nan),
        np.concatenate([[-0.5, 1.5], np.zeros(99)]),
    ],
)
def test_probabilities_are_101_that_sum_to_1(probabilities: Any) -> None:
    with pytest.raises(ValueError, match="age probabilities must"):
        AgeEstimate(probabilities.astype(np.float32))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Photo(CROP), "pixels"),
        (Box(0, 0, 1, 1), "x"),
        (Landmarks(np.zeros((5, 2)), "given"), "points"),
        (Face(Box(0, 0, 1, 1)), "box"),
        (AlignedFace(CROP, MATRIX, MASK), "pixels"),
        (Occlusion(MASK), "hidden"),
        (Restoration(CROP, "none"), "pixels"),
        (two_ages(1, 2, 0.5), "probabilities"),
        (PhotoReport("a.jpg"), "faces"),
    ],
)
def test_nouns_are_frozen(value: Any, name: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, None)
