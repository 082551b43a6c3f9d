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
