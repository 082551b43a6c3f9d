from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from spiralage.errors import OutputError
from spiralage.files import replacing, sha256_of, write_bytes, write_text


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_what_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folders" / "result.bin"
    write_bytes(path, b"\x00\xff\r\n")
    assert path.read_bytes() == b"\x00\xff\r\n"
    assert names_in(path.parent) == ["result.bin"]


def test_text_is_utf8_with_bare_newlines(tmp_path: Path) -> None:
    write_text(tmp_path / "table.csv", "é,1\n")
    assert (tmp_path / "table.csv").read_bytes() == b"\xc3\xa9,1\n"


def test_text_may_name_a_file_whose_name_is_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    write_text(tmp_path / "table.csv", f"image,age\n{name},31\n")
    written = (tmp_path / "table.csv").read_bytes()
    assert written.startswith(b"image,age\ncaf")
    assert written.endswith(b".jpg,31\n")


def test_the_block_writes_beside_the_path_with_its_suffix(tmp_path: Path) -> None:
    path = tmp_path / "crops.npz"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".npz"
        assert temporary != path
        temporary.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"


class _StopError(Exception):
    pass


@pytest.mark.parametrize("old", [b"old", None])
def test_an_error_in_the_block_leaves_what_was_there(tmp_path: Path, old: bytes | None) -> None:
    path = tmp_path / "result.bin"
    if old is not None:
        path.write_bytes(old)

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half of the n")
            raise _StopError

    with pytest.raises(_StopError):
        write_half()
    assert (path.read_bytes() if path.exists() else None) == old
    assert names_in(tmp_path) == (["result.bin"] if old else [])


def test_a_full_disk_is_an_output_error(tmp_path: Path) -> None:
    path = tmp_path / "result.bin"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match=r"result\.bin: can't be written \(No space left"), replacing(path):
        raise OSError(28, "No space left on device")
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["result.bin"]


def test_a_place_under_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="choose another place"):
        write_bytes(tmp_path / "file" / "result.bin", b"new")
    with pytest.raises(OutputError, match="choose another place"):
        write_bytes(tmp_path / "file" / "deeper" / "result.bin", b"new")


def test_a_folder_in_the_way_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "result.bin").mkdir()
    with pytest.raises(OutputError, match=r"result\.bin: can't be written"):
        write_bytes(tmp_path / "result.bin", b"new")
    assert names_in(tmp_path) == ["result.bin"]


@pytest.mark.usefixtures("usual_umask")
def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    write_bytes(tmp_path / "result.bin", b"new")
    assert (tmp_path / "result.bin").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_sha256_of_a_file(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "file").write_bytes(data[:size])
    assert sha256_of(tmp_path / "file") == hashlib.sha256(data[:size]).hexdigest()
