"""Measures of restored pictures: how near each one is to its original, and how near two sets of them are.

Needs PyTorch (extra ``train``). Pictures are (N, height, width, 3) uint8 RGB; colours count as values in [0, 1].
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from kornia.metrics import ssim

from spiralage.networks.features import Features
from spiralage.types import Doubles, Floats, Mask, Pixels

LEVELS = 255
ROUNDING = 1 / (12 * LEVELS**2)
"""The mean squared error of rounding to 8 bits: what is nearer to an 8-bit original can't be told from it."""
MOST_PSNR = -10 * math.log10(ROUNDING)
"""58.92 dB: what equal pictures get, whose own ratio is infinite and would make every mean so."""
SSIM_WINDOW = 11
"""Side of the Gaussian window, pixels; its standard deviation is 1.5 (Wang et al. 2004)."""


class Nearness(NamedTuple):
    """How near restored pictures are to their originals; each array is (N,) float64, one number per picture.

    Args:
        psnr: peak signal-to-noise ratio in dB, of the mean squared error over pixels and colours, data range 1;
            at most ``MOST_PSNR``.
        ssim: structural similarity, at most 1; the mean of its map over pixels, those at the border included,
            and colours.
        l1: mean absolute difference, in [0, 1].
        psnr_hidden, ssim_hidden, l1_hidden: the same, the means over hidden pixels alone. The map of SSIM at a
            pixel looks at its neighbours up to 5 pixels off, visible or hidden.
        visible_identical: the share of the visible pixels that are the original's, bit for bit.
    """

    psnr: Doubles
    psnr_hidden: Doubles
    ssim: Doubles
    ssim_hidden: Doubles
    l1: Doubles
    l1_hidden: Doubles
    visible_identical: Doubles


def nearness(restored: Pixels, original: Pixels, masks: Mask, inside: Mask | None = None) -> Nearness:
    """Compare pictures with their originals, where these are real.

    Args:
        restored: the pictures.
        original: as many.
        masks: (N, height, width) bool, True = hidden; some pixels of each picture are, and some aren't.
        inside: the same shape, True where the original shows its photo and not the photo's mirror image; None = all
            over. No other pixel counts, and around them the map of SSIM sees the original's own. Where all that is
            hidden lies beyond the photo, the measures of hidden pixels are NaN.
    """
    real = np.ones_like(masks) if inside is None else inside
    restored = np.where(real[..., None], restored, original)
    differences = restored.astype(np.int32) - original  # whole numbers: sums of squares are exact
    absolute = np.abs(differences).mean(axis=3) / LEVELS
    squared = (differences**2).mean(axis=3) / LEVELS**2
    similar = ssim_map(restored, original)
    same = (restored == original).all(axis=3)
    hidden = masks & real
    return Nearness(
        psnr=psnr(_mean_over(squared, real)),
        psnr_hidden=psnr(_mean_over(squared, hidden)),
        ssim=_mean_over(similar, real),
        ssim_hidden=_mean_over(similar, hidden),
        l1=_mean_over(absolute, real),
        l1_hidden=_mean_over(absolute, hidden),
        visible_identical=_mean_over(same, real & ~masks),
    )


def _mean_over(values: npt.NDArray[np.floating | np.bool_], where: Mask) -> Doubles:
    """The mean of each picture's values, (N, height, width), at some pixels: (N,) float64, NaN where there is none."""
    counts = where.sum(axis=(1, 2))
    sums = values.sum(axis=(1, 2), where=where, dtype=np.float64)
    means: Doubles = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return means


def psnr(squared: Doubles) -> Doubles:
    """Mean squared errors of values in [0, 1] → dB, at most ``MOST_PSNR``.

    >>> psnr(np.array([0.01, 0.0])).round(2).tolist()
    [20.0, 58.92]
    """
    return np.asarray(-10 * np.log10(np.maximum(squared, ROUNDING)), np.float64)


def ssim_map(a: Pixels, b: Pixels) -> Doubles:
    """Structural similarity around every pixel, the mean over colours: (N, height, width) float64."""
    maps = ssim(as_tensor(a), as_tensor(b), SSIM_WINDOW, max_val=1.0, eps=0.0)
    return np.asarray(maps.mean(dim=1).numpy(), np.float64)


@torch.no_grad()
def activations(features: Features, pictures: Pixels) -> Floats:
    """What a feature network's last layer answers, the mean over places: (N, channels) float32."""
    return np.asarray(features(as_tensor(pictures))[-1].mean(dim=(2, 3)).numpy(), np.float32)


def as_tensor(pictures: Pixels) -> torch.Tensor:
    """(N, height, width, 3) uint8 → (N, 3, height, width) float32 in [0, 1]."""
    channels_first = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))
    return torch.from_numpy(channels_first).float() / LEVELS


def frechet_distance(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> float:
    """The Fréchet distance of the Gaussians that two sets of activations are taken for.

    With the activations of an Inception network it is the FID (Heusel et al. 2017); with those of another network
    its numbers are of another scale. It falls with the number of pictures: compare sets of one size.

    Args:
        a: (N, D), two activations at least.
        b: (M, D), the same.
    """
    gaussians = [(x.mean(axis=0), np.cov(x, rowvar=False)) for x in (a.astype(np.float64), b.astype(np.float64))]
    (mean, covariance), (other_mean, other_covariance) = gaussians
    return gaussian_distance(mean, covariance, other_mean, other_covariance)


def gaussian_distance(mean: Doubles, covariance: Doubles, other_mean: Doubles, other_covariance: Doubles) -> float:
    """|m − n|² + tr(A + B − 2 (AB)^½): what is called so, the square of the Gaussians' distance.

    Args:
        mean, covariance: m, (D,), and A, (D, D); A may be singular.
        other_mean, other_covariance: n and B, the same.

    Example:
        >>> gaussian_distance(np.zeros(2), np.eye(2), np.array([3.0, 4.0]), 4 * np.eye(2))
        27.0
    """
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    # (AB)^½ and (A^½ B A^½)^½ have one trace, and the second is of a symmetric matrix: no complex root.
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other_covariance @ root), 0)).sum()
    squares = np.square(mean - other_mean).sum()
    distance = squares + np.trace(covariance) + np.trace(other_covariance) - 2 * shared
    return max(float(distance), 0.0)
