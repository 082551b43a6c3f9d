"""Splits by hash, and where a data set's archive is looked for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from spiralage.datasets.manifest import SPLITS, find_archive, split_by_hash
from spiralage.errors import DatasetError


def test_the_shares_are_near_80_10_10() -> None:
    count = 20_000
    splits = Counter(split_by_hash(f"{number}.jpg") for number in range(count))
    assert set(splits) == {"train", "val", "test"}
    # Three standard deviations of a binomial: 0.6 % for 10 %, 0.85 % for 80 %.
    assert splits["train"] / count == pytest.approx(0.8, abs=0.0085)
    assert splits["val"] / count == pytest.approx(0.1, abs=0.0065)
    assert splits["test"] / count == pytest.approx(0.1, abs=0.0065)


@pytest.mark.parametrize(
    ("subject", "split"),
    [
        ("1_0_0_20161219140623097.jpg.chip.jpg", "train"),
        ("26_1_2_20170104023102422.jpg.chip.jpg", "train"),
        ("50.jpg", "train"),  # 0.7992
        ("377.jpg", "val"),  # 0.8005
        ("583.jpg", "val"),  # 0.8990
        ("2480.jpg", "test"),  # 0.9004
        ("f.jpg", "test"),  # 0.9981
    ],
)
def test_a_names_split_never_changes(subject: str, split: str) -> None:
    assert split_by_hash(subject) == split


def test_the_archive_comes_before_the_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"neither Faces\.tar nor a folder Faces"):
        find_archive(tmp_path, "Faces.tar")
    (tmp_path / "Faces").mkdir()
    assert find_archive(tmp_path, "Faces.tar") == tmp_path / "Faces"
    (tmp_path / "Faces.tar").touch()
    assert find_archive(tmp_path, "Faces.tar") == tmp_path / "Faces.tar"


def test_no_data_folder_says_how_to_give_one() -> None:
    with pytest.raises(DatasetError, match="SPIRALAGE_DATA"):
        find_archive(None, "Faces.tar")


def test_the_data_folder_may_be_the_archive_or_the_unpacked_folder(tmp_path: Path) -> None:
    archive, folder, other = tmp_path / "my.tar", tmp_path / "Faces", tmp_path / "other"
    archive.touch()
    folder.mkdir()
    other.mkdir()
    assert find_archive(archive, "Faces.tar") == archive
    assert find_archive(folder, "Faces.tar") == folder
    with pytest.raises(DatasetError, match=r"neither Faces\.tar"):
        find_archive(other, "Faces.tar", marks=("*.jpg",))
    (other / "a.jpg").touch()
    assert find_archive(other, "Faces.tar", marks=("*.jpg",)) == other
    (folder / "Faces.tar").touch()
    assert find_archive(folder, "Faces.tar") == folder / "Faces.tar"


def test_several_names_and_none(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none of A\.zip, B\.tar, nor a folder of one of these names"):
        find_archive(tmp_path, "A.zip", "B.tar")
    (tmp_path / "A").mkdir()
    (tmp_path / "B.tar").touch()
    assert find_archive(tmp_path, "A.zip", "B.tar") == tmp_path / "B.tar"
    assert find_archive(tmp_path) == tmp_path
    with pytest.raises(DatasetError, match="no such file or folder; check --data"):
        find_archive(tmp_path / "missing", "A.zip")


def test_a_subject_whose_name_is_not_utf_8_has_a_split() -> None:
    assert split_by_hash("\udcff.jpg") in SPLITS
