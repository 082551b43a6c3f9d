"""AAF: names, labels, and the same rows from the zip and its unpacked folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from packed import three_forms, write_folder

from spiralage.datasets import aaf
from spiralage.datasets.manifest import split_by_hash
from spiralage.datasets.sources import SOURCES
from spiralage.errors import DatasetError

FILES = {
    "AAF/00001A30.webp": b"second",
    "AAF/00000A02.webp": b"first",
    "AAF/labels.csv": b"image,age,sex\n00000A02.webp,2,female\n00001A30.webp,30,male\n",
}


@pytest.mark.parametrize("name", ["0001A02.webp", "00001A81.webp", "00001A02.png", "x00001A02.webp", "portrait.jpg"])
def test_other_names_are_none_of_its(name: str) -> None:
    assert aaf.parse_name(name) is None


def test_folder_zip_and_tar_give_the_same_rows(tmp_path: Path) -> None:
    for path in three_forms(tmp_path, FILES):
        (first, data), (second, _) = aaf.read(path)
        assert (first.image, first.subject, first.age, first.sex) == ("00000A02.webp", "aaf-00000", 2, "female")
        assert data == b"first"
        assert (second.age, second.sex) == (30, "male")
        assert first.split == split_by_hash("aaf-00000")


def test_without_labels_the_sex_is_not_known(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "AAF", {"00000A02.jpg": b"x"})
    assert [row.sex for row, _ in aaf.read(folder)] == [None]


def test_a_picture_that_utkface_has_follows_its_split(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "AAF", {"00100A03.webp": b"x"})
    ((row, _),) = aaf.read(folder)
    assert row.subject == "4_1_2_20161219142601553.jpg.chip.jpg"
    assert row.split == split_by_hash(row.subject)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"labels.csv": b"image,age,sex\n"}, "no picture named like"),
        ({"00000A99.webp": b""}, "not named like AAF's"),
        ({"a/00000A02.webp": b"", "b/00000A02.webp": b""}, "is there twice"),
        ({"00000A02.webp": b"", "labels.csv": b"image,age,sex\n00000A02.webp,3,male\n"}, "says '3' of"),
        ({"00000A02.webp": b"", "labels.csv": b"\xff\xfe,\n1\n"}, "says None of None"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        list(aaf.read(write_folder(tmp_path / "AAF", files)))


def test_it_is_a_source(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "AAF", FILES)
    assert SOURCES["aaf"].find(tmp_path) == folder
    assert len(list(SOURCES["aaf"].read(folder, print))) == 2
