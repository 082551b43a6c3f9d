"""The 68 landmarks of the Multi-PIE layout: which are what, and how far found ones are from the true ones."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from spiralage.types import Doubles

PARTS = MappingProxyType(
    {
        "contour": slice(0, 17),
        "brows": slice(17, 27),
        "nose": slice(27, 36),
        "eyes": slice(36, 48),
        "mouth": slice(48, 68),
    }
)
"""Part of the face → its points."""
OUTER_EYES = (36, 45)
"""The outer corners of the eyes."""


def outer_eye_distance(points: Doubles) -> Doubles:
    """The distance between the outer corners of the eyes, for (…, 68, 2) points: (…) float64, in their pixels."""
    left, right = (points[..., index, :] for index in OUTER_EYES)
    return np.asarray(np.linalg.norm(right - left, axis=-1))


def errors_percent(found: Doubles, true: Doubles) -> Doubles:
    """How far each point is from where it should be, in % of the outer-eye distance, the usual measure of 300-W.

    Args:
        found: (…, 68, 2), (x, y) in pixels.
        true: the same; its eyes are the measure.

    Returns:
        (…, 68) float64.

    Example:
        >>> true = np.zeros((68, 2)); true[45] = (50, 0)
        >>> found = true + (0, 1)
        >>> errors_percent(found, true)[30]
        np.float64(2.0)
    """
    distances = np.linalg.norm(found - true, axis=-1)
    return np.asarray(100 * distances / outer_eye_distance(true)[..., None])


def part_errors(errors: Doubles) -> dict[str, float]:
    """The mean over all faces of each part's ``errors_percent``, (N, 68), in %; NaN without faces."""
    if len(errors) == 0:
        return dict.fromkeys(PARTS, float("nan"))
    return {part: float(errors[:, points].mean()) for part, points in PARTS.items()}
