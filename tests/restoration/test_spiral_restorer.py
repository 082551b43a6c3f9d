"""SpiralNet with a fake imaginer and a fake generator: who is asked for what, and what becomes of the answers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from spiralage.occlusion.window import PAPER_WINDOW, Window, largest_window, margin_mask
from spiralage.restoration.restore import Spiral, fill_hidden
from spiralage.restoration.slice_generator import Style, in_frame
from spiralage.restoration.spiral import slice_operator, spiral
from spiralage.runtime import BATCH
from spiralage.types import Floats, Mask, Pixels

EVERYTHING = np.ones((256, 256), np.bool_)
NOTHING = np.zeros((256, 256), np.bool_)


def blob() -> Mask:
    """Hidden: an ellipse and a line, so that what is visible is no rectangle."""
    drawn = np.zeros((256, 256), np.uint8)
    cv2.ellipse(drawn, (120, 190), (70, 40), 20, 0, 360, 1, -1)
    cv2.line(drawn, (0, 40), (255, 90), 1, 9)
    return drawn.astype(np.bool_)


MASKS: dict[str, Mask] = {
    "paper": margin_mask(PAPER_WINDOW),
    "edge": margin_mask(Window(0, 0, 160, 256)),
    "odd": margin_mask(Window(33, 77, 31, 57)),
    "blob": blob(),
    "sprinkled": np.random.default_rng(0).random((256, 256)) < 0.3,
    "everything": EVERYTHING,
}
THIN: dict[str, Mask] = {  # in the frame what is visible is all there is
    "a row": margin_mask(Window(0, 0, 256, 255)),
    "a column": margin_mask(Window(1, 0, 255, 256)),
    "nothing": NOTHING,
}


def noise(seed: int, count: int = 1) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (count, 256, 256, 3), dtype=np.uint8)


class FakeImaginer:
    """Imagines a picture's mean colour, brighter to the right."""

    name = "fake"
    networks = ("fake",)

    def fill(self, crops: Pixels, hidden: Mask) -> Pixels:
        assert not crops[hidden].any()  # what is hidden isn't given
        ramp = np.arange(256)[None, None, :, None] // 4
        return np.broadcast_to(crops.mean(axis=(1, 2))[:, None, None] + ramp, crops.shape).astype(np.uint8)


class FakeSliceGenerator:
    """Paints what is imagined, darker, with the colour beside it and that of the window; remembers what it saw."""

    frame, thickness = 64, 16
    networks = ("fake-paint",)

    def __init__(self) -> None:
        self.imaginary: list[Floats] = []

    def context(self, visible: Floats) -> Style:
        return (visible.mean(axis=(2, 3), keepdims=True),)

    def generate(self, imaginary: Floats, beside: Floats, style: Style) -> Floats:
        self.imaginary.append(imaginary)
        near = beside.mean(axis=(2, 3), keepdims=True)
        painted: Floats = (imaginary * 0.5 + near * 0.25 + style[0] * 0.25).astype(np.float32)
        return painted


def make_spiral() -> Spiral:
    return Spiral(FakeImaginer(), FakeSliceGenerator())


@pytest.mark.parametrize("mask", [*MASKS.values(), *THIN.values()], ids=[*MASKS, *THIN])
def test_visible_pixels_come_through_bit_for_bit(mask: Mask) -> None:
    crops, hidden = noise(0, 2), np.stack([mask, mask])
    filled = fill_hidden(make_spiral(), crops, hidden)
    assert filled.dtype == np.uint8
    assert filled.shape == crops.shape
    np.testing.assert_array_equal(filled[~hidden], crops[~hidden])


@pytest.mark.parametrize("mask", [*MASKS.values(), *THIN.values()], ids=[*MASKS, *THIN])
def test_hidden_pixels_have_no_influence(mask: Mask) -> None:
    """``FakeImaginer`` sees to it that none is given, this that the walk adds none."""
    crops, hidden = noise(0), mask[None]
    others = np.where(hidden[..., None], noise(1), crops)
    restorer = make_spiral()
    np.testing.assert_array_equal(fill_hidden(restorer, crops, hidden), fill_hidden(restorer, others, hidden))


def test_everything_hidden_is_left_to_the_imaginer() -> None:
    crops, hidden = noise(0, 2), np.stack([EVERYTHING] * 2)
    generator = FakeSliceGenerator()
    filled = fill_hidden(Spiral(FakeImaginer(), generator), crops, hidden)
    np.testing.assert_array_equal(filled, FakeImaginer().fill(np.zeros_like(crops), hidden))
    assert not generator.imaginary


@pytest.mark.parametrize("mask", [MASKS["paper"], MASKS["blob"]], ids=["paper", "blob"])
def test_hidden_pixels_are_painted_and_not_just_imagined(mask: Mask) -> None:
    crops, hidden = noise(0), mask[None]
    imagined = FakeImaginer().fill(np.where(hidden[..., None], np.uint8(0), crops), hidden)
    filled = fill_hidden(make_spiral(), crops, hidden)
    assert np.abs(filled.astype(int) - imagined)[hidden].mean() > 5


def imagined_by_steps(mask: Mask, crop: Pixels) -> tuple[Window, Floats]:
    """The window in the frame, and all that slices were painted from, (3, 64, 64); 0 in the window."""
    generator, window = FakeSliceGenerator(), largest_window(mask)
    assert window is not None
    inside = window.in_frame(64)
    fill_hidden(Spiral(FakeImaginer(), generator), crop[None], mask[None])
    whole = np.zeros((3, 64, 64), np.float32)
    for step, imaginary in zip(spiral(inside, 16), generator.imaginary, strict=True):
        whole[(..., *step.strip.slices)] = slice_operator(imaginary, step.painted, step.strip)[0]
    return inside, whole


def test_visible_pixels_beyond_the_window_stand_in_what_slices_are_painted_from() -> None:
    mask, crop = blob(), noise(0)[0]
    inside, whole = imagined_by_steps(mask, crop)
    visible = np.invert(mask.reshape(64, 4, 64, 4).any(axis=(1, 3)))  # pixels of the frame that nothing hides
    visible[inside.slices] = False
    assert visible.mean() > 0.1  # else this test would say little
    np.testing.assert_array_equal(whole[:, visible], in_frame(crop[None], 64)[0][:, visible])


def test_hidden_pixels_are_painted_from_what_is_imagined() -> None:
    mask, crop = blob(), noise(0)[0]
    _, whole = imagined_by_steps(mask, crop)
    covered = np.where(mask[..., None], np.uint8(0), crop)[None]
    hidden = mask.reshape(64, 4, 64, 4).all(axis=(1, 3))
    assert hidden.mean() > 0.1
    imagined = in_frame(FakeImaginer().fill(covered, mask[None]), 64)[0]
    np.testing.assert_array_equal(whole[:, hidden], imagined[:, hidden])


def test_mixed_masks_give_the_same_in_a_batch_as_one_by_one() -> None:
    hidden = np.stack([*MASKS.values(), *list(MASKS.values())[::-1]])
    crops, restorer = noise(0, len(hidden)), make_spiral()
    together = fill_hidden(restorer, crops, hidden)
    alone = [fill_hidden(restorer, crop[None], mask[None]) for crop, mask in zip(crops, hidden, strict=True)]
    np.testing.assert_array_equal(together, np.concatenate(alone))


@pytest.mark.parametrize("thin", THIN)
def test_a_face_with_next_to_nothing_hidden_does_not_get_anothers_pixels(thin: str) -> None:
    hidden = np.stack([MASKS["paper"], THIN[thin]])
    crops, restorer = noise(0, 2), make_spiral()
    together = restorer.fill(np.where(hidden[..., None], np.uint8(0), crops), hidden)
    alone = restorer.fill(np.where(hidden[1:, ..., None], np.uint8(0), crops[1:]), hidden[1:])
    np.testing.assert_array_equal(together[1:], alone)


@pytest.mark.parametrize("thin", ["a row", "a column"])
def test_next_to_nothing_hidden_is_left_to_the_imaginer(thin: str) -> None:
    crops, hidden = noise(0), THIN[thin][None]
    imagined = FakeImaginer().fill(np.where(hidden[..., None], np.uint8(0), crops), hidden)
    filled = fill_hidden(make_spiral(), crops, hidden)
    np.testing.assert_array_equal(filled[hidden], imagined[hidden])


def test_more_pictures_than_a_batch() -> None:
    count = BATCH + 3
    crops, hidden = noise(0, count), np.broadcast_to(MASKS["paper"], (count, 256, 256))
    generator = FakeSliceGenerator()
    restorer = Spiral(FakeImaginer(), generator)
    together = fill_hidden(restorer, crops, hidden)
    steps = len(spiral(PAPER_WINDOW.in_frame(64), 16))
    assert [len(imaginary) for imaginary in generator.imaginary] == [BATCH] * steps + [3] * steps
    for index in (0, BATCH - 1, BATCH, count - 1):
        alone = fill_hidden(restorer, crops[index][None], hidden[index][None])[0]
        np.testing.assert_array_equal(together[index], alone)


def test_no_pictures_are_no_error() -> None:
    assert fill_hidden(make_spiral(), noise(0, 0), np.zeros((0, 256, 256), np.bool_)).shape == (0, 256, 256, 3)


WALKED = ["paper", "edge", "odd", "blob", "sprinkled"]


@pytest.mark.parametrize("name", WALKED)
def test_a_picture_for_every_turn(name: str) -> None:
    crop, mask = noise(0)[0], MASKS[name]
    window = largest_window(mask)
    assert window is not None
    turns = make_spiral().turns(crop, mask)
    assert len(turns) == len({step.turn for step in spiral(window.in_frame(64), 16)}) > 0
    assert all(turn.dtype == np.uint8 and turn.shape == (256, 256, 3) for turn in turns)
    for turn in turns:
        np.testing.assert_array_equal(turn[~mask], crop[~mask])


@pytest.mark.parametrize("name", WALKED)
def test_the_last_turn_is_the_restoration(name: str) -> None:
    crop, mask = noise(0)[0], MASKS[name]
    restorer = make_spiral()
    covered = np.where(mask[..., None], np.uint8(0), crop)
    filled = restorer.fill(covered[None], mask[None])[0]
    np.testing.assert_array_equal(restorer.turns(crop, mask)[-1][mask], filled[mask])


def test_what_is_not_yet_painted_is_black() -> None:
    crop, mask = noise(0)[0], MASKS["paper"]
    inside = PAPER_WINDOW.in_frame(64)
    turns, steps = make_spiral().turns(crop, mask), spiral(inside, 16)
    for number, turn in enumerate(turns):
        after = [step.after for step in steps if step.turn == number][-1]
        rows, columns = (slice(max(4 * s.start - 4, 0), 4 * s.stop + 4) for s in after.slices)  # the edge is soft
        painted = np.zeros((256, 256), np.bool_)
        painted[rows, columns] = True
        assert not turn[~painted].any()
        inner = np.zeros((256, 256), np.bool_)
        inner[rows.start + 8 : rows.stop - 8, columns.start + 8 : columns.stop - 8] = True
        assert turn[inner & mask].any(axis=-1).all()
    assert not turns[0][212:].any()  # the lowest rows wait for the last turn
    assert turns[-1][mask].any(axis=-1).all()


@pytest.mark.parametrize("mask", [NOTHING, EVERYTHING], ids=["nothing", "everything"])
def test_nothing_or_everything_hidden_has_no_turns(mask: Mask) -> None:
    assert make_spiral().turns(noise(0)[0], mask) == []


def test_hidden_pixels_have_no_influence_on_turns() -> None:
    crop, mask = noise(0)[0], MASKS["blob"]
    other = np.where(mask[..., None], noise(1)[0], crop)
    for one, two in zip(make_spiral().turns(crop, mask), make_spiral().turns(other, mask), strict=True):
        np.testing.assert_array_equal(one, two)


def test_it_names_the_files_that_it_reads() -> None:
    restorer = make_spiral()
    assert restorer.name == "spiral"
    assert restorer.networks == ("fake", "fake-paint")
