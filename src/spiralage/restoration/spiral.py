"""The spiral (Guo et al., ECCV 2020): a window grows outward, slice by slice, until it is the whole frame.

Pure geometry and the walk itself, for NumPy arrays and PyTorch tensors alike: training and inference walk
the same way. Pictures are channels first, (N, 3, height, width), float.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from spiralage.occlusion.window import Window

Side: TypeAlias = Literal["left", "up", "right", "down"]
TURN: tuple[Side, ...] = ("left", "up", "right", "down")
"""The order of the sides within one turn."""

Picture = TypeVar("Picture")
Generate: TypeAlias = Callable[[Picture, Picture], Picture]
Join: TypeAlias = Callable[[tuple[Any, Any], int], Any]


@dataclass(frozen=True)
class Step:
    """One step of the spiral. All of its windows are as long as that side of the picture so far.

    Args:
        turn: which turn it belongs to, from 0 on.
        side: where the window grows.
        strip: what is filled: as thick as a slice, cut at the border.
        painted: what is painted: as thick as a slice. At the border it reaches back over what is known already, and
            only ``strip`` is kept of it.
        beside: what is known already, on the other side of the edge; as thick as a slice, or as the window is if it
            is thinner.
        band: two slices thick from the outer edge of the strip inward: strip and neighbour, the seam between them.
        after: the window with the strip.
    """

    turn: int
    side: Side
    strip: Window
    painted: Window
    beside: Window
    band: Window
    after: Window


def spiral(window: Window, thickness: int = 32) -> tuple[Step, ...]:
    """The steps from a window to its frame: turn after turn left, up, right, down.

    Slices that reach the border are cut there; sides that have reached it are skipped. A 128×128 window
    needs 2 (in the middle) to 4 turns (in a corner) of a 256×256 frame with slices of 32 pixels.

    Args:
        window: what is visible; anywhere, of any shape.
        thickness: of a slice, pixels (τ in the paper).

    Example:
        >>> [(step.side, step.strip.width, step.strip.height) for step in spiral(Window(64, 64, 128, 128))][:4]
        [('left', 32, 128), ('up', 160, 32), ('right', 32, 160), ('down', 192, 32)]
    """
    if thickness < 1:
        raise ValueError(f"a slice is at least 1 pixel thick, got {thickness}")
    steps: list[Step] = []
    turn = 0
    while (window.width, window.height) != (window.frame, window.frame):
        for side in TURN:
            if _room(window, side):
                steps.append(_step(window, turn, side, thickness))
                window = steps[-1].after
        turn += 1
    return tuple(steps)


def _room(window: Window, side: Side) -> int:
    """Pixels between a side of the window and the frame's border."""
    rooms = {"left": window.x, "up": window.y, "right": window.frame - window.right}
    return rooms.get(side, window.frame - window.bottom)


def _step(at: Window, turn: int, side: Side, thickness: int) -> Step:
    thick, frame = min(thickness, _room(at, side)), at.frame
    known = min(thickness, at.width if side in ("left", "right") else at.height)
    strip = _layer(at, side, thick, thick)
    return Step(
        turn,
        side,
        strip,
        painted=_layer(at, side, thick, min(thickness, frame)),
        beside=_layer(at, side, 0, known),
        band=_layer(at, side, thick, min(2 * thickness, frame)),
        after=_around(at, strip),
    )


def _layer(at: Window, side: Side, beyond: int, thick: int) -> Window:
    """A strip as long as a side of the window, moved into the frame where it sticks out.

    Args:
        at: the window.
        side: of it.
        beyond: pixels from that side to the outer edge of the strip.
        thick: from there inward.
    """
    starts = {"left": at.x - beyond, "up": at.y - beyond, "right": at.right + beyond - thick}
    start = min(max(starts.get(side, at.bottom + beyond - thick), 0), at.frame - thick)
    if side in ("left", "right"):
        return Window(start, at.y, thick, at.height, at.frame)
    return Window(at.x, start, at.width, thick, at.frame)


def _around(one: Window, other: Window) -> Window:
    x, y = min(one.x, other.x), min(one.y, other.y)
    return Window(x, y, max(one.right, other.right) - x, max(one.bottom, other.bottom) - y, one.frame)


def slice_operator(picture: Any, at: Window, strip: Window) -> Any:
    """Cut a strip from a picture.

    Args:
        picture: (N, 3, height, width), what the window ``at`` shows.
        at: where in the frame the picture lies.
        strip: what to cut, inside ``at``.
    """
    rows, columns = strip.slices_in(at)
    return picture[..., rows, columns]


def extrapolate_operator(picture: Any, strip: Any, side: Side, join: Join = np.concatenate) -> Any:
    """Attach a slice to a side of a picture; undone by ``slice_operator``.

    Args:
        picture, strip: (N, 3, height, width), equally long at that side.
        side: where the strip goes.
        join: ``numpy.concatenate`` or ``torch.cat``.
    """
    parts = (strip, picture) if side in ("left", "up") else (picture, strip)
    return join(parts, -1 if side in ("left", "right") else -2)


def grow(
    visible: Any,
    imagined: Any,
    window: Window,
    generate: Generate[Any],
    *,
    thickness: int = 32,
    join: Join = np.concatenate,
) -> Iterator[tuple[Step, Any, Any]]:
    """Walk the spiral: at each step generate a slice and attach it.

    Args:
        visible: what the window shows, (N, 3, window.height, window.width).
        imagined: the imagined whole, (N, 3, frame, frame).
        window: where ``visible`` lies.
        generate: (imaginary slice, the strip beside it) → slice, of the imaginary slice's shape.
        thickness: of a slice, pixels.
        join: ``numpy.concatenate`` or ``torch.cat``, as the pictures are.

    Yields:
        Each step, its slice, and the picture after it, (N, 3, step.after.height, step.after.width). What
        was known before a step is never changed by it.
    """
    picture, at = visible, window
    for step in spiral(window, thickness):
        beside = slice_operator(picture, at, step.beside)
        painted = generate(imagined[(..., *step.painted.slices)], beside)
        strip = slice_operator(painted, step.painted, step.strip)
        picture, at = extrapolate_operator(picture, strip, step.side, join), step.after
        yield step, strip, picture
