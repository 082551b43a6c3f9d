"""JPEG and masks on training pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from spiralage.occlusion.window import PAPER_WINDOW, margin_mask
from spiralage.training.augment import compress_some, cover_some
from spiralage.types import Pixels

HIDDEN = margin_mask(PAPER_WINDOW)


def drawn(count: int, seed: int = 0) -> Pixels:
    """Soft coloured blobs, no pixel of which is 0: (count, 256, 256, 3)."""
    coarse = np.random.default_rng(seed).integers(20, 236, (count, 12, 12, 3)).astype(np.uint8)
    return np.stack([cv2.resize(picture, (256, 256)) for picture in coarse])


def mean_difference(a: Pixels, b: Pixels) -> float:
    return float(np.abs(a.astype(np.int16) - b).mean())


def test_no_picture_is_compressed_at_probability_0() -> None:
    crops = drawn(4)
    assert np.array_equal(compress_some(crops, 0), drawn(4))


def test_every_picture_changes_a_little_at_probability_1() -> None:
    torch.manual_seed(0)
    crops = drawn(8)
    out = compress_some(crops, 1)
    assert out.shape == crops.shape
    assert out.dtype == np.uint8
    for before, after in zip(crops, out, strict=True):
        assert 0.1 < mean_difference(before, after) < 8
    assert np.array_equal(crops, drawn(8))  # the pictures that came in are as they were


def test_about_half_are_compressed_at_probability_half() -> None:
    torch.manual_seed(0)
    crops = drawn(1)[np.zeros(200, np.int64), :32, :32]
    changed = (compress_some(crops, 0.5) != crops).any(axis=(1, 2, 3))
    assert 70 < changed.sum() < 130


def test_the_qualities_differ() -> None:
    torch.manual_seed(0)
    crops = drawn(1)[np.zeros(12, np.int64)]
    differences = [mean_difference(crops[0], picture) for picture in compress_some(crops, 1)]
    assert max(differences) > 1.5 * min(differences)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_colours_stay_in_their_channels(channel: int) -> None:
    torch.manual_seed(0)
    crops = np.full((3, 64, 64, 3), 20, np.uint8)
    crops[..., channel] = 220
    assert np.abs(compress_some(crops, 1).astype(np.int16) - crops).max() < 12


def test_compression_follows_the_seed() -> None:
    def compressed(seed: int) -> Pixels:
        torch.manual_seed(seed)
        return compress_some(drawn(6), 0.5)

    assert np.array_equal(compressed(1), compressed(1))
    assert not np.array_equal(compressed(1), compressed(2))


def test_share_1_hides_the_papers_mask_on_every_picture() -> None:
    crops = drawn(3)
    out = cover_some(crops, 1)
    assert out.dtype == np.uint8
    assert (out[:, HIDDEN] == 0).all()
    assert np.array_equal(out[:, ~HIDDEN], crops[:, ~HIDDEN])
    assert np.array_equal(crops, drawn(3))  # the pictures that came in are as they were


def test_share_0_hides_nothing() -> None:
    assert np.array_equal(cover_some(drawn(3), 0), drawn(3))


def test_share_half_covers_about_half_and_leaves_the_others_alone() -> None:
    crops = drawn(2)[np.zeros(100, np.int64)]
    torch.manual_seed(0)
    out = cover_some(crops, 0.5)
    covered = (out[:, HIDDEN] == 0).all(axis=(1, 2))
    assert 35 < covered.sum() < 65
    assert np.array_equal(out[~covered], crops[~covered])
    torch.manual_seed(0)
    assert np.array_equal(cover_some(crops, 0.5), out)
