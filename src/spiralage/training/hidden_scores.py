"""How well hidden pixels are found: intersection over union, and what is falsely called hidden."""

from __future__ import annotations

import math
from typing import NamedTuple

from spiralage.datasets.hidden_labels import Known
from spiralage.types import Mask, Pixels


class HiddenScore(NamedTuple):
    """Of one picture, over pixels of which something is known.

    Args:
        iou: the part of what is hidden or found that is both; NaN where nothing is hidden.
        falsely_hidden: the part of the visible pixels that was found; NaN where nothing is visible.
        missed: the part of the hidden pixels that wasn't; NaN where nothing is hidden.
        both, either: pixels that are hidden and found, hidden or found; for sums over pictures.
    """

    iou: float
    falsely_hidden: float
    missed: float
    both: int
    either: int


def hidden_score(found: Mask, known: Pixels) -> HiddenScore:
    """Compare what was found with what is known.

    Args:
        found: (256, 256) bool, True = hidden.
        known: (256, 256) uint8, each a ``Known``; ``UNKNOWN`` and ``BEYOND`` count nowhere.

    Example:
        >>> import numpy as np
        >>> known, found = np.full((256, 256), Known.VISIBLE, np.uint8), np.zeros((256, 256), np.bool_)
        >>> known[:64], found[:128] = Known.HIDDEN, True
        >>> score = hidden_score(found, known)
        >>> score.iou, round(score.falsely_hidden, 3), score.missed
        (0.5, 0.333, 0.0)
    """
    counts = (known != Known.UNKNOWN) & (known != Known.BEYOND)
    hidden, found = (known == Known.HIDDEN) & counts, found & counts
    both, either = int((hidden & found).sum()), int((hidden | found).sum())
    total, visible = int(hidden.sum()), int((counts & ~hidden).sum())
    return HiddenScore(
        both / either if total else math.nan,
        (either - total) / visible if visible else math.nan,
        1 - both / total if total else math.nan,
        both,
        either,
    )
