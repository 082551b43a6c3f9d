"""JPEG and masks on training pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spiralage.networks.views import CentredSquare
from spiralage.occlusion.window import PAPER_WINDOW, margin_mask
from spiralage.training.augment import compress_some, cover_some, make_augmentation
from spiralage.training.recipes import Augmentation
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


NOTHING = {"rotation_degrees": 0, "shift": 0, "scale": 0, "colour": 0, "gray": 0, "blur": 0, "jpeg": 0}


def augmented(pictures: torch.Tensor, **settings: float) -> torch.Tensor:
    """Pictures under the augmentation of these settings alone; mirrored ones are mirrored back."""
    torch.manual_seed(0)
    out: torch.Tensor = make_augmentation(Augmentation.model_validate(NOTHING | settings))(pictures)
    as_it_is, mirrored = ((out - other).abs().mean(dim=(1, 2, 3)) for other in (pictures, pictures.flip(3)))
    return torch.where((mirrored < as_it_is)[:, None, None, None], out.flip(3), out)


def disc(count: int = 64, size: int = 64, radius: float = 8, off: float = 12) -> torch.Tensor:
    """A white disc on black, below the middle by ``off`` pixels."""
    rows = torch.arange(size) - (size - 1) / 2
    distance = ((rows[:, None] - off) ** 2 + rows[None] ** 2).sqrt()
    return (radius + 0.5 - distance).clamp(0, 1).expand(count, 3, size, size).clone()


def places(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """x and y of the discs from the middle, and how much white there is, (N,) each."""
    size = pictures.shape[-1]
    rows = torch.arange(size) - (size - 1) / 2
    white = pictures.mean(dim=1)
    mass = white.sum(dim=(1, 2))
    return (white * rows).sum(dim=(1, 2)) / mass, (white * rows[:, None]).sum(dim=(1, 2)) / mass, mass


def test_without_augmentation_pictures_are_as_they_were_or_mirrored() -> None:
    pictures = torch.rand(64, 3, 16, 16)
    torch.manual_seed(0)
    out = make_augmentation(Augmentation.model_validate(NOTHING))(pictures)
    as_it_is, mirrored = ((out - other).abs().amax(dim=(1, 2, 3)) < 1e-5 for other in (pictures, pictures.flip(3)))
    assert (as_it_is ^ mirrored).all()
    assert 16 < as_it_is.sum() < 48


def test_pictures_are_turned() -> None:
    x, y, mass = places(augmented(disc(), rotation_degrees=30))
    angles = torch.rad2deg(torch.atan2(x, y)).abs()  # a disc below the middle; mirrored ones are turned back
    assert 15 < angles.max() < 31
    assert (angles > 3).float().mean() > 0.4  # of 0.8 that are moved at all
    assert (angles < 0.5).any()
    assert torch.allclose((x**2 + y**2).sqrt(), torch.tensor(12.0), atol=0.5)
    assert torch.allclose(mass, mass[0], rtol=0.05)


def test_pictures_are_shifted() -> None:
    x, y, _ = places(augmented(disc(off=0), shift=0.1))
    for moved in (x, y):
        assert 3 < moved.abs().max() < 6.5  # a tenth of 64 pixels
        assert (moved.abs() > 1).float().mean() > 0.4
    assert (y > 1).any()
    assert (y < -1).any()


def test_pictures_are_scaled() -> None:
    x, y, mass = places(augmented(disc(off=0), scale=0.3))
    sides = (mass / places(disc(1, off=0))[2]).sqrt()
    assert 0.68 < sides.min() < 0.85
    assert 1.15 < sides.max() < 1.32
    assert torch.allclose(torch.stack([x, y]), torch.tensor(0.0), atol=0.3)


def test_what_comes_in_at_the_border_is_the_border() -> None:
    out = augmented(torch.full((32, 3, 32, 32), 0.5), rotation_degrees=45, shift=0.3, scale=0.3)
    torch.testing.assert_close(out, torch.full_like(out, 0.5))


@pytest.mark.parametrize(
    ("name", "value", "share"), [("colour", 0.5, 0.8), ("gray", 1.0, 1.0), ("gray", 0.3, 0.3), ("blur", 1.0, 1.0)]
)
def test_colours_and_blur_change_as_many_as_they_should(name: str, value: float, share: float) -> None:
    pictures = torch.rand(200, 3, 16, 16) * 0.5 + 0.25
    changed = (augmented(pictures, **{name: value}) - pictures).abs().amax(dim=(1, 2, 3)) > 1e-4
    assert abs(changed.float().mean().item() - share) < 0.12


def test_gray_is_gray() -> None:
    out = augmented(torch.rand(8, 3, 16, 16), gray=1.0)
    torch.testing.assert_close(out[:, :1].expand_as(out), out)
