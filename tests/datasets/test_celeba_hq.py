"""CelebA-HQ: a folder or archive of pictures, or lists of paths; never an age."""

from __future__ import annotations

from pathlib import Path

import pytest
from packed import three_forms, write_folder

from spiralage.datasets import celeba_hq
from spiralage.datasets.manifest import split_by_hash
from spiralage.errors import DatasetError

PICTURES = {"hq/0.jpg": b"0", "hq/10.jpg": b"10", "hq/2.PNG": b"2", "hq/readme.txt": b""}


def images(path: Path) -> list[tuple[str, str, str, bytes]]:
    pictures = list(celeba_hq.read(path))
    assert all(row.age is None and row.sex is None and row.group is None for row, _ in pictures)
    return [(row.image, row.subject, row.split, data) for row, data in pictures]


def test_folder_zip_and_tar(tmp_path: Path) -> None:
    for path in three_forms(tmp_path, PICTURES):
        assert images(path) == [
            ("hq/0.jpg", "0", split_by_hash("0"), b"0"),
            ("hq/10.jpg", "10", split_by_hash("10"), b"10"),
            ("hq/2.PNG", "2", split_by_hash("2"), b"2"),
        ]


def test_classes_are_no_faces(tmp_path: Path) -> None:
    files = {"CelebA-HQ-1000/images/ab.webp": b"face", "CelebA-HQ-1000/masks/ab.png": b"classes"}
    for path in three_forms(tmp_path, files):
        assert [row[1:] for row in images(path)] == [("ab", split_by_hash("ab"), b"face")]


def test_lists_are_the_splits(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", PICTURES)
    elsewhere = write_folder(tmp_path / "else", {"000007.png": b"7"})
    (folder / "train.flist").write_text("hq/10.jpg\n\n  hq/0.jpg\r\n")
    (folder / "test.flist").write_text(f"{elsewhere / '000007.png'}\n")
    assert images(folder) == [
        (str(elsewhere / "000007.png"), "000007", "test", b"7"),
        ("hq/0.jpg", "0", "train", b"0"),
        ("hq/10.jpg", "10", "train", b"10"),
    ]
    assert [split for _, _, split, _ in images(folder / "train.flist")] == ["train", "train"]


def test_the_authors_lists_name_pictures_of_another_machine(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {"5196.jpg": b"5", "17.jpg": b"1", "8.jpg": b"8"})
    (folder / "train_1000.flist").write_text("/media/theirs/celeba-256/5196.jpg\n/media/theirs/celeba-256/17.jpg\n")
    (folder / "val_200.flist").write_text("/media/theirs/celeba-256/8.jpg\n")
    assert [(subject, split, data) for _, subject, split, data in images(folder)] == [
        ("17", "train", b"1"),
        ("5196", "train", b"5"),
        ("8", "val", b"8"),
    ]
    assert {split for _, _, split, _ in images(folder / "val_200.flist")} == {"val"}


def test_a_list_of_another_name_is_split_by_hash(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {f"{number}.jpg": b"" for number in range(60)})
    (folder / "all.txt").write_text("".join(f"{number}.jpg\n" for number in range(60)))
    found = images(folder / "all.txt")
    assert {split for _, _, split, _ in found} == {"train", "val", "test"}
    assert all(split == split_by_hash(subject) for _, subject, split, _ in found)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"readme.txt": b""}, r"no pictures and no train\*\.flist, val\*\.flist, test\*\.flist in it"),
        ({"0.jpg": b"", "a/0.png": b""}, r"0\.jpg and a/0\.png are one picture|a/0\.png and 0\.jpg are one picture"),
        ({"train.flist": b"\n"}, "no path in it"),
        ({"train.flist": b"0.jpg\n5.jpg\n6.jpg\n", "0.jpg": b""}, r"2 of the 3 listed pictures are missing, .*5\.jpg"),
        ({"train.flist": b"0.jpg\n", "val.flist": b"a/0.jpg\n", "0.jpg": b""}, "are one picture"),
        ({"train.flist": b"0.jpg\n0.jpg\n", "0.jpg": b""}, r"0\.jpg and 0\.jpg are one picture"),
        ({"train.flist": b"a\na\n", "a": b""}, "a and a are one picture"),
        ({"val.flist": b"\xff\xfe"}, "not a text file in UTF-8"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    folder = write_folder(tmp_path / "x", files)
    with pytest.raises(DatasetError, match=message):
        list(celeba_hq.read(folder))
