from __future__ import annotations

import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from spiralage.errors import OutputError
from spiralage.files import (
    GrowingFile,
    check_outputs,
    check_writable,
    replacing,
    sha256_of,
    write_bytes,
    write_text,
)


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


def test_a_links_target_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    real, link, way = tmp_path / "a" / "real.csv", tmp_path / "link.csv", tmp_path / "way.csv"
    real.parent.mkdir()
    real.write_bytes(b"old")
    way.symlink_to("link.csv")
    link.symlink_to("a/real.csv")
    write_bytes(way, b"new")
    assert (way.is_symlink(), link.is_symlink(), real.read_bytes()) == (True, True, b"new")
    assert names_in(real.parent) == ["real.csv"]


def test_a_link_to_nothing_yet_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("new/real.csv")
    write_bytes(tmp_path / "link.csv", b"new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "new" / "real.csv").read_bytes() == b"new"


def test_other_names_of_a_replaced_file_keep_what_they_had(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"old")
    (tmp_path / "b.csv").hardlink_to(tmp_path / "a.csv")
    for write in (write_bytes, grow):
        write(tmp_path / "a.csv", b"new")
        assert (tmp_path / "a.csv").read_bytes() == b"new"
        assert (tmp_path / "b.csv").read_bytes() == b"old"


@pytest.mark.usefixtures("usual_umask")
def test_a_file_keeps_the_permissions_that_it_has(tmp_path: Path) -> None:
    path = tmp_path / "private.csv"
    path.write_bytes(b"old")
    path.chmod(0o600)
    write_bytes(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o600


def grow(path: Path, *parts: bytes) -> None:
    file = GrowingFile(path)
    for part in parts:
        file.write(part)
    file.close()


@pytest.mark.parametrize("how", ["whole", "growing"])
def test_a_fifo_is_written_to_and_stays(tmp_path: Path, how: str) -> None:
    path, read = tmp_path / "fifo", list[bytes]()
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    check_writable(path)  # doesn't close it: its reader would think that all is said
    check_writable(path)
    if how == "whole":
        write_bytes(path, b"one two")
    else:
        grow(path, b"one ", b"two")
    reader.join(timeout=10)
    assert read == [b"one two"]
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert names_in(tmp_path) == ["fifo"]


def test_a_fifo_that_nobody_reads_is_said(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    for write in (check_writable, GrowingFile, lambda path: write_bytes(path, b"new")):
        with pytest.raises(OutputError, match="fifo: nobody reads this pipe; start its reader first"):
            in_time(partial(write, path))
    assert names_in(tmp_path) == ["fifo"]


def in_time(work: Callable[[], object]) -> None:
    """Run what may wait for ever on a pipe."""

    def too_late(number: int, frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(5)
    try:
        work()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_fifos_reader_that_leaves_is_said(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    check_writable(path)
    os.close(reader)
    with pytest.raises(OutputError, match=r"fifo: can't be written \(Broken pipe"):
        write_bytes(path, b"new")


@pytest.mark.parametrize("how", ["whole", "growing"])
def test_a_device_is_written_to_and_stays(tmp_path: Path, how: str) -> None:
    path = tmp_path / "null"
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        path.write_bytes(b"")
    except OSError:
        pytest.skip("this user may not make a device")
    check_writable(path)
    write_bytes(path, b"new") if how == "whole" else grow(path, b"new")
    assert stat.S_ISCHR(path.lstat().st_mode)


@pytest.mark.parametrize("target", ["file", "pipe"])
@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_an_open_file_of_ours_is_written_to_after_what_is_there(tmp_path: Path, target: str, path: str) -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc here")
    (tmp_path / "link").symlink_to("/dev/stdout")
    code = (
        "from pathlib import Path; from spiralage.files import *; print('first', flush=True)\n"
        f"path = Path({str(tmp_path / 'link') if path == 'link' else path!r}); check_writable(path)\n"
        "file = GrowingFile(path); file.write(b'second\\n'); file.close()\n"
        "write_bytes(path, b'third\\n'); print('fourth')"
    )
    if target == "pipe":
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    else:
        with (tmp_path / "out").open("wb") as file:
            subprocess.run([sys.executable, "-c", code], stdout=file, check=True)
        out = (tmp_path / "out").read_bytes()
    assert out == b"first\nsecond\nthird\nfourth\n"


def test_a_growing_file_has_every_row_at_once_and_nothing_old(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.csv"
    for first in (b"1\n", b"one\n"):
        file = GrowingFile(path)
        assert path.read_bytes() == b""
        file.write(first)
        assert path.read_bytes() == first
        file.write(b"2\n")
        assert path.read_bytes() == first + b"2\n"
        file.close()
    assert names_in(path.parent) == ["rows.csv"]


def test_a_growing_file_that_can_not_grow_says_so(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    file = GrowingFile(Path("/dev/full"))
    with pytest.raises(OutputError, match=r"/dev/full: can't be written \(No space left"):
        file.write(b"row\n")
    file.close()


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, f"x.{'s' * 253}", "x" * 251 + ".csv"])
def test_the_longest_names_are_taken(tmp_path: Path, name: str) -> None:
    check_writable(tmp_path / name)
    write_bytes(tmp_path / name, b"new")
    assert names_in(tmp_path) == [name]


@pytest.mark.parametrize("name", ["x" * 256, "é" * 128, "folder" * 50 + "/x.csv"])
def test_a_name_that_is_too_long_is_an_output_error(tmp_path: Path, name: str) -> None:
    for write in (check_writable, GrowingFile, lambda path: write_bytes(path, b"new")):
        with pytest.raises(OutputError, match="File name too long"):
            write(tmp_path / name)
    assert names_in(tmp_path) == []


def test_a_file_that_can_not_be_replaced_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mounted.csv"
    path.write_bytes(b"something old and long")

    def busy(self: Path, target: Path) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(Path, "replace", busy)
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert names_in(tmp_path) == ["mounted.csv"]


def test_a_file_in_a_folder_that_is_not_ours_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, access = tmp_path / "ours.csv", os.access
    path.write_bytes(b"something old and long")
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != tmp_path and access(place, mode))
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    grow(path, b"new", b"er")
    assert path.read_bytes() == b"newer"
    assert names_in(tmp_path) == ["ours.csv"]


def test_a_protected_file_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "protected.csv"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda place, mode: False)  # root may write to any
    with pytest.raises(OutputError, match=r"protected\.csv: can't be written \(Permission denied\)"):
        check_writable(path)


@pytest.mark.parametrize("how", ["itself", "another spelling", "link", "hard link", "linked folder"])
def test_an_input_is_known_by_whatever_path(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = tmp_path / "photos" / "a.jpg"
    photo.parent.mkdir()
    photo.write_bytes(b"photo")
    (tmp_path / "link.csv").symlink_to(photo)
    (tmp_path / "hard.csv").hardlink_to(photo)
    (tmp_path / "linked").symlink_to("photos")
    monkeypatch.chdir(tmp_path)
    output = {
        "itself": photo,
        "another spelling": Path("photos/../photos/./a.jpg"),
        "link": Path("link.csv"),
        "hard link": Path("hard.csv"),
        "linked folder": Path("linked/a.jpg"),
    }[how]
    with pytest.raises(OutputError, match=r"this is the input .*a\.jpg; name another file, or add --overwrite"):
        check_outputs([Path("other.csv"), output], [Path("missing.jpg"), photo], overwrite=False)
    with pytest.raises(OutputError, match=r"name another file$"):
        check_outputs([output], [photo])
    check_outputs([output], [photo], overwrite=True)
    check_outputs([Path("other.csv")], [photo])


def test_standard_input_is_an_input_too(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"photo")
    code = "from pathlib import Path; from spiralage.files import *; check_outputs([Path('a.jpg')], [Path('-')])"
    with (tmp_path / "a.jpg").open("rb") as file:
        done = subprocess.run([sys.executable, "-c", code], stdin=file, cwd=tmp_path, capture_output=True, check=False)
    assert b"a.jpg: this is the input -" in done.stderr


def test_two_results_do_not_share_a_file_unless_it_is_a_device(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("new.csv")
    with pytest.raises(OutputError, match="two results would go to the same file"):
        check_outputs([tmp_path / "link", tmp_path / "new.csv"])
    check_outputs([Path(os.devnull), Path(os.devnull), tmp_path / "a.csv", tmp_path / "b.csv"])


@pytest.mark.parametrize("bad", ["folder", "file/x.csv"])
def test_what_can_not_be_written_is_said_beforehand(tmp_path: Path, bad: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="can't be written"):
        check_outputs([tmp_path / "good.csv", tmp_path / bad])
    assert names_in(tmp_path) == ["file", "folder"]
