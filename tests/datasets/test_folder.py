"""A folder of one's own pictures: the table's columns, and every mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packed import write_folder

from spiralage.datasets import folder as own_folder
from spiralage.datasets.manifest import Row, split_by_hash
from spiralage.errors import DatasetError


def write(folder: Path, table: str | bytes, *images: str) -> Path:
    data = table if isinstance(table, bytes) else table.encode()
    return write_folder(folder, {"faces.csv": data} | {image: image.encode() for image in images or ("a.jpg",)})


def test_all_columns_in_any_order(tmp_path: Path) -> None:
    table = '\ufeffsplit,age, image ,group,sex,subject\nval,33,"sub/b, 2.jpg",x,female,Ada\n\n,0,a.jpg,,,\n'
    folder = write(tmp_path, table, "a.jpg", "sub/b, 2.jpg")
    expected = [
        (Row("a.jpg", "a.jpg", 0, None, None, split_by_hash("a.jpg")), b"a.jpg"),
        (Row("sub/b, 2.jpg", "Ada", 33, "female", "x", "val"), b"sub/b, 2.jpg"),
    ]
    assert list(own_folder.read(folder)) == expected
    assert list(own_folder.read(folder / "faces.csv")) == expected


def test_two_columns_are_enough(tmp_path: Path) -> None:
    ((row, data),) = own_folder.read(write(tmp_path, "image,age\na.jpg,120\n"))
    assert row == Row("a.jpg", "a.jpg", 120, None, None, split_by_hash("a.jpg"))
    assert data == b"a.jpg"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", r"faces\.csv:1: no column image"),
        ("image\na.jpg\n", r"faces\.csv:1: no column age"),
        ("a.jpg,23\n", r"faces\.csv:1: unknown column 'a\.jpg'; the columns are image, age, subject"),
        ("image,age,smile\n", r":1: unknown column 'smile'"),
        ("image,age,age\n", r":1: column age is there twice"),
        ("image,age\n", "no pictures are listed"),
        ("image,age\na.jpg\n", r"faces\.csv:2: 1 values for 2 columns"),
        ("image,age\na.jpg,3,4\n", r":2: 3 values for 2 columns"),
        ("image,age\n\na.jpg,121\n", r"faces\.csv:3: age '121' is not a whole number from 0 to 120"),
        ("image,age\na.jpg,-1\n", r":2: age '-1'"),
        ("image,age\na.jpg,2.5\n", r":2: age '2\.5'"),
        ("image,age\na.jpg,00012\n", r":2: age '00012'"),
        ("image,age\na.jpg,٣\n", r":2: age '٣'"),
        ("image,age\na.jpg,\n", r":2: age ''"),
        ("image,age,sex\na.jpg,3,f\n", r":2: sex 'f' is neither male nor female"),
        ("image,age,split\na.jpg,3,valid\n", r":2: split 'valid' is not one of train, val, test"),
        ("image,age\n,3\n", r":2: no image is named"),
        ("image,age\nb.jpg,3\n", r":2: b\.jpg is not there"),
        ("image,age\n.,3\n", r":2: \. is not there"),
        ("image,age\na.jpg,3\n./a.jpg,3\n", r":3: \./a\.jpg is listed twice, first in .*faces\.csv:2"),
        ("image,age\n../out.jpg,3\n", r":2: \.\./out\.jpg is not inside"),
        ("image,age\n/etc/hostname,3\n", r":2: /etc/hostname is not inside"),
        ("image,age\nlink.jpg,3\n", r":2: link\.jpg is not inside"),
        ("image,age\ncircle.jpg,3\n", r":2: circle\.jpg is not there"),
        ('image,age\n"a.jpg,3\n', r"faces\.csv:\d: not CSV"),
        (b"image,age\n\xff.jpg,3\n", "not a text file in UTF-8"),
        ("image,age,subject,split\na.jpg,3,Ada,train\nc.jpg,4,Ada,test\n", r":3: Ada is in train and test"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, table: str | bytes, message: str) -> None:
    write_folder(tmp_path, {"out.jpg": b""})
    folder = write(tmp_path / "mine", table, "a.jpg", "c.jpg")
    (folder / "link.jpg").symlink_to(tmp_path / "out.jpg")
    (folder / "circle.jpg").symlink_to(folder / "circle.jpg")
    with pytest.raises(DatasetError, match=message):
        next(own_folder.read(folder))


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", "image,age\na.jpg,3\n")
    (tmp_path / "link").symlink_to(folder)
    assert len(list(own_folder.read(tmp_path / "link"))) == 1


def test_no_table_several_tables_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no \.csv file in it; write one with the columns image, age"):
        next(own_folder.read(tmp_path))
    write(tmp_path, "image,age\na.jpg,3\n")
    (tmp_path / "another.csv").touch()
    with pytest.raises(DatasetError, match=r"another\.csv, faces\.csv: give the one that is meant as --data"):
        next(own_folder.read(tmp_path))
    with pytest.raises(DatasetError, match="can't be read"):
        next(own_folder.read(tmp_path / "missing.csv"))


@given(table=st.one_of(st.binary(max_size=200), st.text(alphabet='image,ge\n"0\x00.\r', max_size=80).map(str.encode)))
def test_any_bytes_are_rows_or_a_dataset_error(tmp_path_factory: pytest.TempPathFactory, table: bytes) -> None:
    folder = write(tmp_path_factory.mktemp("any"), b"image,age\n" + table)
    try:
        said = ", ".join(row.image for row, _ in own_folder.read(folder))
    except DatasetError as error:
        said = str(error)
        named = "faces.csv" in said
    else:
        named = said == "a.jpg"
    assert named, said
