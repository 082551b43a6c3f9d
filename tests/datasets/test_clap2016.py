"""CLAP2016: lists of apparent ages in the forms they come in."""

from __future__ import annotations

from pathlib import Path

import pytest
from packed import three_forms, write_folder

from spiralage.datasets import clap2016
from spiralage.errors import DatasetError

FILES = {
    "CLAP2016/train_gt.csv": b"000001.jpg,23.5,3.4\n000000.jpg,24.5,1.0\r\n\n",
    "CLAP2016/valid_gt.csv": b"000000.jpg;61.49;4.2\n",
    "CLAP2016/test_gt.csv": b"\xef\xbb\xbf000002.jpg,0\n",
    "CLAP2016/train/000000.jpg": b"train 0",
    "CLAP2016/train/000001.jpg": b"train 1",
    "CLAP2016/valid/000000.jpg": b"valid 0",
    "CLAP2016/test/000002.jpg": b"test 2",
    "CLAP2016/test/not listed.jpg": b"",
}
ROWS = [
    ("test/000002.jpg", 0, "test", b"test 2"),
    ("train/000000.jpg", 25, "train", b"train 0"),  # halves go up
    ("train/000001.jpg", 24, "train", b"train 1"),
    ("valid/000000.jpg", 61, "val", b"valid 0"),
]


def read(path: Path) -> list[tuple[str, int | None, str, bytes]]:
    pictures = list(clap2016.read(path))
    assert all(row.subject == row.image and row.sex is None and row.group is None for row, _ in pictures)
    return [(row.image.removeprefix("CLAP2016/"), row.age, row.split, data) for row, data in pictures]


def test_folder_zip_and_tar_give_the_official_splits(tmp_path: Path) -> None:
    for path in (*three_forms(tmp_path, FILES), tmp_path / "unpacked" / "CLAP2016"):
        assert read(path) == ROWS


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train_gt.csv", "image,mean,stdv\n0.jpg,30.2,1\n"),
        (
            "gt_avg_train.csv",
            "file_name,num_ratings,apparent_age_avg,apparent_age_std,real_age\n0.jpg,38,30.2,3.1,99\n",
        ),
        ("train/train_gt.csv", "0.jpg,30.2\n"),
        ("train_gt.csv", " 0.jpg ; 30.2 ; 1\n"),
    ],
)
def test_other_forms_of_a_list(tmp_path: Path, name: str, text: str) -> None:
    folder = write_folder(tmp_path, {name: text.encode(), "train/0.jpg": b"x"})
    assert [(age, split) for _, age, split, _ in read(folder)] == [(30, "train")]


def test_val_may_be_called_so(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {"val_gt.csv": b"0.jpg,30\n", "val/0.jpg": b"x"})
    assert read(folder) == [("val/0.jpg", 30, "val", b"x")]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.jpg": b""}, r"no list of ages in it; CLAP2016 has train_gt\.csv, valid_gt\.csv, test_gt\.csv"),
        ({"train_gt.csv": b"", "gt_avg_train.csv": b""}, "both list train; remove all but one"),
        ({"valid_gt.csv": b"", "val_gt.csv": b""}, "both list val"),
        ({"train_gt.csv": b"0.jpg,30\n0.jpg,31\n", "train/0.jpg": b""}, r"train/0\.jpg is listed twice"),
        (
            {"train_gt.csv": b"0.jpg,30\n8.jpg,1\n9.jpg,2\n", "train/0.jpg": b""},
            r"2 of the pictures .* first is 8\.jpg",
        ),
        ({"train_gt.csv": b"../0.jpg,30\n", "0.jpg": b""}, r"first is \.\./0\.jpg"),
        ({"train_gt.csv": b"0.jpg,30\n0.jpg\n", "train/0.jpg": b""}, r"train_gt\.csv:2: '0\.jpg' is not image,mean"),
        ({"train_gt.csv": b"0.jpg,old\n", "train/0.jpg": b""}, r"train_gt\.csv:1: 'old' is not an age from 0 to 100"),
        ({"train_gt.csv": b"0.jpg,100.1\n", "train/0.jpg": b""}, r":1: '100\.1' is not an age"),
        ({"train_gt.csv": b"0.jpg,-1\n", "train/0.jpg": b""}, r":1: '-1' is not an age"),
        ({"train_gt.csv": b"0.jpg,nan\n", "train/0.jpg": b""}, r":1: 'nan' is not an age"),
        ({"train_gt.csv": b"\xff\xfe"}, "not a text file in UTF-8"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    folder = write_folder(tmp_path / "x", files)
    with pytest.raises(DatasetError, match=message):
        list(clap2016.read(folder))
