"""The parts of 68 points, and errors in % of the outer-eye distance."""

from __future__ import annotations

import numpy as np
import pytest

from spiralage.faces.points68 import PARTS, errors_percent, outer_eye_distance, part_errors
from spiralage.mean_face import mean_landmarks


def test_every_point_is_of_one_part() -> None:
    assert sorted(index for points in PARTS.values() for index in range(68)[points]) == list(range(68))


def test_parts_are_where_they_are_in_a_face() -> None:
    points = mean_landmarks()
    heights = {part: points[where, 1].mean() for part, where in PARTS.items()}
    assert heights["brows"] < heights["eyes"] < heights["nose"] < heights["mouth"] < points[8, 1]


def test_errors_are_parts_of_the_outer_eye_distance_in_any_size() -> None:
    rng = np.random.default_rng(0)
    true = np.stack([mean_landmarks(), 3 * mean_landmarks() + 7])
    off = rng.normal(size=(68, 2))
    found = true + np.stack([off, 3 * off])
    errors = errors_percent(found, true)
    np.testing.assert_allclose(errors[0], errors[1])
    across = mean_landmarks()[45] - mean_landmarks()[36]
    np.testing.assert_allclose(errors[0], 100 * np.hypot(*off.T) / np.hypot(*across))
    np.testing.assert_allclose(outer_eye_distance(true)[1], 3 * np.hypot(*across))


def test_means_are_over_the_points_of_a_part() -> None:
    errors = np.zeros((2, 68))
    errors[0, 48:] = 4.0
    assert part_errors(errors) == {"contour": 0, "brows": 0, "nose": 0, "eyes": 0, "mouth": pytest.approx(2.0)}
    assert np.isnan(list(part_errors(np.empty((0, 68))).values())).all()
