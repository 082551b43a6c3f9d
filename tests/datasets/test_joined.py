"""Several data sets' crops as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synthetic import write_shard

from spiralage.datasets.crops import Crops
from spiralage.datasets.joined import JoinedCrops, open_crops
from spiralage.datasets.manifest import Row, Split
from spiralage.errors import DatasetError
from spiralage.mean_face import mean_landmarks


def some(folder: Path, data: str, ages: list[int], splits: list[Split]) -> Crops:
    rows = [Row(f"{data}-{n}", f"{data}-{n}", age, None, None, splits[n]) for n, age in enumerate(ages)]
    return write_shard(folder / data, rows, [np.full((256, 256, 3), age, np.uint8) for age in ages], data)


@pytest.fixture
def both(tmp_path: Path) -> JoinedCrops:
    first = some(tmp_path, "utkface", [10, 11, 12], ["train", "val", "train"])
    return JoinedCrops((first, some(tmp_path, "aaf", [60, 61], ["val", "train"])))


def test_positions_count_on(both: JoinedCrops) -> None:
    assert len(both) == 5
    assert both.data == "utkface + aaf"
    assert both.ages.tolist() == [10, 11, 12, 60, 61]
    assert both.indices("train").tolist() == [0, 2, 4]
    assert both.indices("val").tolist() == [1, 3]
    assert [row.age for row in both.rows] == both.ages.tolist()


def test_pictures_are_those_of_their_ages_in_any_order(both: JoinedCrops) -> None:
    order = np.array([4, 0, 3, 3, 2])
    assert both.take(order)[:, 128, 128, 0].tolist() == both.ages[order].tolist()


def test_one_set_stays_itself(tmp_path: Path) -> None:
    one = some(tmp_path, "aaf", [60], ["train"])
    assert open_crops(["aaf"], [one.folder]) == one


def test_folders_hold_what_the_recipe_names(both: JoinedCrops) -> None:
    folders = [part.folder for part in both.parts]
    assert open_crops(["utkface", "aaf"], folders) == both
    with pytest.raises(DatasetError, match="holds crops of utkface, not of aaf"):
        open_crops(["aaf", "utkface"], folders)
    with pytest.raises(DatasetError, match="1 folders of crops for 2 data sets"):
        open_crops(["utkface", "aaf"], folders[:1])
    with pytest.raises(DatasetError, match="not of utkface"):
        both.check_data("utkface")


def test_landmarks_are_those_of_their_pictures_in_any_order(tmp_path: Path) -> None:
    points = mean_landmarks() + np.arange(3)[:, None, None]
    rows = [Row(f"{n}", f"{n}", n, None, None, "train") for n in range(3)]
    first = write_shard(tmp_path / "new", rows, [np.zeros((256, 256, 3), np.uint8)] * 3, "utkface", points)
    np.save(tmp_path / "new" / "inside-0000.npy", np.full((3, 256, 32), 255, np.uint8))
    second = write_shard(tmp_path / "newer", rows[:2], [np.zeros((256, 256, 3), np.uint8)] * 2, "aaf", points[:2] + 9)
    np.save(tmp_path / "newer" / "inside-0000.npy", np.zeros((2, 256, 32), np.uint8))
    both, order = JoinedCrops((first, second)), np.array([4, 0, 3, 3, 2])
    expected = np.concatenate([points, points[:2] + 9])[order]
    np.testing.assert_allclose(both.landmarks(order), expected, rtol=1e-6)
    np.testing.assert_allclose(both.full_landmarks(order), expected, rtol=1e-6)
    assert both.full_landmarks(order).dtype == np.float64
    assert both.inside(order)[:, 5, 5].tolist() == [False, True, False, False, True]


def test_an_older_set_among_them_has_the_mean_faces_landmarks(both: JoinedCrops) -> None:
    np.testing.assert_array_equal(both.full_landmarks(np.array([4, 0])), [mean_landmarks()] * 2)
    with pytest.raises(DatasetError, match="build the crops again"):
        both.landmarks(np.array([4]))
