from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from spiralage.mean_face import mean_landmarks
from spiralage.occlusion.occluders.cloth import PATTERNS, painted, plain, wrinkles
from spiralage.occlusion.occluders.drawing import canvas, face_frame, fill, light_on, line, relief, shape, smooth
from spiralage.types import CROP_SIZE, Doubles, Floats

FRAME = face_frame(mean_landmarks())


def turned(points: Doubles, degrees: float) -> Doubles:
    a = np.radians(degrees)
    moved: Doubles = (points - 128) @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) + 128
    return moved


def test_a_faces_own_coordinates_are_those_of_the_mean_face() -> None:
    eyes = mean_landmarks()[36:42].mean(axis=0), mean_landmarks()[42:48].mean(axis=0)
    np.testing.assert_allclose(FRAME.at(-0.5, 0), eyes[0], atol=0.5)
    np.testing.assert_allclose(FRAME.at(0.5, 0), eyes[1], atol=0.5)
    np.testing.assert_allclose(FRAME.at(0, 1.77), mean_landmarks()[8], atol=2)
    assert abs(FRAME.middle) < 0.02


@pytest.mark.parametrize("degrees", [-45, 20, 90])
def test_they_turn_with_it(degrees: float) -> None:
    frame = face_frame(turned(mean_landmarks(), degrees))
    for u, v in ((0, 0), (1, 0), (-0.4, 1.5)):
        np.testing.assert_allclose(frame.at(u, v), turned(FRAME.at(u, v)[None], degrees)[0], atol=1e-6)
    assert frame.unit == pytest.approx(FRAME.unit)


@pytest.mark.parametrize("size", [256, 32])
def test_every_pixel_has_its_coordinates(size: int) -> None:
    frame = face_frame(turned(mean_landmarks(), 30))
    u, v = frame.coordinates(size)
    row, column = size // 4, size // 3
    x, y = ((place + 0.5) * CROP_SIZE / size - 0.5 for place in (column, row))
    np.testing.assert_allclose(frame.at(float(u[row, column]), float(v[row, column])), (x, y), atol=1e-3)


def test_a_turned_head_is_as_large() -> None:
    narrow = mean_landmarks() * (0.3, 1)
    assert face_frame(narrow).unit == pytest.approx(FRAME.unit, rel=0.2)


def test_curves_go_through_their_points() -> None:
    points = np.array([[0.0, 0], [10, 5], [20, 0], [15, 20]])
    closed, opened = smooth(points, steps=4), smooth(points, closed=False, steps=4)
    np.testing.assert_allclose(closed[::4], points)
    np.testing.assert_allclose(opened[::4], points)
    assert len(opened) == 13


def test_shapes_are_drawn_where_they_are() -> None:
    box = np.array([[50.5, 60.0], [100.5, 60], [100.5, 90], [50.5, 90]])
    drawn = shape(box)
    assert drawn[75, 70] == 255
    assert drawn[75, 48] == drawn[57, 70] == 0
    half_out = fill(canvas(), box - (80, 0))
    assert half_out[75, 10] == 255
    stroke = line(canvas(), np.array([[20.0, 128], [200, 128]]), 6)
    assert (stroke[:, 100] > 127).sum() == pytest.approx(6, abs=1.1)


def test_a_crease_is_dark_on_one_side_and_bright_on_the_other() -> None:
    light = relief(line(canvas(), np.array([[0.0, 128], [255, 128]]), 3), 1.6)
    assert light[130:134, 100].mean() * light[123:127, 100].mean() < 0
    assert not light[:100].any()


def test_light_comes_from_one_side_and_the_shadow_falls_to_the_other() -> None:
    for seed in range(6):
        bright, (x, _) = light_on(FRAME, np.random.default_rng(seed))
        left, right = bright[100:180, 40:80].mean(), bright[100:180, 176:216].mean()
        assert abs(x) < 0.15 or (left - right) * x > 0
        assert 0.6 < bright.mean() < 1.1


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_mix_two_colours(pattern: Callable[[Floats, Floats, np.random.Generator], Floats]) -> None:
    u, v = FRAME.coordinates()
    share = pattern(u, v, np.random.default_rng(1))
    assert share.min() >= 0
    assert share.max() <= 1
    assert (share.std() > 0.15) == (pattern is not plain)


def test_wrinkles_are_as_deep_as_asked() -> None:
    u, v = FRAME.coordinates()
    folds = wrinkles(u, v, np.random.default_rng(0), across=4, along=2, depth=0.2)
    assert np.abs(folds).max() == pytest.approx(0.2, abs=0.01)


def test_paint_has_its_colour_its_light_and_its_grain() -> None:
    light = np.full((CROP_SIZE, CROP_SIZE), 0.5, np.float32)
    picture = painted((200, 100, 50), light, np.random.default_rng(0), grain=4).astype(float)
    np.testing.assert_allclose(picture.mean(axis=(0, 1)), (100, 50, 25), atol=0.5)
    assert picture[..., 0].std() == pytest.approx(4, abs=0.5)
