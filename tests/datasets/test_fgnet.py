"""FG-NET: names, counts, and the same rows from the zip and its unpacked folder."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packed import three_forms, write_zip

from spiralage.datasets import fgnet
from spiralage.datasets.manifest import split_by_hash
from spiralage.datasets.sources import SOURCES
from spiralage.errors import DatasetError
from spiralage.image_io import load_photo

NAMES = ("FGNET/images/002A03.JPG", "FGNET/images/001A43b.JPG", "FGNET/images/001A43a.JPG", "FGNET/images/001A02.JPG")
FILES = {name: name.encode() for name in NAMES}


def whole() -> dict[str, bytes]:
    """1002 names of 82 persons, as many as there should be."""
    names = [f"{1 + index % 82:03}A{index // 82:02}.JPG" for index in range(1002)]
    return {f"FGNET/images/{name}": name.encode() for name in names}


@pytest.mark.parametrize(
    ("name", "subject", "age"),
    [
        ("001A02.JPG", "001", 2),
        ("082A69.JPG", "082", 69),
        ("001A43a.JPG", "001", 43),
        ("001a43B.jpg", "001", 43),
        ("001A70.JPG", None, None),
        ("1A02.JPG", None, None),
        ("001A2.JPG", None, None),
        ("001A02ab.JPG", None, None),
        ("001A02.JPG.JPG", None, None),
        ("٠٠١A02.JPG", None, None),  # digits, but not FG-NET's
        ("portrait.jpg", None, None),
    ],
)
def test_a_name_says_person_and_age(name: str, subject: str | None, age: int | None) -> None:
    row = fgnet.parse_name(name)
    if subject is None:
        assert row is None
    else:
        assert row is not None
        assert (row.image, row.subject, row.age, row.sex, row.group) == (name, subject, age, None, None)
        assert row.split == split_by_hash(subject)


@given(st.text())
def test_any_text_is_a_row_or_none(name: str) -> None:
    row = fgnet.parse_name(name)
    assert row is None or (row.image == name and row.age is not None and 0 <= row.age <= 69)


def test_zip_and_folder_at_any_depth_give_the_same_rows(tmp_path: Path) -> None:
    files = {**FILES, "FGNET/points/001a02.pts": b"", "__MACOSX/FGNET/._001A02.JPG": b"fork"}
    zipped = list(fgnet.read(three_forms(tmp_path, files)[1], complete=False))
    assert [row.image for row, _ in zipped] == ["001A02.JPG", "001A43a.JPG", "001A43b.JPG", "002A03.JPG"]
    assert [data.decode().rpartition("/")[2] for _, data in zipped] == [row.image for row, _ in zipped]
    for folder in (tmp_path / "unpacked", tmp_path / "unpacked/FGNET", tmp_path / "unpacked/FGNET/images"):
        assert list(fgnet.read(folder, complete=False)) == zipped


def test_the_counts_are_checked(tmp_path: Path) -> None:
    assert len(list(fgnet.read(write_zip(tmp_path / "whole.zip", whole())))) == 1002
    few = whole()
    few.popitem()
    with pytest.raises(DatasetError, match=r"1001 images of 82 persons, but FG-NET has 1002 of 82; .* --partial"):
        next(fgnet.read(write_zip(tmp_path / "few.zip", few)))
    other = {name.replace("/082A", "/083A") if "/082A00" in name else name: data for name, data in whole().items()}
    with pytest.raises(DatasetError, match="1002 images of 83 persons"):
        next(fgnet.read(write_zip(tmp_path / "other.zip", other)))


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("name", ["FGNET/images/001A70.JPG", "FGNET/images/me.jpg"])
def test_the_first_misnamed_picture_is_named(tmp_path: Path, name: str, complete: bool) -> None:
    path = write_zip(tmp_path / "FGNET.zip", {**whole(), name: b"", "FGNET/images/you.jpg": b""})
    with pytest.raises(DatasetError, match=f"{name} is not named like .*001A02.JPG.*fetch FGNET.zip again"):
        next(fgnet.read(path, complete=complete))


@pytest.mark.parametrize("name", ["001a02.jpg", "001A02.JPG"])
def test_a_picture_that_comes_twice(tmp_path: Path, name: str) -> None:
    path = write_zip(tmp_path / "FGNET.zip", {**FILES, f"copy/{name}": b""})
    with pytest.raises(DatasetError, match=r"001[aA]02\.(jpg|JPG) is there twice"):
        next(fgnet.read(path, complete=False))


def test_no_picture_and_no_zip(tmp_path: Path) -> None:
    for files in ({}, {"readme.txt": b"hello"}):
        with pytest.raises(DatasetError, match=r"no picture named like 001A02\.JPG"):
            next(fgnet.read(write_zip(tmp_path / "FGNET.zip", files), complete=False))
    (tmp_path / "FGNET.zip").write_bytes(b"<html>")
    with pytest.raises(DatasetError, match="not a readable zip"):
        next(fgnet.read(tmp_path / "FGNET.zip"))


def test_the_real_archive(data_folder: Path) -> None:
    path = SOURCES["fgnet"].find(data_folder)
    splits, counts, ages = defaultdict(set), Counter[str](), set()
    for row, data in fgnet.read(path):
        assert min(load_photo(data).size) > 200
        splits[row.subject].add(row.split)
        counts[row.subject] += 1
        ages.add(row.age)
    assert counts.total() == 1002
    assert set(counts) == {f"{number:03}" for number in range(1, 83)}
    assert (min(counts.values()), max(counts.values())) == (6, 18)
    assert {0, 69} <= ages <= set(range(70))
    assert all(len(found) == 1 for found in splits.values())
    assert Counter(next(iter(found)) for found in splits.values()) == {"train": 71, "val": 8, "test": 3}
