"""Folder, tar and zip are read alike; what is damaged or too large is refused by name."""

from __future__ import annotations

import contextlib
import gzip
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packed import three_forms, write_tar, write_zip

from spiralage.datasets import archives
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


def tar_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar's header with any size, even one that tarfile doesn't write."""
    info = tarfile.TarInfo(name)
    info.type = kind
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"%011o\0" % size if 0 <= size < 8**11 else (size % 2**96).to_bytes(12, "big")
    if size < 0 or size >= 8**11:
        header[124] = 0xFF if size < 0 else 0x80
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


FIRST = tar_header("1.jpg", 3) + b"one".ljust(512, b"\0")
END = bytes(1024)


def pax(key: bytes, value: bytes) -> bytes:
    record = b" " + key + b"=" + value + b"\n"
    length = len(record) + 2
    record = b"%d" % length + record
    return tar_header("pax", len(record), tarfile.XHDTYPE) + record.ljust(512, b"\0")


HOSTILE_TARS = {
    "a negative size": FIRST + tar_header("2.jpg", -512) + END,
    "a negative size first": tar_header("1.jpg", -512) + END,
    "a negative size of a long name": FIRST + tar_header("2.jpg", -512, tarfile.GNUTYPE_LONGNAME) + END,
    "a negative size by an attribute": FIRST + pax(b"size", b"-1024") + tar_header("2.jpg", 0) + END,
    "a negative size of a sparse file": FIRST + pax(b"GNU.sparse.size", b"-5") + tar_header("2.jpg", 0) + END,
    "a long name of 2 GB": FIRST + tar_header("2.jpg", 2**31, tarfile.GNUTYPE_LONGNAME) + END,
    "attributes of 2 GB": FIRST + tar_header("2.jpg", 2**31, tarfile.XHDTYPE) + END,
    "a file of 8 EB": FIRST + tar_header("2.jpg", 2**62) + END,
    "a damaged second header": FIRST + b"garbage".ljust(512, b"x") + END,
    "a second header cut short": FIRST + tar_header("2.jpg", 3)[:300],
    "long names of long names": FIRST + tar_header("2", 0, tarfile.GNUTYPE_LONGNAME) * 3000 + END,
}


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("why", HOSTILE_TARS)
def test_a_hostile_tar_is_an_error_and_soon(tmp_path: Path, why: str, packed: str) -> None:
    path = tmp_path / f"x.tar{packed}"
    path.write_bytes(gzip.compress(HOSTILE_TARS[why]) if packed else HOSTILE_TARS[why])
    tracemalloc.start()
    with pytest.raises(DatasetError, match="not a readable tar archive") as caught, opened(path):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20
    assert "\n" not in str(caught.value)


def test_a_tar_without_the_two_blocks_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(FIRST)
    with opened(tmp_path / "x.tar") as archive:
        assert archive.read("1.jpg") == b"one"


def test_links_and_devices_in_a_tar_are_no_files(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as packed:
        for kind in (tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo("link.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            packed.addfile(info)
    with opened(tmp_path / "x.tar") as archive:
        assert archive.sizes == {}


def test_links_in_a_zip_are_no_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(link, "/etc/passwd")
        packed.writestr("1.jpg", "one")
    with opened(tmp_path / "x.zip") as archive:
        assert list(archive.sizes) == ["1.jpg"]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_what_unpacks_to_far_more_than_pictures_do(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_SPARE", 2**20)
    write = write_zip if kind == "zip" else write_tar
    bomb = write(tmp_path / f"x.{kind}", {f"{n}.jpg": bytes(2**20) for n in range(8)})
    with pytest.raises(DatasetError, match="it unpacks to over 200 times its size"), opened(bomb):
        pass


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_too_many_files(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_FILES", 5)
    write = write_zip if kind == "zip" else write_tar
    path = write(tmp_path / f"x.{kind}", {f"{n}.jpg": b"" for n in range(6)})
    with pytest.raises(DatasetError, match=r"not a readable .* \((over )?[56] files\)"), opened(path):
        pass


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_whose_decoder_knows_no_limit(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", method) as packed:
        packed.writestr("1.jpg", bytes(10**6))
    with opened(tmp_path / "x.zip") as archive, pytest.raises(DatasetError, match="is packed by method"):
        archive.read("1.jpg")


def test_a_device_is_no_archive() -> None:
    with pytest.raises(DatasetError, match="/dev/zero: neither a folder nor a file"), opened(Path("/dev/zero")):
        pass


def test_a_deep_folder(tmp_path: Path) -> None:
    here = tmp_path
    try:
        for _ in range(1100):
            here = here / "d"
            here.mkdir()
        (here / "1.jpg").write_bytes(b"one")
        with opened(tmp_path) as archive:
            assert [archive.read(name) for name in archive.sizes] == [b"one"]
    finally:  # pytest's own tidying up doesn't reach so deep
        (here / "1.jpg").unlink(missing_ok=True)
        while here != tmp_path:
            with contextlib.suppress(FileNotFoundError):
                here.rmdir()
            here = here.parent


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
