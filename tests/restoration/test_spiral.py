"""The spiral: it fills the frame, touches each pixel once, and leaves what is known alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spiralage.occlusion.window import PAPER_WINDOW, Window
from spiralage.restoration.spiral import TURN, Step, extrapolate_operator, grow, slice_operator, spiral
from spiralage.types import Floats


@st.composite
def windows(draw: st.DrawFn) -> Window:
    frame = draw(st.integers(2, 64))
    x, y = draw(st.integers(0, frame - 1)), draw(st.integers(0, frame - 1))
    return Window(x, y, draw(st.integers(1, frame - x)), draw(st.integers(1, frame - y)), frame)


thicknesses = st.integers(1, 40)


def area(window: Window) -> int:
    return window.width * window.height


def covered(window: Window) -> np.ndarray:
    mask = np.zeros((window.frame, window.frame), np.int64)
    mask[window.slices] = 1
    return mask


def ramp(frame: int) -> Floats:
    """Every pixel has a value of its own, (1, 3, frame, frame)."""
    return np.arange(3 * frame * frame, dtype=np.float32).reshape(1, 3, frame, frame)


@given(windows(), thicknesses)
@settings(max_examples=200, deadline=None)
def test_every_pixel_of_the_margin_is_filled_once(window: Window, thickness: int) -> None:
    steps = spiral(window, thickness)
    times = covered(window) + sum((covered(step.strip) for step in steps), np.zeros_like(covered(window)))
    assert (times == 1).all()


@given(windows(), thicknesses)
@settings(max_examples=200, deadline=None)
def test_steps_follow_one_another(window: Window, thickness: int) -> None:
    at, place = window, -1
    for step in spiral(window, thickness):
        assert (covered(step.after) == covered(at) + covered(step.strip)).all()
        assert (covered(step.beside) <= covered(at)).all()
        now = step.turn * len(TURN) + TURN.index(step.side)
        assert now > place
        across, along = ("width", "height") if step.side in ("left", "right") else ("height", "width")
        assert getattr(step.strip, across) <= thickness
        assert getattr(step.strip, along) == getattr(at, along) == getattr(step.beside, along)
        assert getattr(step.beside, across) == min(thickness, getattr(at, across))
        at, place = step.after, now


@given(windows(), thicknesses)
@settings(max_examples=200, deadline=None)
def test_what_is_painted_is_as_thick_as_a_slice_and_bands_hold_the_seam(window: Window, thickness: int) -> None:
    at, frame = window, window.frame
    for step in spiral(window, thickness):
        across, along = ("width", "height") if step.side in ("left", "right") else ("height", "width")
        assert getattr(step.painted, across) == min(thickness, frame)
        assert getattr(step.band, across) == min(2 * thickness, frame)
        assert getattr(step.painted, along) == getattr(step.band, along) == getattr(at, along)
        assert (covered(step.strip) <= covered(step.painted)).all()
        assert (covered(step.painted) <= covered(step.band)).all()
        assert (covered(step.band) * covered(at)).any()  # the seam lies in it
        known = covered(step.painted) - covered(step.strip)
        if getattr(at, across) >= thickness:
            assert (known <= covered(at)).all()  # it reaches back over nothing else
        assert known.any() == (getattr(step.strip, across) < min(thickness, frame))
        at = step.after


@pytest.mark.parametrize(
    ("step", "beside"),
    [
        ("left", Window(10, 12, 4, 20, 40)),
        ("up", Window(6, 12, 24, 4, 40)),
        ("right", Window(26, 8, 4, 24, 40)),
        ("down", Window(6, 28, 28, 4, 40)),
    ],
)
def test_what_is_beside_lies_on_the_other_side_of_the_edge(step: str, beside: Window) -> None:
    (found,) = [s for s in spiral(Window(10, 12, 20, 20, 40), 4) if s.side == step and s.turn == 0]
    assert found.beside == beside


@pytest.mark.parametrize(
    ("window", "turns", "steps"),
    [
        (PAPER_WINDOW, 4, 9),  # 64 left and right, 16 above, 112 below
        (Window(64, 64, 128, 128), 2, 8),
        (Window(0, 0, 128, 128), 4, 8),  # two sides at the border already
        (Window(128, 128, 128, 128), 4, 8),
        (Window(0, 100, 256, 20), 5, 9),
        (Window(0, 0, 256, 256), 0, 0),
    ],
)
def test_turns_and_steps(window: Window, turns: int, steps: int) -> None:
    walked = spiral(window, 32)
    assert len(walked) == steps
    assert len({step.turn for step in walked}) == turns


def test_a_step_that_reaches_the_border_is_cut() -> None:
    first, second, *_ = spiral(Window(20, 10, 100, 100), 32)
    assert (first.side, first.strip) == ("left", Window(0, 10, 20, 100))
    assert (first.painted, first.band) == (Window(0, 10, 32, 100), Window(0, 10, 64, 100))
    assert (second.side, second.strip) == ("up", Window(0, 0, 120, 10))
    assert (second.painted, second.beside) == (Window(0, 0, 120, 32), Window(0, 10, 120, 32))


def test_of_a_cut_slice_only_what_is_missing_is_kept() -> None:
    imagined, window = np.zeros((1, 3, 16, 16), np.float32), Window(3, 0, 13, 16, 16)
    column = np.arange(8, dtype=np.float32)
    ((_, strip, picture),) = grow(
        np.full((1, 3, 16, 13), -1, np.float32), imagined, window, lambda a, b: a + column, thickness=8
    )
    np.testing.assert_array_equal(strip[0, 0, 0], [0, 1, 2])
    np.testing.assert_array_equal(picture[0, 0, 0], [0, 1, 2, *[-1] * 13])


def test_a_slice_has_a_thickness() -> None:
    with pytest.raises(ValueError, match="at least 1 pixel"):
        spiral(PAPER_WINDOW, 0)


@given(windows(), thicknesses)
@settings(max_examples=100, deadline=None)
def test_the_operators_undo_each_other(window: Window, thickness: int) -> None:
    whole = ramp(window.frame)
    picture, at = whole[(..., *window.slices)], window
    for step in spiral(window, thickness):
        strip = whole[(..., *step.strip.slices)]
        grown = extrapolate_operator(picture, strip, step.side)
        np.testing.assert_array_equal(slice_operator(grown, step.after, step.strip), strip)
        np.testing.assert_array_equal(slice_operator(grown, step.after, at), picture)
        picture, at = grown, step.after


def test_the_walk_on_a_ramp_gives_the_ramp_and_keeps_the_window() -> None:
    whole = ramp(64)
    window = Window(5, 40, 30, 20, 64)
    visible = -whole[(..., *window.slices)]
    painted: list[Floats] = []

    def paint(strip: Floats, style: Floats) -> Floats:
        painted.append(strip)
        return strip

    walked = list(grow(visible, whole, window, paint, thickness=8))
    picture = walked[-1][2]
    np.testing.assert_array_equal(picture[(..., *window.slices)], visible)
    picture[(..., *window.slices)] *= -1
    np.testing.assert_array_equal(picture, whole)
    assert all(min(strip.shape[2:]) == 8 for strip in painted)  # at the border, too


def test_the_style_comes_from_what_was_painted_before() -> None:
    seen: list[tuple[Step, float]] = []
    window = Window(12, 12, 8, 8, 32)
    steps = iter(spiral(window, 4))

    def paint(strip: Floats, style: Floats) -> Floats:
        seen.append((next(steps), float(style.max())))
        return np.full_like(strip, len(seen))

    list(grow(np.zeros((1, 3, 8, 8), np.float32), np.zeros((1, 3, 32, 32), np.float32), window, paint, thickness=4))
    assert [value for _, value in seen[:6]] == [0, 1, 2, 3, 4, 5]  # each strip touches the one before it


def test_tensors_walk_like_arrays() -> None:
    whole, window = ramp(48), Window(20, 0, 11, 17, 48)
    visible = whole[(..., *window.slices)]
    arrays = [picture for _, _, picture in grow(visible, whole, window, lambda a, b: a + b.mean(), thickness=8)]
    parts = torch.from_numpy(visible), torch.from_numpy(whole)
    tensors = list(grow(*parts, window, lambda a, b: a + b.mean(), thickness=8, join=torch.cat))
    assert len(arrays) == len(tensors) > 0
    for array, (_, _, tensor) in zip(arrays, tensors, strict=True):
        np.testing.assert_allclose(tensor.numpy(), array, rtol=1e-5)
