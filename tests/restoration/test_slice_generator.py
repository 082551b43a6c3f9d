"""The walk on crops: in at the frame's size, once around the window, and out again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spiralage.occlusion.window import PAPER_WINDOW, Window, margin_mask
from spiralage.restoration.slice_generator import (
    Style,
    batches,
    in_frame,
    padded,
    to_crops,
    walk_spiral,
    windows_of,
)
from spiralage.restoration.spiral import Step, spiral
from spiralage.runtime import BATCH
from spiralage.types import Floats, Mask, Pixels

WINDOWS = [PAPER_WINDOW, Window(0, 0, 100, 256), Window(201, 77, 55, 3), Window(5, 6, 7, 9)]


def noise(seed: int, count: int = 2) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (count, 256, 256, 3), dtype=np.uint8)


class FakeSliceGenerator:
    """Paints what is imagined, or one value, and remembers what it was asked."""

    frame, thickness = 64, 16
    networks: tuple[str, ...] = ()

    def __init__(self, value: float | None = None) -> None:
        self.value = value
        self.contexts: list[Floats] = []
        self.strips: list[tuple[Floats, Floats]] = []

    def context(self, visible: Floats) -> Style:
        self.contexts.append(visible)
        return (np.full(1, len(self.contexts)),)

    def generate(self, imaginary: Floats, beside: Floats, style: Style) -> Floats:
        assert [part.tolist() for part in style] == [[len(self.contexts)]]  # what context gave
        self.strips.append((imaginary, beside))
        return imaginary if self.value is None else np.full_like(imaginary, self.value)


@pytest.mark.parametrize(
    ("shape", "expected"), [((5, 16), (12, 16)), ((1, 41), (12, 44)), ((16, 2), (16, 12)), ((15, 13), (16, 16))]
)
def test_strips_are_padded_with_their_edge_to_multiples_of_4(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    strip = np.random.default_rng(0).random((2, 3, *shape), np.float32)
    found = padded(strip)
    height, width = shape
    assert found.shape == (2, 3, *expected)
    assert found.dtype == np.float32
    rows, columns = np.minimum(np.arange(expected[0]), height - 1), np.minimum(np.arange(expected[1]), width - 1)
    np.testing.assert_array_equal(found, strip[:, :, rows][..., columns])


def test_a_strip_of_multiples_of_4_stays_as_it_is() -> None:
    strip = np.random.default_rng(0).random((2, 3, 16, 40), np.float32)
    np.testing.assert_array_equal(padded(strip), strip)
    turned = padded(strip.transpose(0, 1, 3, 2))
    assert turned.flags.c_contiguous  # as OpenVINO wants it
    np.testing.assert_array_equal(turned, strip.transpose(0, 1, 3, 2))


@pytest.mark.parametrize("frame", [64, 128, 256])
def test_a_crop_in_the_frame_is_the_mean_of_its_pixels(frame: int) -> None:
    crops, factor = noise(0), 256 // frame
    found = in_frame(crops, frame)
    assert found.dtype == np.float32
    assert found.shape == (2, 3, frame, frame)
    block = crops[1, 3 * factor : 4 * factor, 7 * factor : 8 * factor]  # row 3, column 7
    np.testing.assert_allclose(found[1, :, 3, 7], block.mean(axis=(0, 1)) / 255, atol=1e-6)
    whole = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    area = F.interpolate(whole, size=(frame, frame), mode="area").numpy()
    np.testing.assert_allclose(found, area, atol=1e-6)


@pytest.mark.parametrize("frame", [64, 128, 256])
def test_the_way_back_is_bilinear(frame: int) -> None:
    pictures = np.random.default_rng(0).random((2, 3, frame, frame), np.float32)
    found = to_crops(pictures)
    assert found.dtype == np.uint8
    assert found.shape == (2, 256, 256, 3)
    large = F.interpolate(torch.from_numpy(pictures), size=(256, 256), mode="bilinear", align_corners=False)
    expected = (large * 255).round().permute(0, 2, 3, 1).numpy()
    assert np.abs(found - expected).max() <= 1


def test_the_way_back_cuts_off_what_is_no_colour() -> None:
    pictures = np.stack([np.full((3, 64, 64), value, np.float32) for value in (-0.5, 1.5)])
    assert to_crops(pictures).min(axis=(1, 2, 3)).tolist() == [0, 255]
    assert to_crops(pictures).max(axis=(1, 2, 3)).tolist() == [0, 255]


def test_a_flat_crop_comes_back_as_it_was() -> None:
    flat = np.tile(np.arange(0, 256, 51, dtype=np.uint8)[:, None, None, None], (1, 256, 256, 3))
    np.testing.assert_array_equal(to_crops(in_frame(flat, 64)), flat)


def masks(*windows: Window | None) -> Mask:
    everything = np.ones((256, 256), np.bool_)
    return np.stack([everything if window is None else margin_mask(window) for window in windows])


def test_pictures_are_grouped_by_their_largest_window() -> None:
    other = Window(3, 200, 50, 56)
    hidden = masks(PAPER_WINDOW, None, other, PAPER_WINDOW, None, PAPER_WINDOW)
    hidden[5, 0, :5] = False  # another mask, the same largest window
    assert windows_of(hidden) == {PAPER_WINDOW: [0, 3, 5], None: [1, 4], other: [2]}


def test_no_pictures_have_no_windows() -> None:
    assert windows_of(np.zeros((0, 256, 256), np.bool_)) == {}


def test_every_picture_is_in_one_batch() -> None:
    indices = list(range(5, 5 + 2 * BATCH + 1))
    found = list(batches(indices))
    assert [len(batch) for batch in found] == [BATCH, BATCH, 1]
    assert [index for batch in found for index in batch] == indices
    assert list(batches([])) == []


def walk(generator: FakeSliceGenerator, filled: Pixels, window: Window) -> list[tuple[Step, Floats]]:
    return list(walk_spiral(generator, filled, window))


@pytest.mark.parametrize("window", WINDOWS)
def test_the_last_picture_is_the_whole_frame(window: Window) -> None:
    filled = noise(1)
    steps, pictures = zip(*walk(FakeSliceGenerator(), filled, window), strict=True)
    assert steps == spiral(window.in_frame(64), 16)
    shapes = [(2, 3, step.after.height, step.after.width) for step in steps]
    assert [picture.shape for picture in pictures] == shapes
    assert pictures[-1].dtype == np.float32
    margin = np.ones((64, 64), np.bool_)
    margin[window.in_frame(64).slices] = False
    small = in_frame(filled, 64)
    np.testing.assert_array_equal(pictures[-1][:, :, margin], small[:, :, margin])
    np.testing.assert_array_equal(pictures[-1], small)  # the generator leaves what is imagined as it is


@pytest.mark.parametrize("window", WINDOWS)
def test_context_is_computed_once_and_a_slice_painted_at_each_step(window: Window) -> None:
    generator, filled, inside = FakeSliceGenerator(), noise(1), window.in_frame(64)
    for times in (1, 2):
        steps = [step for step, _ in walk(generator, filled, window)]
        assert len(generator.contexts) == times
        assert len(generator.strips) == times * len(steps) > 0
        np.testing.assert_array_equal(generator.contexts[-1], in_frame(filled, 64)[(..., *inside.slices)])
    shapes = [(imaginary.shape[2:], beside.shape[2:]) for imaginary, beside in generator.strips[-len(steps) :]]
    assert shapes == [((s.painted.height, s.painted.width), (s.beside.height, s.beside.width)) for s in steps]


@pytest.mark.parametrize("window", WINDOWS)
def test_the_slice_generator_leaves_the_visible_window_alone(window: Window) -> None:
    filled, inside = noise(1), window.in_frame(64)
    picture = walk(FakeSliceGenerator(1), filled, window)[-1][1].copy()
    np.testing.assert_array_equal(picture[(..., *inside.slices)], in_frame(filled, 64)[(..., *inside.slices)])
    picture[(..., *inside.slices)] = 1
    assert (picture == 1).all()


def test_pictures_of_a_batch_walk_as_they_would_alone() -> None:
    filled = noise(2, 3)
    together = walk(FakeSliceGenerator(), filled, PAPER_WINDOW)[-1][1]
    alone = [walk(FakeSliceGenerator(), picture[None], PAPER_WINDOW)[-1][1] for picture in filled]
    np.testing.assert_array_equal(together, np.concatenate(alone))
