"""From occlusion to window: the largest visible rectangle that holds the eyes, and who fills what."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spiralage.mean_face import mean_landmarks
from spiralage.occlusion.occluders import OCCLUDERS, OccluderName
from spiralage.occlusion.window import PAPER_WINDOW, Window, largest_window, margin_mask
from spiralage.restoration.choose import LEAST_SIDE, SMALL, choose_way, eyes_window, largest_window_with
from spiralage.types import Landmarks, Mask

SIDE = 9
FACE = Landmarks(mean_landmarks(), "given")


@st.composite
def masks_and_cores(draw: st.DrawFn) -> tuple[Mask, Window]:
    """A small mask, mostly visible, and a rectangle in its frame."""
    x, y = draw(st.integers(0, SIDE - 1)), draw(st.integers(0, SIDE - 1))
    width, height = draw(st.integers(1, SIDE - x)), draw(st.integers(1, SIDE - y))
    drawn = draw(arrays(np.uint8, (SIDE, SIDE), elements=st.integers(0, 9)))
    return drawn >= draw(st.integers(6, 9)), Window(x, y, width, height, SIDE)


def brute_force(mask: Mask, core: Window) -> int:
    """The largest area, by trying every rectangle; 0 where there is none."""
    return max(
        (
            (right - x) * (bottom - y)
            for x in range(core.x + 1)
            for right in range(core.right, SIDE + 1)
            for y in range(core.y + 1)
            for bottom in range(core.bottom, SIDE + 1)
            if not mask[y:bottom, x:right].any()
        ),
        default=0,
    )


@settings(max_examples=60, deadline=None)
@given(masks_and_cores())
def test_the_window_is_visible_holds_its_core_and_none_is_larger(drawn: tuple[Mask, Window]) -> None:
    mask, core = drawn
    window = largest_window_with(mask, core)
    expected = brute_force(mask, core)
    if window is None:
        assert expected == 0
        return
    assert not mask[window.slices].any()
    assert window.x <= core.x
    assert window.y <= core.y
    assert window.right >= core.right
    assert window.bottom >= core.bottom
    assert window.width * window.height == expected


def test_a_rectangle_alone_is_the_window() -> None:
    assert largest_window_with(margin_mask(PAPER_WINDOW), eyes_window(FACE)) == PAPER_WINDOW
    everything = np.zeros((256, 256), np.bool_)
    assert largest_window_with(everything, eyes_window(None)) == Window(0, 0, 256, 256) == largest_window(everything)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(OCCLUDERS)), st.integers(0, 10_000))
def test_every_occluder_has_a_way_that_can_be_gone(name: OccluderName, seed: int) -> None:
    mask = OCCLUDERS[name](mean_landmarks(), np.random.default_rng(seed)).mask
    way = choose_way(mask, FACE)
    eyes = eyes_window(FACE)
    assert (way.restorer == "none") == (not mask.any())
    assert (way.window is not None) == (way.restorer == "spiral")
    if way.window is not None:
        assert not mask[way.window.slices].any()
        assert min(way.window.width, way.window.height) >= LEAST_SIDE
        assert way.window.y <= eyes.y < eyes.bottom <= way.window.bottom
        assert mask.mean() >= SMALL
    if mask[eyes.slices].any():
        assert (way.restorer, way.reason) == ("imagine", "an eye is hidden")


@pytest.mark.parametrize(
    ("name", "restorer", "reason"),
    [
        ("paper", "spiral", "a window"),
        ("surgical-mask", "spiral", "a window"),
        ("scarf", "spiral", "a window"),
        ("sunglasses", "imagine", "an eye is hidden"),
    ],
)
def test_ways_of_some_kinds(name: OccluderName, restorer: str, reason: str) -> None:
    ways = [choose_way(OCCLUDERS[name](mean_landmarks(), np.random.default_rng(n)).mask, FACE) for n in range(5)]
    assert {(way.restorer, way.reason) for way in ways} == {(restorer, reason)}


def test_small_and_ragged_holes_go_to_the_free_form_filler() -> None:
    mask = np.zeros((256, 256), np.bool_)
    assert choose_way(mask).restorer == "none"
    mask[200:220, 40:60] = True
    assert choose_way(mask).reason == "small holes"
    mask[130:, ::8] = True  # bars from the nose down
    mask[:70, ::8] = True
    assert choose_way(mask).reason == "ragged holes"
    assert choose_way(~np.zeros((256, 256), np.bool_)).reason == "an eye is hidden"


def test_the_eyes_are_where_the_landmarks_say_within_the_crop() -> None:
    assert eyes_window(None) == Window(73, 85, 111, 27)
    points = np.array([[100.0, 200.0], [150.0, 210.0], [125.0, 230.0], [110.0, 250.0], [140.0, 250.0]])
    eyes = eyes_window(Landmarks(points, "given"))
    assert (eyes.x, eyes.y, eyes.right, eyes.bottom) == (92, 192, 159, 219)
    far = eyes_window(Landmarks(points + 1e6, "given"))
    assert (far.x, far.y, far.width, far.height) == (255, 255, 1, 1)
