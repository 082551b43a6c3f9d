"""Arrays, and pixels wider than 8 bits → 8 bits a channel.

What number is white? It is told by the type *and* by the largest value:

    bool            True is white
    uint8           255
    other integers  the least of 255, 1023, 4095, 65535 that no value exceeds: 8, 10, 12, 16 bits
    floats          the least of 1, 255, 1023, 4095, 65535 that no value exceeds by more than 1 %

So values 0…255 in a wider type look as they would in 8 bits; a picture of 16 bits so dark that it has no value
over 4095, a sixteenth of white, is brightened. Alpha's white is told apart from the colours'. Where floats go
beyond by up to 1 %, as after resampling, they are clipped. NaN, infinite, more negative and larger values are
refused.
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
SLACK = 0.01


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
    if first.dtype == np.uint8:
        return lambda part: np.asarray(part, np.uint8)
    if first.dtype == np.bool_:
        return lambda part: part.astype(np.uint8) * np.uint8(255)
    has_alpha = first.ndim == 3 and first.shape[2] in (2, 4)
    groups: tuple[Any, ...] = (np.s_[..., :-1], np.s_[..., -1:]) if has_alpha else (np.s_[...],)
    ends = np.array([[_ends(part[group]) for group in groups] for part in itertools.chain([first], parts)])
    low, high = ends[..., 0].min(axis=0), ends[..., 1].max(axis=0)
    scales = [_scale(first.dtype.kind, *lowest_and_highest) for lowest_and_highest in zip(low, high, strict=True)]
    if not has_alpha:
        return scales[0]
    return lambda part: np.concatenate([scale(part[g]) for scale, g in zip(scales, groups, strict=True)], axis=2)


def _ends(part: Array) -> tuple[float, float]:
    """The least and the largest value; NaN if there is one."""
    return float(part.min()), float(part.max())


def _scale(kind: str, low: float, high: float) -> Callable[[Array], Pixels]:
    if kind == "f":
        white = _white((1, *WHITES), low, high, SLACK)
        # float64, part by part: the same rounding whatever the width of the type
        return lambda part: np.clip(part.astype(np.float64) / white * 255 + 0.5, 0, 255).astype(np.uint8)
    white = _white(WHITES, low, high, 0)
    table = np.clip(np.arange(white + 1) / white * 255 + 0.5, 0, 255).astype(np.uint8)
    return lambda part: table[part]


def _white(whites: tuple[int, ...], low: float, high: float, slack: float) -> int:
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("its values are not all finite (NaN or infinity); give numbers from 0 to 255 or from 0 to 1")
    for white in whites:
        if high <= white * (1 + slack):
            if low < -white * slack:
                break
            return white
    raise ValueError(f"its values go from {low:g} to {high:g}; scale them to 0…255 or 0…1")
