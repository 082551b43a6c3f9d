"""From occlusion to window: which way a face is restored, and what SpiralNet grows from.

SpiralNet extrapolates: it grows a window outward, slice by slice, and needs one that shows who it is. That is the
largest visible rectangle that holds the eyes. Where an eye is hidden there is none; where holes are small, or so
ragged that the rectangle leaves much of what is visible unused, ImagineGAN alone fills them: it takes any mask.

The numbers of the rule are judgements, not measurements: most windows that SpiralNet is trained on are a quarter of the
crop or more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from spiralage.faces.align import ANCHORS
from spiralage.occlusion.window import Window
from spiralage.types import CROP_SIZE, Doubles, Landmarks, Mask

SMALL = 0.08
"""Holes that hide less of the crop are small."""
LEAST_HELD = 0.5
"""A window must hold this part of what is visible, or the holes are ragged: a medical mask leaves it 0.52 to 0.56."""
LEAST_SIDE = 64
"""A window must be so wide and high, pixels: two slices."""
MARGIN = 0.15
"""How far around the eyes their rectangle reaches, in distances between them."""

WayName: TypeAlias = Literal["none", "imagine", "spiral"]
Reason: TypeAlias = Literal["nothing is hidden", "an eye is hidden", "small holes", "ragged holes", "a window"]


@dataclass(frozen=True)
class Way:
    """How a face is restored.

    Args:
        restorer: who fills what is hidden.
        reason: why.
        window: what SpiralNet grows from; None for the others.
    """

    restorer: WayName
    reason: Reason
    window: Window | None = None


def choose_way(mask: Mask, landmarks: Landmarks | None = None) -> Way:
    """The way of a face.

    Args:
        mask: (256, 256) bool, True = hidden.
        landmarks: in crop pixels; None takes the eyes for where alignment puts them.

    Example:
        >>> from spiralage.occlusion.window import PAPER_WINDOW, margin_mask
        >>> choose_way(margin_mask(PAPER_WINDOW))
        Way(restorer='spiral', reason='a window', window=Window(x=64, y=16, width=128, height=128, frame=256))
        >>> hole = np.zeros((256, 256), np.bool_)
        >>> hole[180:220, 100:150] = True
        >>> choose_way(hole).reason
        'small holes'
    """
    hidden = int(mask.sum())
    if hidden == 0:
        return Way("none", "nothing is hidden")
    window = largest_window_with(mask, eyes_window(landmarks))
    if window is None:
        return Way("imagine", "an eye is hidden")
    if hidden < SMALL * mask.size:
        return Way("imagine", "small holes")
    held = window.width * window.height / (mask.size - hidden)
    if held < LEAST_HELD or min(window.width, window.height) < LEAST_SIDE:
        return Way("imagine", "ragged holes")
    return Way("spiral", "a window", window)


def eyes_window(landmarks: Landmarks | None) -> Window:
    """The rectangle around both eyes, as far as it is within the crop.

    Args:
        landmarks: in crop pixels; None: where alignment puts the eyes.

    >>> eyes_window(None)
    Window(x=73, y=85, width=111, height=27, frame=256)
    """
    eyes: Doubles = ANCHORS[:2] if landmarks is None else landmarks.five()[:2]
    around = MARGIN * float(np.hypot(*(eyes[1] - eyes[0])))
    first, last = eyes.min(axis=0) - around, eyes.max(axis=0) + around
    low = np.clip(np.rint(first), 0, CROP_SIZE - 1).astype(int)
    high = np.maximum(np.clip(np.rint(last), 0, CROP_SIZE - 1).astype(int), low)
    (x, y), (right, bottom) = low.tolist(), (high + 1).tolist()
    return Window(x, y, right - x, bottom - y)


def largest_window_with(mask: Mask, core: Window) -> Window | None:
    """The largest rectangle without a hidden pixel that holds another one; None if a pixel of that is hidden.

    Of equally large ones the highest that is least tall. For every row how far it is visible to both sides of the core
    is known; going away from the core a rectangle can only become narrower.

    Args:
        mask: (S, S) bool, True = hidden.
        core: what it must hold, in the same frame.

    >>> mask = np.zeros((8, 8), np.bool_)
    >>> mask[6, 2] = True
    >>> largest_window_with(mask, Window(2, 3, 3, 1, frame=8))
    Window(x=0, y=0, width=8, height=6, frame=8)
    """
    if mask[core.slices].any():
        return None
    columns = np.arange(mask.shape[1])
    before, behind = columns < core.x, columns >= core.right
    left = np.where(mask & before, columns + 1, 0).max(axis=1)  # the first visible column of each row's run
    right = np.where(mask & behind, columns, mask.shape[1]).min(axis=1)  # and the first beyond it
    blocked: Mask = np.asarray(mask[:, core.x : core.right].any(axis=1), np.bool_)
    top = int(np.flatnonzero(np.r_[True, blocked[: core.y]])[-1])  # the first row that can be reached
    bottom = core.bottom + int(np.flatnonzero(np.r_[blocked[core.bottom :], True])[0])
    # Limits of all rectangles from row t to the core's last, and from there to row b.
    upper_left = np.maximum.accumulate(left[top : core.bottom][::-1])[::-1][: core.y - top + 1]
    upper_right = np.minimum.accumulate(right[top : core.bottom][::-1])[::-1][: core.y - top + 1]
    lower_left = np.maximum.accumulate(left[core.bottom - 1 : bottom])
    lower_right = np.minimum.accumulate(right[core.bottom - 1 : bottom])
    widths = np.minimum(upper_right[:, None], lower_right) - np.maximum(upper_left[:, None], lower_left)
    heights = np.arange(core.bottom, bottom + 1) - np.arange(top, core.y + 1)[:, None]
    at, to = np.unravel_index(int((widths * heights).argmax()), widths.shape)
    x = int(max(upper_left[at], lower_left[to]))
    return Window(x, top + int(at), int(widths[at, to]), int(heights[at, to]), mask.shape[0])
