"""The shipped mean face and its landmarks."""

from __future__ import annotations

import numpy as np
import pytest

from spiralage import mean_face as module
from spiralage import weights
from spiralage.mean_face import mean_face, mean_landmarks


def test_mean_landmarks_sit_on_the_anchors() -> None:
    points = mean_landmarks()
    assert points.shape == (68, 2)
    assert points.dtype == np.float64
    np.testing.assert_allclose(points[36:42].mean(axis=0), (86, 98), atol=4)
    np.testing.assert_allclose(points[42:48].mean(axis=0), (170, 98), atol=4)
    np.testing.assert_allclose(points[[48, 54]].mean(axis=0), (128, 190), atol=4)


def test_the_file_is_read_once_and_what_is_read_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    read, reads = weights.read, list[str]()

    def noting(name: str) -> bytes:
        reads.append(name)
        return read(name)

    monkeypatch.setattr(weights, "read", noting)
    module._mean.cache_clear()
    for _ in range(2):
        for array in (mean_face(), mean_landmarks()):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0
    assert reads == ["mean-face"]
    assert mean_face().shape == (256, 256, 3)
    assert mean_face().dtype == np.float32
