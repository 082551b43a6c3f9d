"""Occluders that know nothing of faces: the paper's mask, random windows, the frame's edge."""

from __future__ import annotations

import numpy as np

from spiralage.occlusion.occluders.cover import Cover
from spiralage.occlusion.window import CENTRE_WINDOW, PAPER_WINDOW, Window, edge_window, margin_mask, random_window
from spiralage.types import CROP_SIZE, Doubles


def paper(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """The paper's mask, black: all but a window round eyes and brows; neither landmarks nor chance matter."""
    return _all_but(PAPER_WINDOW)


def random_window_cover(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """All but a window of 128×128 pixels anywhere, black; landmarks don't matter."""
    return _all_but(random_window(rng))


def centre_window_cover(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """All but a window of 128×128 pixels in the middle, black, as SpiralNet is tested; landmarks don't matter."""
    return _all_but(CENTRE_WINDOW)


def edge(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """A rectangle at one side of the frame, black, up to half of the crop; landmarks don't matter."""
    return _all_but(edge_window(rng))


def _all_but(window: Window) -> Cover:
    return Cover(np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8), margin_mask(window))
