"""Windows and margin masks: what stays visible when the rest of the crop is hidden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from spiralage.types import CROP_SIZE, Mask, Occlusion

Counts: TypeAlias = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Window:
    """An axis-parallel rectangle of a square frame's pixels, [x, x + width) × [y, y + height).

    Args:
        x, y: its first column and row.
        width, height: pixels.
        frame: side of the frame, pixels; the crop's by default.

    >>> Window(64, 16, 128, 128).slices
    (slice(16, 144, None), slice(64, 192, None))
    """

    x: int
    y: int
    width: int
    height: int
    frame: int = CROP_SIZE

    def __post_init__(self) -> None:
        fits = 0 <= self.x < self.right <= self.frame and 0 <= self.y < self.bottom <= self.frame
        if not fits:
            raise ValueError(f"a window must lie inside the {self.frame}×{self.frame} crop, got {self}")

    @property
    def right(self) -> int:
        """The first column beyond it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The first row beyond it."""
        return self.y + self.height

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index a picture of the frame with."""
        return slice(self.y, self.bottom), slice(self.x, self.right)

    def slices_in(self, outer: Window) -> tuple[slice, slice]:
        """Rows and columns, to index a picture of the window ``outer`` with."""
        rows, columns = slice(self.y - outer.y, self.bottom - outer.y), slice(self.x - outer.x, self.right - outer.x)
        return rows, columns

    def in_frame(self, frame: int) -> Window:
        """The same window of the same picture in a frame of another size, rounded to whole pixels.

        One that is less than a pixel wide or high there becomes the pixel that it begins in.

        >>> Window(64, 16, 128, 128).in_frame(128)
        Window(x=32, y=8, width=64, height=64, frame=128)
        """
        x, width = _scaled(self.x, self.right, frame / self.frame)
        y, height = _scaled(self.y, self.bottom, frame / self.frame)
        return Window(x, y, width, height, frame)


def _scaled(start: int, stop: int, factor: float) -> tuple[int, int]:
    """Where a range of pixels begins in another frame, and how long it is there."""
    first, beyond = round(start * factor), round(stop * factor)
    return (first, beyond - first) if beyond > first else (int(start * factor), 1)


PAPER_WINDOW = Window(64, 16, 128, 128)
"""Eyes, brows and upper nose: what the paper's mask leaves of a crop that is aligned as here."""
CENTRE_WINDOW = Window(64, 64, 128, 128)
"""The middle of the crop, where SpiralNet is tested (Guo et al. 2020)."""


def margin_mask(window: Window) -> Mask:
    """The margin mask of a window: (256, 256) bool, True = hidden, False inside the window."""
    mask = np.ones((CROP_SIZE, CROP_SIZE), np.bool_)
    mask[window.slices] = False
    return mask


def paper_mask() -> Occlusion:
    """The paper's mask: mouth, nose tip and contour are hidden, as if the person wore a mask.

    >>> paper_mask().fraction
    0.75
    """
    return Occlusion(margin_mask(PAPER_WINDOW), "paper")


def random_window(rng: np.random.Generator, width: int = 128, height: int = 128) -> Window:
    """A window of this size at a uniformly random place of the crop."""
    x = int(rng.integers(0, CROP_SIZE - width + 1))
    y = int(rng.integers(0, CROP_SIZE - height + 1))
    return Window(x, y, width, height)


def edge_window(rng: np.random.Generator, *, most: float = 0.5) -> Window:
    """What stays when the frame cuts the crop on one random side, by at most ``most`` of it."""
    cut = int(rng.integers(8, max(9, int(CROP_SIZE * most) + 1)))
    keep = CROP_SIZE - cut
    return (
        Window(cut, 0, keep, CROP_SIZE),
        Window(0, 0, keep, CROP_SIZE),
        Window(0, cut, CROP_SIZE, keep),
        Window(0, 0, CROP_SIZE, keep),
    )[int(rng.integers(4))]


def largest_window(mask: Mask) -> Window | None:
    """The largest rectangle without a hidden pixel; None if everything is hidden.

    Mostly what is visible is one rectangle, and that is it. Else, for every pixel, the run of visible pixels that ends
    there from above is widened to both sides as far as all of its rows are visible: the largest rectangle is one of
    these. Of equally large ones the first is taken that ends highest, then farthest left, then is tallest.

    >>> largest_window(margin_mask(PAPER_WINDOW)) == PAPER_WINDOW
    True
    """
    around = _bounds(~mask)
    if around is None or not mask[around.slices].any():
        return around
    tall, first, beyond = _widest(mask[around.slices])
    areas = tall.astype(np.int32) * (beyond - first)
    row, most = int(areas.argmax()) // around.width, areas.max()
    columns = np.flatnonzero(areas[row] == most)
    right, _, left = min(zip(beyond[row, columns], -tall[row, columns], first[row, columns], strict=True))
    width = int(right - left)
    height = int(most) // width
    return Window(around.x + int(left), around.y + row - height + 1, width, height)


def _widest(covered: Mask) -> tuple[Counts, Counts, Counts]:
    """For every pixel the run of visible pixels that ends there from above, widened to both sides.

    Args:
        covered: (height, width) bool.

    Returns:
        How tall it is (0 for a covered pixel), its first column and the first beyond it, each (height, width) int16.
    """
    height, width = covered.shape
    row, column = np.arange(height, dtype=np.int16)[:, None], np.arange(width, dtype=np.int16)
    above = np.where(covered, row, np.int16(-1))  # the nearest covered row from here upwards
    _running_maximum(above, 0)
    # From the left, and mirrored from the right: how many columns are out of reach, for the row alone at first.
    out = np.stack([np.where(covered, column + 1, np.int16(0)), np.where(covered, width - column, 0)[:, ::-1]])
    out = out.astype(np.int16)
    _running_maximum(out, 2)
    left, right = out[0], out[1, :, ::-1]
    tall = row - above
    sides = np.stack([left, right]) * ~covered
    _running_maximum(sides, 1, within=tall)
    return tall, sides[0], np.int16(width) - sides[1]


def _running_maximum(values: Counts, axis: int, within: Counts | None = None) -> None:
    """The running maximum along an axis, in place, by steps of 1, 2, 4…: NumPy's own goes one by one.

    Args:
        values: int16, not negative where ``within`` is given.
        axis: along which.
        within: how many values before each, with its own, its maximum is of; None = all.
    """
    length, step = values.shape[axis] if within is None else int(within.max()), 1
    while step < length:
        later, sooner = ([slice(None)] * values.ndim for _ in range(2))
        later[axis], sooner[axis] = slice(step, None), slice(None, -step)
        others = values[tuple(sooner)].copy() if within is None else values[tuple(sooner)] * (within[step:] > step)
        np.maximum(values[tuple(later)], others, out=values[tuple(later)])
        step *= 2


def _bounds(visible: Mask) -> Window | None:
    """The smallest window around all that is visible; None if nothing is."""
    rows, columns = (np.flatnonzero(visible.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return None
    top, left = int(rows[0]), int(columns[0])
    return Window(left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top)
