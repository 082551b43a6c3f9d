from __future__ import annotations

import numpy as np
import pytest

from spiralage.occlusion.occluders.cover import EDGE, SHADOW_REACH, Cover, in_its_light, soft_cover
from spiralage.types import CROP_SIZE, Pixels

GREY = np.full((CROP_SIZE, CROP_SIZE, 3), 120, np.uint8)
RED = np.full_like(GREY, (200, 20, 20))


@pytest.fixture
def square() -> Pixels:
    coverage = np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
    coverage[100:150, 60:120] = 255
    return coverage


def test_a_hard_cover_is_pasted(square: Pixels) -> None:
    drawn = Cover(RED, square > 0).over(GREY)
    np.testing.assert_array_equal(drawn[square > 0], RED[square > 0])
    np.testing.assert_array_equal(drawn[square == 0], GREY[square == 0])


def test_half_covered_pixels_are_half_seen(square: Pixels) -> None:
    cover = Cover(RED, square > 0, (square * 0.4).astype(np.uint8))
    np.testing.assert_allclose(cover.over(GREY)[120, 80], 0.6 * GREY[0, 0] + 0.4 * RED[0, 0], atol=1)


def test_a_soft_covers_edge_is_soft_and_its_mask_is_where_it_was(square: Pixels) -> None:
    cover = soft_cover(RED, square)
    assert cover.coverage is not None
    np.testing.assert_array_equal(cover.mask[1:-1], (square > 127)[1:-1])
    assert 0 < cover.coverage[99, 80] < 128 < cover.coverage[100, 80] < 255
    assert cover.shadow is None
    assert not cover.coverage[: 100 - EDGE].any()


def test_faint_lines_far_from_the_mask_are_dropped(square: Pixels) -> None:
    square[200] = 90
    cover = soft_cover(RED, square)
    np.testing.assert_array_equal(cover.over(GREY)[190:210], GREY[190:210])


@pytest.mark.parametrize(
    ("light", "darker", "brighter"), [((1, 0), (125, 122), (125, 57)), ((0, 1), (152, 90), (97, 90))]
)
def test_a_shadow_falls_away_from_the_light(
    light: tuple[float, float], darker: tuple[int, int], brighter: tuple[int, int], square: Pixels
) -> None:
    drawn = soft_cover(RED, square, shadow=0.6, light=light).over(GREY).astype(int)
    assert drawn[darker][1] < drawn[brighter][1] <= GREY[0, 0, 1]
    near = np.zeros((CROP_SIZE, CROP_SIZE), np.bool_)
    near[100 - SHADOW_REACH : 150 + SHADOW_REACH, 60 - SHADOW_REACH : 120 + SHADOW_REACH] = True
    np.testing.assert_array_equal(drawn[~near], GREY[~near])
    assert drawn[near].min() >= 20


def test_the_light_of_the_photo_is_taken_on() -> None:
    picture = np.full_like(GREY, (140, 190, 220))
    warm = np.full_like(GREY, (200, 120, 60))
    bright, dim, sunset, grey = (
        in_its_light(picture, crop)[0, 0].astype(int)
        for crop in (np.full_like(GREY, (137, 116, 107)), np.full_like(GREY, (46, 39, 36)), warm, GREY)
    )
    np.testing.assert_allclose(bright, (140, 190, 220), atol=6)
    assert (dim < 0.65 * bright).all()
    assert sunset[0] > bright[0] + 10
    assert sunset[2] < bright[2] - 10
    assert np.ptp(grey) <= 1


def test_a_photo_of_which_nothing_is_left_changes_no_colours() -> None:
    np.testing.assert_array_equal(in_its_light(RED, np.zeros_like(GREY)), RED)


def test_less_than_half_covered_is_not_hidden(square: Pixels) -> None:
    square[98:100, 60:120] = 60
    assert not soft_cover(RED, square).mask[:100].any()
