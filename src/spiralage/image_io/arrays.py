"""Arrays, and pixels wider than 8 bits → 8 bits a channel.

What number is white? It is told by the type *and* by the values:

    bool            True is white
    uint8           255
    int8            127
    other integers  the least of 255, 1023, 4095, 65535 that is enough: 8, 10, 12, 16 bits
    floats          the least of 1, 255, 1023, 4095, 65535 that is enough

A white is enough if no more than 1 value in 200 is over it by more than a quarter. Floats to 4 count as 0…1. What is
over white, or below 0 by up to a quarter of it, is clipped: sharpening, resampling and bright lights leave such
values. So values 0…255 in a wider type look as they would in 8 bits; a picture of 16 bits so dark that it has
hardly a value over 5119 is brightened.

Alpha's white is told apart from the colours', by its largest value: 1 is one of its whites in any type.

NaN, infinite, more negative values and values over 65535 are refused.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from spiralage.types import Pixels

Array: TypeAlias = npt.NDArray[Any]

WHITES = (255, 1023, 4095, 65_535)
OVER = 0.25
"""By how much of white a value may be over it, or below black; and is clipped."""

FLOATS_TO_1 = 4
"""A picture of 0…255 whose values all were below this would be black; one of 0…1 has highlights up to it."""

RARE = 0.005
"""The share of values that don't tell what is white: hot pixels, highlights."""


def check_array(array: Array) -> None:
    """Raises ValueError if an array's type or shape can't be a picture's."""
    if array.dtype.kind not in "buif":
        raise ValueError(f"an array of {array.dtype} is no picture; give numbers from 0 to 255 or from 0 to 1")
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 2, 3, 4):
        raise ValueError(
            f"an array of shape {array.shape} is no picture; give (height, width) or (height, width, channels) "
            "with 1 channel (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGBA)"
        )
    if 0 in array.shape:
        raise ValueError(f"an array of shape {array.shape} has no pixels")


def to_8_bits(parts: Iterable[Array]) -> Callable[[Array], Pixels]:
    """What turns parts of a picture into 8 bits, by the rule above, told by all its parts.

    >>> values = np.array([[0, 2048, 4095]], np.uint16)
    >>> to_8_bits([values])(values).tolist()
    [[0, 128, 255]]

    Raises:
        ValueError: a value is NaN or infinite, negative, or larger than 65535.
    """
    parts = iter(parts)
    first = next(parts)
    if first.dtype == np.bool_:
        return lambda part: part.astype(np.uint8) * np.uint8(255)
    has_alpha = first.ndim == 3 and first.shape[2] in (2, 4)
    if first.dtype == np.uint8 and not has_alpha:
        return lambda part: np.asarray(part, np.uint8)
    colours = _Scale(_whites(first.dtype), RARE)
    if not has_alpha:
        for part in itertools.chain([first], parts):
            colours.see(part)
        return colours.conversion(first.dtype)
    alpha = _Scale(tuple(sorted({1, *_whites(first.dtype)})), 0)
    for part in itertools.chain([first], parts):
        colours.see(part[..., :-1])
        alpha.see(part[..., -1:])
    of_colours, of_alpha = colours.conversion(first.dtype), alpha.conversion(first.dtype)
    return lambda part: np.concatenate([of_colours(part[..., :-1]), of_alpha(part[..., -1:])], axis=2)


def _whites(dtype: np.dtype[Any]) -> tuple[int, ...]:
    if dtype.kind == "f":
        return (1, *WHITES)
    return {"uint8": (255,), "int8": (127,)}.get(dtype.name, WHITES)


class _Scale:
    """Which of some whites is enough for the values seen; ``rare`` is the share of them that may be beyond."""

    def __init__(self, whites: tuple[int, ...], rare: float) -> None:
        self._whites = whites
        self._most = {white: FLOATS_TO_1 if white == 1 and rare else white * (1 + OVER) for white in whites[:-1]}
        self._over = dict.fromkeys(whites, 0)
        self._rare = rare
        self._low, self._high, self._size = np.inf, -np.inf, 0

    def see(self, part: Array) -> None:
        """Values that count."""
        low, high = float(part.min()), float(part.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError(
                "its values are not all finite (NaN or infinity); give numbers from 0 to 255 or from 0 to 1"
            )
        self._low, self._high, self._size = min(self._low, low), max(self._high, high), self._size + part.size
        for white, most in self._most.items():
            if high > most:
                self._over[white] += int(np.count_nonzero(part > most))

    def conversion(self, dtype: np.dtype[Any]) -> Callable[[Array], Pixels]:
        """What makes 8 bits of values like those seen.

        Raises:
            ValueError: no white is enough, or values are too negative for it.
        """
        white = next(white for white in self._whites if self._over[white] <= self._rare * self._size)
        if self._high > max(WHITES) * 1.01 or self._high < 0 or self._low < -OVER * white:
            raise ValueError(f"its values go from {self._low:g} to {self._high:g}; scale them to 0…255 or 0…1")
        if dtype.kind == "f":
            # float64, part by part: the same rounding whatever the width of the type
            return lambda part: np.clip(part.astype(np.float64) / white * 255 + 0.5, 0, 255).astype(np.uint8)
        table = np.clip(np.arange(white + 1) / white * 255 + 0.5, 0, 255).astype(np.uint8)
        return lambda part: table[np.clip(part, 0, min(white, np.iinfo(dtype).max))]
