"""What an occluder gives: a picture, the exact mask of what it hides, and how softly it lies on a crop."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np

from spiralage.types import CROP_SIZE, Floats, Mask, Pixels

EDGE = 2
"""How far beyond the mask an occluder's softened edge may reach, pixels."""

SHADOW_REACH = 10
"""How far beyond the mask its shadow may reach, pixels."""

Look: TypeAlias = Callable[[Pixels, Pixels], Pixels]
"""(picture, crop) → the picture as it looks on that crop, all (256, 256, 3) uint8 RGB."""


class Cover(NamedTuple):
    """What an occluder puts in front of a crop.

    Args:
        picture: (256, 256, 3) uint8 RGB, its looks; only the pixels that it covers count.
        mask: (256, 256) bool, True = hidden by it: what it covers by half or more.
        coverage: (256, 256) uint8, how much of each pixel it covers, in 255ths; above 0 only in the mask and ``EDGE``
            pixels around it. None: all of the masked pixels and nothing else.
        shadow: (256, 256) uint8, how much light it leaves to what is behind, in 255ths; below 255 only in the mask and
            ``SHADOW_REACH`` pixels around it. None: all of it.
        look: how the picture takes on the light and colours of a crop; None leaves it.
    """

    picture: Pixels
    mask: Mask
    coverage: Pixels | None = None
    shadow: Pixels | None = None
    look: Look | None = None

    def over(self, pixels: Pixels) -> Pixels:
        """A copy of a crop, (256, 256, 3) uint8 RGB, with the occluder in front of it."""
        picture = self.picture if self.look is None else self.look(self.picture, pixels)
        if self.coverage is None:
            return np.where(self.mask[..., None], picture, pixels)
        share = _thrice(self.coverage)
        behind = pixels.astype(np.float32)
        if self.shadow is not None:
            behind *= _thrice(self.shadow)
        behind += share * (picture - behind)
        return np.rint(behind).astype(np.uint8)


def _thrice(channel: Pixels) -> Floats:
    """A channel in 255ths as three in [0, 1]."""
    return cv2.merge([channel.astype(np.float32) / np.float32(255)] * 3).astype(np.float32, copy=False)


def soft_cover(
    picture: Pixels,
    coverage: Pixels,
    *,
    shadow: float = 0.0,
    light: tuple[float, float] = (0, 1),
    look: Look | None = None,
) -> Cover:
    """A cover with a softened edge and the shadow that it casts.

    Args:
        picture: (256, 256, 3) uint8 RGB.
        coverage: (256, 256) uint8 in 255ths, its edges anti-aliased; thin lines count where they cover half a pixel.
        shadow: the part of the light that its shadow takes at most.
        light: where the shadow falls to, (x, y), each in [-1, 1].
        look: see ``Cover``.
    """
    soft: Pixels = cv2.GaussianBlur(coverage, (3, 3), 0.6)  # type: ignore[assignment]
    half = (soft >= 128).astype(np.uint8)
    soft *= cv2.dilate(half, np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8))  # type: ignore[arg-type]
    return Cover(picture, half.astype(np.bool_), soft, _shadow(half, shadow, light) if shadow > 0 else None, look)


def _shadow(mask: Pixels, strength: float, light: tuple[float, float]) -> Pixels:
    """The mask, moved by up to 4 pixels and blurred over 6, takes light."""
    x, y = (round(4 * max(-1.0, min(1.0, part))) for part in light)
    moved = cv2.warpAffine(mask * 255, np.array([[1, 0, x], [0, 1, y]], np.float64), (CROP_SIZE, CROP_SIZE))
    taken = cv2.GaussianBlur(moved, (13, 13), 3.0)
    left: Pixels = np.rint(255 - strength * taken.astype(np.float32)).astype(np.uint8)
    return left


_USUAL = np.array([1.14, 0.97, 0.89])
"""The mean colour of a portrait in white light, as parts of its brightness."""
_GREY = np.array([0.299, 0.587, 0.114])


def in_its_light(picture: Pixels, crop: Pixels) -> Pixels:
    """A ``Look``: as bright as the photo around it, as colourful (grey on a grey photo), and with half of its cast."""
    sample = crop[24:232:8, 24:232:8].reshape(-1, 3).astype(np.float32)
    sample = sample[sample.any(axis=1)]  # beyond the photo's edge it is black
    if len(sample) == 0:
        return picture
    mean = sample.mean(axis=0).astype(np.float64)
    gain = float(np.clip(mean.mean() / 120, 0.4, 1.2)) ** 0.7
    colour = float(np.clip((np.ptp(sample, axis=1).mean() - 4) / 20, 0, 1))
    cast = np.clip(mean / (mean.mean() * _USUAL), 0.5, 1.6) ** (0.5 * colour)
    to_grey = np.tile(_GREY, (3, 1))
    lit = cv2.transform(picture, gain * cast[:, None] * (colour * np.eye(3) + (1 - colour) * to_grey))
    return lit.astype(np.uint8, copy=False)
