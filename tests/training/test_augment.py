"""JPEG and masks on training pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spiralage.networks.views import CentredSquare
from spiralage.occlusion.window import PAPER_WINDOW, margin_mask
from spiralage.training.augment import compress_some, cover_some
from spiralage.types import Pixels

WHOLE = CentredSquare(crop=256, pool=1)
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


def drawn_tensors(count: int, size: int) -> torch.Tensor:
    return torch.rand(count, 3, size, size) * 0.9 + 0.1


@pytest.mark.parametrize(("crop", "size"), [(256, 256), (256, 128), (224, 112), (224, 80)])
def test_share_1_hides_the_papers_mask_as_a_network_sees_it(crop: int, size: int) -> None:
    views = CentredSquare(crop=crop, pool=1)
    white = np.where(HIDDEN[..., None], np.uint8(0), np.full((1, 256, 256, 3), 255, np.uint8))
    share = F.interpolate(views(torch.from_numpy(white)), size=(size, size), mode="area")
    pictures = drawn_tensors(3, size)
    before = pictures.clone()
    torch.testing.assert_close(cover_some(pictures, views, 1), pictures * share)
    assert (share == 0).float().mean() > 0.6
    assert torch.equal(pictures, before)  # the pictures that came in are as they were


def test_share_0_hides_nothing() -> None:
    pictures = drawn_tensors(3, 64)
    assert cover_some(pictures, WHOLE, 0) is pictures


def test_share_half_covers_about_half_and_leaves_the_others_alone() -> None:
    pictures = drawn_tensors(100, 16)
    torch.manual_seed(0)
    out = cover_some(pictures, WHOLE, 0.5)
    covered = (out[:, :, -1] == 0).all(dim=1).all(dim=1)
    assert 35 < covered.sum() < 65
    assert torch.equal(out[~covered], pictures[~covered])
    torch.manual_seed(0)
    assert torch.equal(cover_some(pictures, WHOLE, 0.5), out)
