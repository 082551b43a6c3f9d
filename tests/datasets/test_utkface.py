"""UTKFace: what the file names say, and the same rows from the archive and its unpacked folder."""

from __future__ import annotations

import tarfile
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from pngs import encode_png

from spiralage.datasets import utkface
from spiralage.datasets.manifest import Row, find_archive, split_by_hash
from spiralage.errors import DatasetError
from spiralage.image_io import load_photo

NAMES = ("7_1_3_20170109142408075.jpg.chip.jpg", "26_1_2_20170104023102422.jpg.chip.jpg", "80_0_0_2017.jpg.chip.jpg")


def write_pictures(folder: Path, names: tuple[str, ...] = NAMES) -> Path:
    """Small drawn pictures (PNG inside: the reader only passes bytes on) below two subfolders."""
    rng = np.random.default_rng(0)
    for index, name in enumerate(names):
        path = folder / f"part{index % 2}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)))
    return folder


def pack(folder: Path, archive: Path, mode: str = "w") -> Path:
    with tarfile.open(archive, mode) as tar:  # type: ignore[call-overload]
        tar.add(folder, arcname="UTKFace")
    return archive


@pytest.mark.parametrize(
    ("name", "age", "sex", "group"),
    [
        ("26_1_2_20170104023102422.jpg.chip.jpg", 26, "female", "Asian"),
        ("1_0_0_20161219140623097.jpg.chip.jpg", 1, "male", "White"),
        ("116_1_4_20170120134921760.jpg.chip.jpg", 116, "female", "other"),
        ("35_0_1_20170116220224657.jpg", 35, "male", "Black"),
        # The malformed names of the data set.
        ("24_0_1_20170116220224657 .jpg.chip.jpg", 24, "male", "Black"),
        ("55_0_0_20170116232725357jpg.chip.jpg", 55, "male", "White"),
        ("44_1_4_20170116235150272.pg.chip.jpg", None, None, None),
        ("61_1_20170109142408075.jpg.chip.jpg", 61, "female", None),
        ("61_1_20170109150557335.jpg.chip.jpg", 61, "female", None),
        ("39_1_20170116174525125.jpg.chip.jpg", 39, "female", None),
        # Not UTKFace's.
        ("121_0_0_20170116220224657.jpg.chip.jpg", None, None, None),
        ("1234_0_0_20170116220224657.jpg.chip.jpg", None, None, None),
        ("portrait.jpg", None, None, None),
        ("._26_1_2_20170104023102422.jpg.chip.jpg", None, None, None),
        ("26_1_2_20170104023102422.jpg.chip.jpg.txt", None, None, None),
    ],
)
def test_a_name_says_age_sex_and_group(name: str, age: int | None, sex: str | None, group: str | None) -> None:
    row = utkface.parse_name(name)
    if age is None:
        assert row is None
    else:
        assert row is not None
        assert (row.image, row.age, row.sex, row.group) == (name, age, sex, group)


def test_the_subject_is_the_duplicate_group() -> None:
    groups = utkface.duplicate_groups()
    image, first = next((image, group) for image, group in groups.items() if image != group)
    row = utkface.parse_name(image)
    assert row is not None
    assert row.subject == first
    assert row.split == split_by_hash(first)
    alone = utkface.parse_name("26_1_2_20170104023102422999.jpg.chip.jpg")
    assert alone is not None
    assert alone.subject == alone.image


def test_every_groups_name_is_its_first_image() -> None:
    members = defaultdict(list)
    for image, group in utkface.duplicate_groups().items():
        members[group].append(image)
    assert all(min(images) == group and len(images) > 1 for group, images in members.items())


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_archive_and_folder_give_the_same_rows(tmp_path: Path, mode: str) -> None:
    folder = write_pictures(tmp_path / "UTKFace")
    archive = pack(folder, tmp_path / "UTKFace.tar", mode)
    from_folder, from_archive = list(utkface.read(folder)), list(utkface.read(archive))
    assert from_folder == from_archive
    assert [row.image for row, _ in from_folder] == sorted(NAMES)
    assert [row.age for row, _ in from_folder] == [26, 7, 80]
    assert all(load_photo(data).size == (8, 8) for _, data in from_folder)
    assert utkface.malformed(folder) == utkface.malformed(archive) == []


def test_names_without_an_age_are_left_out_and_told(tmp_path: Path) -> None:
    folder = write_pictures(
        tmp_path / "UTKFace", (*NAMES, "me.jpg", "44_1_4_20170116235150272.pg.chip.jpg", "9_0_0_1.PNG")
    )
    (folder / "readme.txt").write_text("faces")
    archive = pack(folder, tmp_path / "UTKFace.tar")
    for path in (folder, archive):
        assert len(list(utkface.read(path))) == len(NAMES)
        assert utkface.malformed(path) == ["44_1_4_20170116235150272.pg.chip.jpg", "9_0_0_1.PNG", "me.jpg"]


def test_not_a_tar(tmp_path: Path) -> None:
    path = tmp_path / "UTKFace.tar"
    path.write_bytes(b"<html>Not found</html>" * 100)
    with pytest.raises(DatasetError, match="not a readable tar"):
        list(utkface.read(path))
    with pytest.raises(DatasetError, match="not a readable tar"):
        utkface.malformed(path)


def test_an_empty_file_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "UTKFace.tar").touch()
    for name in ("UTKFace.tar", "missing.tar"):
        with pytest.raises(DatasetError, match="not a readable tar"):
            list(utkface.read(tmp_path / name))


def test_a_tar_cut_short_in_a_picture(tmp_path: Path) -> None:
    archive = pack(write_pictures(tmp_path / "UTKFace"), tmp_path / "UTKFace.tar")
    with tarfile.open(archive) as tar:
        last = max((m for m in tar.getmembers() if m.isfile()), key=lambda m: m.offset_data)
    archive.write_bytes(archive.read_bytes()[: last.offset_data + 10])
    for reading in (utkface.read, utkface.malformed):
        with pytest.raises(DatasetError, match="not a readable tar"):
            list(reading(archive))


def test_a_compressed_tar_cut_short(tmp_path: Path) -> None:
    archive = pack(write_pictures(tmp_path / "UTKFace"), tmp_path / "UTKFace.tar", "w:gz")
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 4])
    with pytest.raises(DatasetError, match="not a readable tar"):
        list(utkface.read(archive))


def test_a_folder_and_a_tar_without_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "UTKFace"
    folder.mkdir()
    for path in (folder, pack(folder, tmp_path / "UTKFace.tar")):
        with pytest.raises(DatasetError, match="no picture named"):
            list(utkface.read(path))


@lru_cache(maxsize=1)
def read_rows(archive: Path) -> list[Row]:
    return [row for row, _ in utkface.read(archive)]


@pytest.fixture
def rows(data_folder: Path) -> list[Row]:
    """The rows of the real archive."""
    return read_rows(find_archive(data_folder, utkface.ARCHIVE))


def test_the_real_archive_is_complete(rows: list[Row], data_folder: Path) -> None:
    assert len(rows) == 22_198
    assert len({row.image for row in rows}) == 22_198
    assert utkface.malformed(find_archive(data_folder, utkface.ARCHIVE)) == []
    assert {row.age for row in rows} <= set(range(1, 117))


def test_no_duplicate_group_straddles_splits(rows: list[Row]) -> None:
    splits = defaultdict(set)
    for row in rows:
        splits[row.subject].add(row.split)
    assert all(len(found) == 1 for found in splits.values())
    grouped = {row.image for row in rows} & utkface.duplicate_groups().keys()
    assert grouped == utkface.duplicate_groups().keys()  # made from this archive
    assert len(grouped) == sum(row.image in utkface.duplicate_groups() for row in rows)


def test_the_real_shares_are_near_80_10_10(rows: list[Row]) -> None:
    for split, share in (("train", 0.8), ("val", 0.1), ("test", 0.1)):
        assert sum(row.split == split for row in rows) / len(rows) == pytest.approx(share, abs=0.01)


def test_other_pictures_are_counted_and_one_is_named(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "x", ("me.jpg", "you.jpg"))
    with pytest.raises(DatasetError, match=r"no picture named .*, but 2 others like me\.jpg; give UTKFace\.tar"):
        list(utkface.read(folder))
