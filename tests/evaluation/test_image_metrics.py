"""Measures of pictures, against numbers computed by hand, by closed forms and by scikit-image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import skimage.metrics
import torch
from synthetic import age_network, drawn_crop

from spiralage.evaluation.image_metrics import (
    MOST_PSNR,
    activations,
    frechet_distance,
    gaussian_distance,
    nearness,
    psnr,
    ssim_map,
)
from spiralage.networks.backbones import make_backbone
from spiralage.networks.features import age_features
from spiralage.occlusion.window import PAPER_WINDOW, margin_mask
from spiralage.types import Doubles, Pixels

HIDDEN = margin_mask(PAPER_WINDOW)[None]  # three quarters
BEYOND_SSIM = np.zeros((1, 256, 256), np.bool_)
BEYOND_SSIM[:, 24:136, 72:184] = True  # visible, and more than 5 pixels inside the window


def some_pictures(count: int = 1) -> Pixels:
    rng = np.random.default_rng(0)
    return np.stack([drawn_crop(int(rng.integers(10, 90)), rng) for _ in range(count)])


def noisy(pictures: Pixels) -> Pixels:
    noise = np.random.default_rng(1).integers(-20, 21, pictures.shape)
    return np.asarray(np.clip(pictures + noise, 0, 255), np.uint8)


def test_equal_pictures_are_as_near_as_can_be() -> None:
    pictures = some_pictures(2)
    pictures[1] = 0
    near = nearness(pictures.copy(), pictures, np.repeat(HIDDEN, 2, axis=0))
    best = {"psnr": MOST_PSNR, "ssim": 1.0, "l1": 0.0}
    best |= {f"{name}_hidden": value for name, value in best.items()} | {"visible_identical": 1.0}
    for name, values in near._asdict().items():
        assert values.shape == (2,)
        assert values.dtype == np.float64
        np.testing.assert_allclose(values, best[name], rtol=0, atol=1e-12, err_msg=name)


def test_rounding_to_8_bits_is_what_the_best_psnr_stands_for() -> None:
    exact = np.random.default_rng(0).random(100_000)
    error = np.square(np.rint(exact * 255) / 255 - exact).mean()
    assert -10 * math.log10(error) == pytest.approx(MOST_PSNR, abs=0.05)
    assert psnr(np.array([error / 100]))[0] == MOST_PSNR


def test_flat_pictures_by_hand() -> None:
    original = np.full((1, 256, 256, 3), 100, np.uint8)
    restored = np.where(HIDDEN[..., None], np.uint8(151), original)  # 0.2 off where hidden, three quarters
    near = nearness(restored, original, HIDDEN)
    assert near.l1_hidden[0] == pytest.approx(0.2)
    assert near.l1[0] == pytest.approx(0.15)
    assert near.psnr_hidden[0] == pytest.approx(-20 * math.log10(0.2))
    assert near.psnr[0] == pytest.approx(-10 * math.log10(0.75 * 0.04))
    a, b, c1 = 100 / 255, 151 / 255, 0.01**2
    flat = (2 * a * b + c1) / (a**2 + b**2 + c1)  # neither varies: their means alone are compared
    similar = ssim_map(restored, original)[0]
    np.testing.assert_allclose(similar[150:], flat, atol=1e-3)
    np.testing.assert_allclose(similar[24:136, 72:184], 1, atol=1e-3)
    assert near.ssim_hidden[0] == pytest.approx(similar[HIDDEN[0]].mean())
    assert near.ssim[0] == pytest.approx(similar.mean())
    assert near.ssim_hidden[0] < near.ssim[0] < 1
    assert near.visible_identical[0] == 1


def test_one_colour_of_three_counts_a_third() -> None:
    original = np.full((1, 256, 256, 3), 100, np.uint8)
    restored = original + np.array([51, 0, 0], np.uint8)
    near = nearness(restored, original, HIDDEN)
    assert near.l1[0] == pytest.approx(0.2 / 3)
    assert near.psnr[0] == pytest.approx(-10 * math.log10(0.04 / 3))
    assert near.visible_identical[0] == 0  # a pixel is its three colours


def test_the_other_way_round_is_as_far() -> None:
    original = some_pictures()
    restored = noisy(original)
    for one, other in zip(nearness(restored, original, HIDDEN), nearness(original, restored, HIDDEN), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_pictures_do_not_mix() -> None:
    originals, hidden = some_pictures(3), np.repeat(HIDDEN, 3, axis=0)
    hidden[1] = np.roll(hidden[1], 30, axis=0)
    restored = noisy(originals)
    together = nearness(restored, originals, hidden)
    for i in range(3):
        alone = nearness(restored[i : i + 1], originals[i : i + 1], hidden[i : i + 1])
        for one, other in zip(together, alone, strict=True):
            assert one[i] == pytest.approx(other[0], rel=1e-5)


def test_as_scikit_image_has_it() -> None:
    original = some_pictures()
    restored = noisy(original)
    near = nearness(restored, original, HIDDEN)
    theirs = skimage.metrics.peak_signal_noise_ratio(original[0], restored[0])  # type: ignore[no-untyped-call]
    assert near.psnr[0] == pytest.approx(theirs, abs=1e-6)
    _, similar = skimage.metrics.structural_similarity(  # type: ignore[no-untyped-call]
        original[0], restored[0], channel_axis=2, gaussian_weights=True, use_sample_covariance=False, full=True
    )
    inside = slice(5, -5)  # at the border the picture is mirrored in another way
    found = ssim_map(restored, original)[0, inside, inside]
    np.testing.assert_allclose(found, similar.mean(axis=2)[inside, inside], atol=1e-3)


def test_visible_pixels_do_not_change_what_is_measured_of_hidden_ones() -> None:
    original = some_pictures()
    restored = np.where(HIDDEN[..., None], noisy(original), original)
    spoilt = np.where(BEYOND_SSIM[..., None], 255 - restored, restored)
    clean, other = nearness(restored, original, HIDDEN), nearness(spoilt, original, HIDDEN)
    for name in ("psnr", "ssim", "l1"):
        assert getattr(clean, f"{name}_hidden")[0] == pytest.approx(getattr(other, f"{name}_hidden")[0], rel=1e-9)
        assert getattr(clean, name)[0] != pytest.approx(getattr(other, name)[0], rel=1e-2)
    assert other.visible_identical[0] == pytest.approx(1 - BEYOND_SSIM.sum() / 128**2, abs=1e-3)


def test_pixels_beyond_the_photo_count_nowhere() -> None:
    original = some_pictures(2)
    restored = np.where(HIDDEN[..., None], noisy(original), original)
    inside = np.zeros((2, 256, 256), np.bool_)
    inside[0, 20:240, 30:220] = True
    inside[1, 30:120, 70:180] = True  # nothing of it is hidden
    spoilt = np.where(inside[..., None], restored, 255 - restored)
    masks = np.repeat(HIDDEN, 2, axis=0) | ~inside
    clean, other = nearness(restored, original, masks, inside), nearness(spoilt, original, masks, inside)
    for one, same in zip(clean, other, strict=True):
        np.testing.assert_array_equal(one, same)
    errors = np.abs(restored[0].astype(float) - original[0]).mean(axis=2) / 255
    assert clean.l1[0] == pytest.approx(errors[inside[0]].mean())
    assert clean.l1_hidden[0] == pytest.approx(errors[inside[0] & HIDDEN[0]].mean())
    assert clean.visible_identical.tolist() == [1, 1]
    assert clean.l1[1] == 0
    assert np.isnan([clean.psnr_hidden[1], clean.ssim_hidden[1], clean.l1_hidden[1]]).all()


def test_one_spoilt_visible_pixel_is_noticed() -> None:
    original = some_pictures()
    restored = original.copy()
    restored[0, 20, 70, 1] ^= 1
    assert nearness(restored, original, HIDDEN).visible_identical[0] == 1 - 1 / 128**2


def test_gaussians_in_closed_form() -> None:
    a, b = np.array([1.0, 2.0, 3.0]), np.array([4.0, 9.0, 16.0])
    # of diagonal covariances the distance is Σ (√a − √b)²
    between = np.square(np.sqrt(a) - np.sqrt(b)).sum()
    assert gaussian_distance(np.zeros(3), np.diag(a), np.ones(3), np.diag(b)) == pytest.approx(3 + between)


def test_gaussians_that_are_turned_against_each_other() -> None:
    angle = math.pi / 6
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    a, b = np.diag([4.0, 1.0]), turn @ np.diag([9.0, 1.0]) @ turn.T
    # of two by two, tr √M = √(tr M + 2 √det M)
    shared = math.sqrt(np.trace(a @ b) + 2 * math.sqrt(np.linalg.det(a @ b)))
    assert gaussian_distance(np.zeros(2), a, np.zeros(2), b) == pytest.approx(5 + 10 - 2 * shared)


def test_fewer_activations_than_channels_are_no_trouble() -> None:
    rng = np.random.default_rng(0)
    few = rng.normal(size=(5, 30)).astype(np.float32)
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(few, few + 2) == pytest.approx(30 * 4, rel=1e-5)  # moved, of one shape
    other = rng.normal(size=(5, 30)).astype(np.float32)
    assert frechet_distance(few, other) == pytest.approx(frechet_distance(other, few), rel=1e-5)


def test_a_large_sample_comes_near_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (50_000, 2)), rng.normal(1, 3, (50_000, 2))
    assert frechet_distance(a, b) == pytest.approx(2 * (1 + 4), rel=0.05)


def test_activations_are_means_over_places_of_the_last_layer() -> None:
    torch.manual_seed(0)
    features = age_features(age_network(make_backbone("vgg16", 0.5, 4), crop=256, pool=8), 64)
    pictures = some_pictures(2)
    found = activations(features, pictures)
    assert found.shape == (2, 32)
    last = features(torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255)[-1]
    expected: Doubles = last.numpy().astype(np.float64).mean(axis=(2, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
