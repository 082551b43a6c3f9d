"""What a folder's listing holds, and what it says of what it can't search."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pictures import encoded, noise

from spiralage.errors import FolderError
from spiralage.image_io import list_pictures
from spiralage.image_io.folders import SUFFIXES


def test_pictures_are_listed_in_a_fixed_order(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "notes.txt", "sub/c.webp", "sub/deep/d.Tiff", "c.jpeg", "no_suffix"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    found = ["a.PNG", "b.jpg", "c.jpeg", "sub/c.webp", "sub/deep/d.Tiff"]
    assert list(list_pictures([tmp_path])) == [tmp_path / name for name in found]
    # The order of what was asked for stays; a file is taken whatever its name, even if it isn't there.
    asked = [tmp_path / "sub", tmp_path / "notes.txt", tmp_path / "missing.jpg", tmp_path / "b.jpg"]
    assert list(list_pictures(asked)) == [tmp_path / "sub/c.webp", tmp_path / "sub/deep/d.Tiff", *asked[1:]]


def test_a_folder_without_pictures_is_an_error_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "notes.txt").touch()
    (tmp_path / "photo.jpg").touch()
    first, second, third = list_pictures([tmp_path / "empty", tmp_path / "photo.jpg", tmp_path / "text"])
    assert isinstance(first, FolderError)
    assert str(first).startswith(f"{tmp_path / 'empty'}: no pictures in this folder")
    assert second == tmp_path / "photo.jpg"
    assert isinstance(third, FolderError)
    assert list(list_pictures([])) == []


@pytest.mark.parametrize("suffix", [".jpe", ".jfif", ".jfi", ".MPO", ".avif", ".heic", ".HEIF", ".pbm", ".apng"])
def test_all_endings_of_pictures_are_taken(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").touch()
    assert list(list_pictures([tmp_path])) == [tmp_path / f"a{suffix}"]
    assert suffix.lower() in SUFFIXES


def test_a_picture_is_known_by_its_first_bytes_too(tmp_path: Path) -> None:
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "AVIF", "BMP", "PPM"):
        (tmp_path / f"{kind}.dat").write_bytes(encoded(noise(16), kind))
    (tmp_path / "no_ending").write_bytes(encoded(noise(8), "JPEG"))
    (tmp_path / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(60))
    (tmp_path / "letter.txt").write_text("BM and P3 are no pictures")
    weak = {"BMP.dat", "PPM.dat"}
    names = {path.name for path in list_pictures([tmp_path]) if isinstance(path, Path)}
    assert names == {f"{kind}.dat" for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "AVIF")} | {"no_ending"}
    assert not names & weak


def test_pictures_that_cannot_be_read_are_not_left_out_in_silence(tmp_path: Path) -> None:
    for name in ("a.cr2", "b.jxl", "c.DNG"):
        (tmp_path / name).touch()
    assert [path.name for path in list_pictures([tmp_path]) if isinstance(path, Path)] == ["a.cr2", "b.jxl", "c.DNG"]


def test_what_systems_leave_in_folders_is_passed_over(tmp_path: Path) -> None:
    for name in ("._photo.jpg", ".DS_Store", "Thumbs.db", "desktop.ini", "photo.jpg"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    assert list(list_pictures([tmp_path])) == [tmp_path / "photo.jpg"]


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "trip" / "day").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for name in ("trip/a.jpg", "trip/day/b.jpg", "elsewhere/c.jpg"):
        (tmp_path / name).touch()
    trip = tmp_path / "trip"
    (trip / "a loop").symlink_to(trip)
    (trip / "day" / "up").symlink_to("..")
    (trip / "a day").symlink_to("day")
    (trip / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(trip)
    (trip / "z.jpg").symlink_to(tmp_path / "elsewhere" / "c.jpg")
    assert list(list_pictures([trip])) == [trip / name for name in ("a.jpg", "day/b.jpg", "linked/c.jpg", "z.jpg")]


def test_many_links_to_and_fro_end(tmp_path: Path) -> None:
    for one in range(8):
        (tmp_path / str(one)).mkdir()
        (tmp_path / str(one) / "a.jpg").touch()
        for other in range(8):
            (tmp_path / str(one) / f"to{other}").symlink_to(tmp_path / str(other))
    assert len(list(list_pictures([tmp_path]))) == 8


def test_a_folder_that_cannot_be_searched_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").mkdir()
    for name in ("a.jpg", "z.jpg"):
        (tmp_path / name).touch()
    scan = os.scandir

    def refuse(path: Path) -> object:
        if path.name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    first, second, third = list_pictures([tmp_path])
    assert (first, third) == (tmp_path / "a.jpg", tmp_path / "z.jpg")
    assert isinstance(second, FolderError)
    assert str(second) == f"{tmp_path / 'secret'}: can't be searched (Permission denied); check its permissions"
    (only,) = list_pictures([tmp_path / "secret"])
    assert isinstance(only, FolderError)


@contextlib.contextmanager
def folders_in_folders(top: Path, depth: int) -> Iterator[None]:
    """Deeper than a path may be long; taken away again, which not every tidying up can do."""
    here = Path.cwd()
    made = 0
    try:
        os.chdir(top)
        for _ in range(depth):
            Path("folder").mkdir()
            made += 1
            os.chdir("folder")
        os.chdir(here)
        yield
    finally:
        os.chdir(top)
        for _ in range(made):
            os.chdir("folder")
        for _ in range(made):
            os.chdir("..")
            Path("folder").rmdir()
        os.chdir(here)


def test_a_folder_1500_deep(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with folders_in_folders(tmp_path, 1500):
        error, photo = list_pictures([tmp_path])
    assert photo == tmp_path / "photo.jpg"
    assert isinstance(error, FolderError)
    assert "can't be searched (File name too long)" in str(error)


@pytest.mark.parametrize("name", ["x" * 300, "nul\0byte", "a\rb.jpg", "\udcff.jpg", "missing"])
def test_a_path_that_cannot_be_is_left_to_the_reading(tmp_path: Path, name: str) -> None:
    assert list(list_pictures([tmp_path / name])) == [tmp_path / name]


@pytest.mark.parametrize("name", ["a\rb.jpg", "\udcff.jpg", "new\nline.jpg"])
def test_odd_names_in_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert list(list_pictures([tmp_path])) == [tmp_path / name]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_named_like_a_picture_is_listed_and_an_unnamed_one_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe")
    assert list(list_pictures([tmp_path])) == [tmp_path / "pipe.jpg"]
