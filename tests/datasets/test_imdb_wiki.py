"""IMDB-WIKI: Matlab's dates, the filters, and tables as the authors wrote them."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import math
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packed import three_forms, write_folder, write_tar
from scipy.io import savemat

from spiralage.datasets import imdb_wiki, mat_reader, mat_tables
from spiralage.datasets.imdb_wiki import Counts, Filters, age_in_photo
from spiralage.datasets.manifest import split_by_hash
from spiralage.errors import DatasetError, MissingExtraError

NAN = math.nan


def matlab(year: int, month: int, day: int) -> int:
    return date(year, month, day).toordinal() + 366


# (image, name, birth, year of the photo, gender, face score, second score)
PEOPLE: list[tuple[str, str, float, int, float, float, float]] = [
    ("01/b.jpg", "Ada", matlab(1980, 7, 1), 2010, 0.0, 3.5, NAN),  # 30 on the day itself
    ("00/a.jpg", "Bob", matlab(1980, 7, 2), 2010, 1.0, 1.1, NAN),  # 29, a day short of 30
    ("00/nameless.jpg", "", matlab(1910, 1, 1), 2010, NAN, 2.0, NAN),  # 100
    ("00/low.jpg", "Cid", matlab(1980, 1, 1), 2010, 1.0, 1.0, NAN),
    ("00/noface.jpg", "Cid", matlab(1980, 1, 1), 2010, 1.0, -math.inf, NAN),
    ("00/noscore.jpg", "Cid", matlab(1980, 1, 1), 2010, 1.0, NAN, NAN),
    ("00/two.jpg", "Ada", matlab(1980, 1, 1), 2010, 0.0, 5.0, 2.0),
    ("00/unborn.jpg", "Dan", matlab(2011, 1, 1), 2010, 1.0, 5.0, NAN),
    ("00/old.jpg", "Dan", matlab(1909, 6, 30), 2010, 1.0, 5.0, NAN),  # 101
    ("00/zero.jpg", "Eve", 0, 2010, 0.0, 5.0, NAN),
    ("00/early.jpg", "Eve", 366, 2010, 0.0, 5.0, NAN),
]
KEPT = ["00/a.jpg", "00/nameless.jpg", "01/b.jpg"]


def cells(texts: list[str]) -> np.ndarray:
    """A 1×N cell array; Matlab's empty text is an empty matrix."""
    array = np.empty((1, len(texts)), dtype=object)
    for index, text in enumerate(texts):
        array[0, index] = text or np.zeros((0, 0))
    return array


def columns(people: list[tuple[str, str, float, int, float, float, float]] = PEOPLE) -> dict[str, Any]:
    """The struct's fields with the types of the real file."""
    image, name, birth, year, gender, score, second = zip(*people, strict=True)
    return {
        "dob": np.array([birth], np.int32),
        "photo_taken": np.array([year], np.uint16),
        "full_path": cells(list(image)),
        "gender": np.array([gender], np.float64),
        "name": cells(list(name)),
        "face_location": cells(["box"] * len(people)),
        "face_score": np.array([score], np.float64),
        "second_face_score": np.array([second], np.float64),
        "celeb_names": cells(["Ada", "Bob"]),
        "celeb_id": np.array([[1] * len(people)], np.float64),
    }


def table(part: str = "imdb", **changed: Any) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, {part: {**columns(), **changed}}, do_compression=True)
    return buffer.getvalue()


def archive(part: str = "imdb") -> dict[str, bytes]:
    return {f"{part}_crop/{part}.mat": table(part)} | {f"{part}_crop/{p[0]}": p[0].encode() for p in PEOPLE}


@given(st.dates(min_value=date(1, 1, 1)), st.integers(1, 9999), st.floats(0, 0.999))
def test_the_age_is_the_one_counted_by_birthdays(birth: date, year: int, hours: float) -> None:
    age = age_in_photo(birth.toordinal() + 366 + hours, year)
    assert age is not None
    middle = (year, 7, 1)
    birthday = (birth.year + age, birth.month, birth.day)
    assert birthday <= middle < (birthday[0] + 1, *birthday[1:])


def test_day_numbers_are_matlabs() -> None:
    new_year_2000 = 730486  # datenum(2000, 1, 1), from Matlab's manual
    assert age_in_photo(new_year_2000 + 182, 2010) == 10  # 1 July of a leap year
    assert age_in_photo(new_year_2000 + 183, 2010) == 9


@pytest.mark.parametrize(
    ("day", "year"),
    [
        (0, 2010),
        (366, 2010),
        (-5, 2010),
        (NAN, 2010),
        (math.inf, 2010),
        (4e6, 2010),
        (7e5, 0),
        (7e5, 10000),
        (7e5, NAN),
    ],
)
def test_what_is_no_date_has_no_age(day: float, year: float) -> None:
    assert age_in_photo(day, year) is None
    assert age_in_photo(367, 1) == 0  # the first day of year 1


@pytest.mark.parametrize("part", ["imdb", "wiki"])
def test_folder_tar_and_zip_give_the_same_rows(tmp_path: Path, part: imdb_wiki.Part) -> None:
    for path in three_forms(tmp_path, archive(part)):
        told: list[str] = []
        pictures = list(imdb_wiki.read(path, part, tell=told.append))
        assert [row.image for row, _ in pictures] == KEPT
        assert [data.decode() for _, data in pictures] == KEPT
        assert [(row.subject, row.age, row.sex) for row, _ in pictures] == [
            ("Bob", 29, "male"),
            ("00/nameless.jpg", 100, None),
            ("Ada", 30, "female"),
        ]
        assert all(row.split == split_by_hash(row.subject) and row.group is None for row, _ in pictures)
        assert told == [
            f"{part}: 3 of 11 pictures kept; left out: 2 without a valid date, 3 without a clear face, "
            "1 with a second face, 2 with an age out of range"
        ]
    assert [row.image for row, _ in imdb_wiki.read(tmp_path / "unpacked" / f"{part}_crop", part)] == KEPT


def test_the_filters_can_be_widened_and_narrowed(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "imdb_crop.tar", archive())

    def images(**filters: Any) -> set[str]:
        return {row.image for row, _ in imdb_wiki.read(path, "imdb", filters=Filters(**filters))}

    assert images(second_face=True) == {*KEPT, "00/two.jpg"}
    assert images(face_score=-1e9) == {*KEPT, "00/low.jpg"}
    assert images(face_score=3.0) == {"01/b.jpg"}
    assert images(oldest=101) == {*KEPT, "00/old.jpg"}
    assert images(youngest=30, oldest=30) == {"01/b.jpg"}


def test_a_row_counts_for_the_first_filter_that_drops_it() -> None:
    one = np.array([1.0])
    bad = imdb_wiki.Table(one, one, one, -one, one, ["a.jpg"], [""])
    assert imdb_wiki.kept_rows(bad, Filters()) == ([], Counts(1, 0, 1, 0, 0, 0))


def test_missing_pictures_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    files = archive()
    del files["imdb_crop/00/a.jpg"], files["imdb_crop/01/b.jpg"], files["imdb_crop/00/old.jpg"]
    path = write_tar(tmp_path / "imdb_crop.tar", files)
    with pytest.raises(DatasetError, match=r"2 of the 3 pictures .* the first is imdb_crop/00/a\.jpg; fetch it again"):
        next(imdb_wiki.read(path, "imdb"))


def test_an_archive_without_the_table(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "imdb_crop.tar", archive("wiki"))
    with pytest.raises(DatasetError, match=r"no imdb\.mat in it; give imdb_crop\.tar"):
        next(imdb_wiki.read(path, "imdb"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"image,age\n",
        table()[:600],
        table("wiki"),
        table(dob=np.zeros((1, 3))),
        b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" * 20,
    ],
    ids=["empty", "text", "cut", "other struct", "lengths differ", "v7.3"],
)
def test_what_is_no_table(tmp_path: Path, data: bytes) -> None:
    folder = write_folder(tmp_path / "imdb_crop", {"imdb.mat": data})
    with pytest.raises(DatasetError, match=r"imdb\.mat is not a table of IMDB-WIKI .*struct imdb with dob") as caught:
        next(imdb_wiki.read(folder, "imdb"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "its reader crashed with status -11"),
        ("import os; os._exit(3)", "its reader crashed with status 3"),
        ("import time; time.sleep(60)", "not read in 1 seconds"),
        ("pass", "its answer is none"),
        ("print('PK')", "its answer is none"),
    ],
)
def test_a_table_that_crashes_its_reader_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, why: str
) -> None:
    (tmp_path / "reader.py").write_text(program)
    monkeypatch.setattr(mat_reader, "__file__", str(tmp_path / "reader.py"))
    monkeypatch.setattr(mat_tables, "MAX_SECONDS", 1 if "sleep" in program else 60)
    folder = write_folder(tmp_path / "imdb_crop", {"imdb.mat": table()})
    with pytest.raises(DatasetError, match=rf"imdb\.mat is not a table of IMDB-WIKI \({why}"):
        next(imdb_wiki.read(folder, "imdb"))


def test_mutated_tables_are_tables_or_errors() -> None:
    rng = np.random.default_rng(5)
    buffer = io.BytesIO()
    savemat(buffer, {"imdb": columns()})  # not packed: what is changed reaches the reader
    for _ in range(5):
        data = bytearray(buffer.getvalue())
        for _ in range(4):
            data[rng.integers(128, 600)] = rng.integers(0, 256)
        with contextlib.suppress(ValueError):
            assert set(mat_tables.read_columns(bytes(data), "imdb")) >= {"dob", "full_path"}


def test_a_table_whose_every_row_is_dropped(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "x", {"imdb.mat": table(face_score=np.full((1, len(PEOPLE)), -math.inf))})
    with pytest.raises(DatasetError, match=r"no row of imdb\.mat passes the filters"):
        next(imdb_wiki.read(folder, "imdb"))


def test_without_scipy_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tar(tmp_path / "imdb_crop.tar", archive())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"spiralage\[train\]"):
        next(imdb_wiki.read(path, "imdb"))
