"""The mean face is the mean of the crops and of their own landmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synthetic import write_shard

from spiralage.datasets.crops import Crops
from spiralage.datasets.manifest import Row
from spiralage.errors import DatasetError
from spiralage.mean_face import mean_landmarks
from spiralage.training.checkpoint import load_tensors
from spiralage.training.tasks.mean_face import train_mean_face
from spiralage.types import Doubles


def crops_with(folder: Path, landmarks: Doubles | None) -> Crops:
    """Three to train on, and one that doesn't count."""
    rows = [Row(f"{n}", f"{n}", n, None, None, "test" if n == 3 else "train") for n in range(4)]
    return write_shard(folder, rows, [np.full((256, 256, 3), 10 * n, np.uint8) for n in range(4)], "utkface", landmarks)


def test_it_is_the_mean_of_the_training_crops(tmp_path: Path) -> None:
    points = mean_landmarks() + np.arange(4)[:, None, None]
    points[1, 5:] = np.nan  # of this one only five are known
    tensors, facts = load_tensors(train_mean_face(crops_with(tmp_path / "crops", points), tmp_path))
    assert (tensors["pixels"].numpy() == 10).all()
    np.testing.assert_allclose(tensors["landmarks"].numpy(), mean_landmarks() + 1, rtol=1e-5)
    assert (facts["images"], facts["marked"]) == (3, 2)


@pytest.mark.parametrize("landmarks", [None, np.full((4, 68, 2), np.nan)])
def test_crops_without_landmarks_are_refused(tmp_path: Path, landmarks: Doubles | None) -> None:
    with pytest.raises(DatasetError, match="build the crops again"):
        train_mean_face(crops_with(tmp_path / "crops", landmarks), tmp_path)
