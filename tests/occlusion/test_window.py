from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spiralage.faces.align import ANCHORS
from spiralage.occlusion.window import (
    PAPER_WINDOW,
    Window,
    edge_window,
    largest_window,
    margin_mask,
    paper_mask,
    random_window,
)
from spiralage.types import CROP_SIZE, Mask

seeds = st.integers(0, 2**32 - 1)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    x, y = draw(st.integers(0, CROP_SIZE - 1)), draw(st.integers(0, CROP_SIZE - 1))
    return Window(x, y, draw(st.integers(1, CROP_SIZE - x)), draw(st.integers(1, CROP_SIZE - y)))


@pytest.mark.parametrize(
    "values", [(-1, 0, 10, 10), (0, -1, 10, 10), (0, 0, 0, 10), (0, 0, 10, 0), (250, 0, 7, 10), (0, 250, 10, 7)]
)
def test_a_window_lies_inside_the_crop(values: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="inside the 256×256 crop"):
        Window(*values)


@given(windows())
@settings(max_examples=50, deadline=None)
def test_the_margin_mask_hides_all_but_the_window(window: Window) -> None:
    hidden = margin_mask(window)
    assert hidden.shape == (CROP_SIZE, CROP_SIZE)
    assert hidden.dtype == np.bool_
    assert (~hidden).sum() == window.width * window.height
    assert not hidden[window.slices].any()
    assert not hidden[window.y, window.x]
    assert not hidden[window.y + window.height - 1, window.x + window.width - 1]


@given(windows())
@settings(max_examples=10, deadline=None)
def test_the_largest_window_of_a_margin_mask_is_its_window(window: Window) -> None:
    assert largest_window(margin_mask(window)) == window


def largest_area(visible: npt.NDArray[np.bool_]) -> int:
    """By trying every rectangle."""
    rows, columns = visible.shape
    return max(
        (
            (bottom - top) * (right - left)
            for top in range(rows)
            for bottom in range(top + 1, rows + 1)
            for left in range(columns)
            for right in range(left + 1, columns + 1)
            if visible[top:bottom, left:right].all()
        ),
        default=0,
    )


def by_a_stack(hidden: Mask) -> Window | None:
    """The largest window row by row, with a stack of rising heights, as it was found before: slow, and the first."""
    best: tuple[int, Window] | None = None
    heights = np.zeros(hidden.shape[1], np.int64)
    for row, covered in enumerate(hidden):
        heights = np.where(covered, 0, heights + 1)
        stack: list[tuple[int, int]] = []
        for column, height in enumerate([*heights.tolist(), 0]):
            first = column
            while stack and stack[-1][1] >= height:
                first, tall = stack.pop()
                area = tall * (column - first)
                if tall and (best is None or area > best[0]):
                    best = area, Window(first, row - tall + 1, column - first, tall)
            stack.append((first, height))
    return None if best is None else best[1]


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    """Masks of all kinds: coarse and fine noise, blobs, edges, and windows in them."""
    rng = np.random.default_rng(draw(seeds))
    cells = draw(st.sampled_from([2, 4, 8, 32, 256]))
    noise = rng.random((cells, cells)) < draw(st.sampled_from([0.001, 0.1, 0.5, 0.9, 0.999]))
    hidden = noise.repeat(256 // cells, 0).repeat(256 // cells, 1)
    for window in draw(st.lists(windows(), max_size=3)):
        hidden[window.slices] = draw(st.booleans())
    return hidden


@given(masks())
@settings(max_examples=60, deadline=None)
def test_the_largest_window_is_the_one_that_a_stack_finds(hidden: Mask) -> None:
    assert largest_window(hidden) == by_a_stack(hidden)


@given(hnp.arrays(np.bool_, (8, 8)))
@settings(max_examples=25, deadline=None)
def test_the_largest_window_is_as_large_as_brute_force_says(coarse: npt.NDArray[np.bool_]) -> None:
    block = CROP_SIZE // 8
    window = largest_window(np.kron(coarse, np.ones((block, block))).astype(np.bool_))
    expected = largest_area(~coarse) * block**2
    if window is None:
        assert expected == 0
    else:
        assert window.width * window.height == expected
        assert not coarse.repeat(block, 0).repeat(block, 1)[window.slices].any()


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_the_largest_window_round_single_hidden_pixels(seed: int) -> None:
    # With few hidden pixels the largest window is bounded by them or by the frame on every side.
    rng = np.random.default_rng(seed)
    hidden = np.zeros((CROP_SIZE, CROP_SIZE), np.bool_)
    hidden[tuple(rng.integers(0, CROP_SIZE, (2, 12)))] = True
    window = largest_window(hidden)
    assert window is not None
    assert not hidden[window.slices].any()
    rows, columns = window.slices
    assert window.y == 0 or hidden[window.y - 1, columns].any()
    assert window.x == 0 or hidden[rows, window.x - 1].any()
    assert rows.stop == CROP_SIZE or hidden[rows.stop, columns].any()
    assert columns.stop == CROP_SIZE or hidden[rows, columns.stop].any()


def test_the_largest_window_of_all_and_nothing() -> None:
    everything = np.ones((CROP_SIZE, CROP_SIZE), np.bool_)
    assert largest_window(everything) is None
    assert largest_window(~everything) == Window(0, 0, CROP_SIZE, CROP_SIZE)
    everything[7, 9] = False
    assert largest_window(everything) == Window(9, 7, 1, 1)


@given(seeds, st.integers(1, CROP_SIZE), st.integers(1, CROP_SIZE))
@settings(max_examples=50, deadline=None)
def test_a_random_window_has_its_size(seed: int, width: int, height: int) -> None:
    window = random_window(np.random.default_rng(seed), width, height)
    assert (window.width, window.height) == (width, height)


def test_random_windows_reach_every_corner() -> None:
    rng = np.random.default_rng(0)
    found = [random_window(rng, 250, 252) for _ in range(300)]
    assert {window.x for window in found} == set(range(7))
    assert {window.y for window in found} == set(range(5))
    assert random_window(np.random.default_rng(3)) == random_window(np.random.default_rng(3))


@given(seeds, st.floats(0.05, 1 - 1 / CROP_SIZE))
@settings(max_examples=60, deadline=None)
def test_an_edge_window_loses_one_side(seed: int, most: float) -> None:
    window = edge_window(np.random.default_rng(seed), most=most)
    hidden = margin_mask(window)
    assert 8 / CROP_SIZE <= hidden.mean() <= most
    whole_sides = [side.all() for side in (hidden[0], hidden[-1], hidden[:, 0], hidden[:, -1])]
    assert sum(whole_sides) == 1
    assert CROP_SIZE in (window.width, window.height)


def test_edge_windows_lose_every_side() -> None:
    rng = np.random.default_rng(0)
    masks = [margin_mask(edge_window(rng)) for _ in range(100)]
    for side in range(4):
        assert sum(bool([m[0], m[-1], m[:, 0], m[:, -1]][side].all()) for m in masks) > 10
    assert max(mask.mean() for mask in masks) <= 0.5
    assert max(mask.mean() for mask in masks) > 0.45


def test_the_paper_mask_leaves_the_eyes_and_hides_the_mouth() -> None:
    occlusion = paper_mask()
    assert occlusion.kind == "paper"
    assert occlusion.fraction == 0.75
    left_eye, right_eye, mouth = ANCHORS.astype(int)
    assert not occlusion.mask[left_eye[1], left_eye[0]]
    assert not occlusion.mask[right_eye[1], right_eye[0]]
    assert occlusion.mask[mouth[1], mouth[0]]
    assert Window(64, 16, 128, 128) == PAPER_WINDOW
