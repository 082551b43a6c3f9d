"""Restorers without a trained generator: leave it, inpaint it, lay the mean face over it."""

from __future__ import annotations

import cv2
import numpy as np

from spiralage.mean_face import mean_face
from spiralage.types import Mask, Pixels


class Blank:
    """Leaves hidden pixels 0, as if the mask image multiplied the picture."""

    name = "none"
    networks: tuple[str, ...] = ()

    def fill(self, crops: Pixels, masks: Mask) -> Pixels:
        return np.zeros_like(crops)


class Inpainter:
    """OpenCV's inpainting (Bertalmio et al. 2001, Navier–Stokes): grows the edge colours inward.

    Args:
        radius: of the neighbourhood that a pixel is made from, pixels.
    """

    name = "inpaint"
    networks: tuple[str, ...] = ()

    def __init__(self, radius: float = 5) -> None:
        self._radius = radius

    def fill(self, crops: Pixels, masks: Mask) -> Pixels:
        return np.stack([self._fill_one(crop, mask) for crop, mask in zip(crops, masks, strict=True)])

    def _fill_one(self, crop: Pixels, mask: Mask) -> Pixels:
        if mask.all():  # nothing to grow from
            return np.zeros_like(crop)
        return np.asarray(cv2.inpaint(crop, mask.astype(np.uint8), self._radius, cv2.INPAINT_NS))


class MeanFace:
    """The mean aligned face of the training pictures, its colours fitted to what is visible.

    Per channel, gain and offset bring the mean face's mean and standard deviation over the visible pixels to
    those of the crop; the gain is at most ``MOST_GAIN``.
    """

    name = "mean-face"
    networks: tuple[str, ...] = ("mean-face",)
    MOST_GAIN = 2.0

    def fill(self, crops: Pixels, masks: Mask) -> Pixels:
        return np.stack([self._fill_one(crop, mask) for crop, mask in zip(crops, masks, strict=True)])

    def _fill_one(self, crop: Pixels, mask: Mask) -> Pixels:
        face = mean_face()
        if mask.all():
            return np.rint(face).astype(np.uint8)
        seen, ours = crop[~mask].astype(np.float32), face[~mask]
        gain = np.clip(seen.std(axis=0) / np.maximum(ours.std(axis=0), 1), 1 / self.MOST_GAIN, self.MOST_GAIN)
        fitted = (face - ours.mean(axis=0)) * gain + seen.mean(axis=0)
        filled: Pixels = np.clip(np.rint(fitted), 0, 255).astype(np.uint8)
        return filled
