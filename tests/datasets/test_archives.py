"""Folder, tar and zip are read alike; what is damaged or too large is refused by name."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packed import three_forms, write_tar, write_zip

from spiralage.datasets.archives import base_name, opened
from spiralage.errors import DatasetError

FILES = {"a/2.jpg": b"two", "b/1.JPG": b"one", "b/._1.JPG": b"fork", "b/table.csv": b"", "c/d/3.png": b"three"}


def test_three_forms_are_read_alike(tmp_path: Path) -> None:
    for path in three_forms(tmp_path, FILES):
        with opened(path) as archive:
            assert list(archive.sizes) == sorted(FILES)
            assert {name: archive.read(name) for name in archive.sizes} == FILES
            assert archive.named(".jpg") == ["b/1.JPG", "a/2.jpg"]  # by their own names; no hidden file
            assert archive.named(".jpg", ".png") == ["b/1.JPG", "a/2.jpg", "c/d/3.png"]


@pytest.mark.parametrize(("name", "last"), [("a/b/c.jpg", "c.jpg"), ("c.jpg", "c.jpg")])
def test_base_name(name: str, last: str) -> None:
    assert base_name(name) == last


def test_what_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    for path in three_forms(tmp_path, {"zeros.jpg": bytes(21 * 2**20), "fits.jpg": bytes(20 * 2**20)}):
        with opened(path) as archive:
            assert len(archive.read("fits.jpg")) == 20 * 2**20
            assert len(archive.read("zeros.jpg", 2**30)) == 21 * 2**20
            with pytest.raises(DatasetError, match=r"zeros\.jpg has 21 MB, over the limit of 20 MB; .* fetch it again"):
                archive.read("zeros.jpg")


def test_a_zip_that_lies_about_a_size_unpacks_no_more_than_it_says(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "bomb.zip", {"a.jpg": bytes(64 * 2**20)})
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 1000)  # the size in the directory
    path.write_bytes(data)
    tracemalloc.start()
    with opened(path) as archive, pytest.raises(DatasetError, match="not a readable zip"):
        archive.read("a.jpg")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20


@pytest.mark.parametrize("name", ["x.zip", "x.tar"])
def test_neither_archive_nor_folder(tmp_path: Path, name: str) -> None:
    kind = name[2:]
    for data in (b"", b"<html>Not found</html>" * 100):
        (tmp_path / name).write_bytes(data)
        with (
            pytest.raises(DatasetError, match=rf"{name}: not a readable {kind} archive .* fetch it again"),
            opened(tmp_path / name),
        ):
            pass
    (tmp_path / name).unlink()
    with pytest.raises(DatasetError, match="No such file"), opened(tmp_path / name):
        pass


def test_an_encrypted_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"a.jpg": b"data"})
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    path.write_bytes(data)
    with opened(path) as archive, pytest.raises(DatasetError, match="encrypted"):
        archive.read("a.jpg")


def test_a_mistake_in_the_readers_own_code_is_not_called_damage(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^mine$"), opened(write_zip(tmp_path / "x.zip", FILES)):
        raise ValueError("mine")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_archive_raises_nothing_but_dataset_errors(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damaged") / f"x.{kind}"
    (write_zip if kind == "zip" else write_tar)(path, FILES)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    message = ""
    try:
        with opened(path) as archive:
            for name in archive.sizes:
                archive.read(name)
    except DatasetError as error:
        message = str(error)
    assert "\n" not in message
