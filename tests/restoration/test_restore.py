"""Restorers: visible pixels untouched, hidden ones filled, nothing leaks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spiralage.faces.align import align
from spiralage.faces.detect import GivenBox
from spiralage.mean_face import mean_face
from spiralage.occlusion.window import PAPER_WINDOW, margin_mask, paper_mask, random_window
from spiralage.restoration.baselines import Inpainter, MeanFace
from spiralage.restoration.restore import RESTORERS, RestorerName, fill_hidden, make_restorer, restore
from spiralage.types import AlignedFace, Box, Mask, Occlusion, Photo, Pixels

NAMES = list(RESTORERS)


def noise(seed: int, count: int = 1) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (count, 256, 256, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def face(portrait: Photo) -> AlignedFace:
    (found,) = GivenBox(Box(150, 40, 160, 160)).detect(portrait)
    return align(portrait, found)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_visible_pixels_come_through_bit_for_bit(name: RestorerName, seed: int) -> None:
    rng = np.random.default_rng(seed)
    crops = noise(seed, 2)
    hidden = np.stack([margin_mask(random_window(rng, 100, 60)), rng.random((256, 256)) < 0.3])
    filled = fill_hidden(make_restorer(name), crops, hidden)
    assert filled.dtype == np.uint8
    np.testing.assert_array_equal(filled[~hidden], crops[~hidden])


@pytest.mark.parametrize("name", NAMES)
def test_hidden_pixels_have_no_influence(name: RestorerName) -> None:
    hidden = paper_mask().mask[None]
    crops = noise(1)
    others = np.where(hidden[..., None], noise(2), crops)
    restorer = make_restorer(name)
    np.testing.assert_array_equal(fill_hidden(restorer, crops, hidden), fill_hidden(restorer, others, hidden))


@pytest.mark.parametrize("name", NAMES)
def test_everything_hidden_is_no_error(name: RestorerName) -> None:
    hidden = np.ones((1, 256, 256), np.bool_)
    assert fill_hidden(make_restorer(name), noise(1), hidden).shape == (1, 256, 256, 3)


@pytest.mark.parametrize("name", NAMES)
def test_a_face_is_restored_the_same_alone_and_in_a_batch(name: RestorerName, face: AlignedFace) -> None:
    crops = np.concatenate([noise(1), face.pixels[None]])
    hidden = np.stack([margin_mask(PAPER_WINDOW)] * 2)
    restorer = make_restorer(name)
    alone = fill_hidden(restorer, crops[1:], hidden[1:])[0].astype(int)
    together = fill_hidden(restorer, crops, hidden)[1].astype(int)
    assert np.abs(alone - together).max() <= 1


def error(filled: Pixels, face: AlignedFace, hidden: Mask) -> float:
    return float(np.abs(filled.astype(int) - face.pixels)[hidden].mean())


def test_better_restorers_come_nearer_to_the_truth(face: AlignedFace) -> None:
    """Below the window, where the lower face is hidden: each restorer beats black."""
    hidden = paper_mask().mask
    lower = hidden.copy()
    lower[:144] = False
    errors = {
        name: error(fill_hidden(make_restorer(name), face.pixels[None], hidden[None])[0], face, lower) for name in NAMES
    }
    assert max(errors["inpaint"], errors["mean-face"], errors["imagine"]) < 0.7 * errors["none"]


def test_nothing_hidden_is_nothing_done(face: AlignedFace) -> None:
    nothing = Occlusion(np.zeros((256, 256), np.bool_))
    plain, masked = restore(Inpainter(), [face, face], [nothing, paper_mask()])
    assert (plain.restorer, masked.restorer) == ("none", "inpaint")
    np.testing.assert_array_equal(plain.pixels, face.pixels)
    assert restore(Inpainter(), [], []) == ()


def test_inpainting_continues_a_flat_colour() -> None:
    flat = np.full((1, 256, 256, 3), 77, np.uint8)
    assert (fill_hidden(Inpainter(), flat, paper_mask().mask[None]) == 77).all()


def test_mean_face_takes_the_colours_of_what_is_visible() -> None:
    window = PAPER_WINDOW.slices
    mean = np.rint(mean_face()).astype(np.uint8)
    dark = (mean * 0.6).astype(np.uint8)
    filled = fill_hidden(MeanFace(), dark[None], paper_mask().mask[None])[0].astype(int)
    inner = (slice(150, 230), slice(70, 190))
    assert np.abs(filled[inner] - dark[inner]).mean() < 6
    assert np.abs(mean[inner].astype(int) - dark[inner]).mean() > 20
    assert filled[window].shape == (128, 128, 3)
