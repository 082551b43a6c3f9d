"""The files of a data set, in a folder, a tar or a zip, read one by one; nothing is unpacked to disk."""

from __future__ import annotations

import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from spiralage.errors import DatasetError

LARGEST = 20 * 2**20
"""Bytes that a picture may unpack to: twenty times what the largest of the known data sets has."""

MOST_FILES = 2_000_000
"""Four times what the largest of the known data sets has."""

MOST_UNPACKED = 200
"""How many times its own size an archive may unpack to, beyond ``_SPARE``. Pictures are packed already."""

_SPARE = 2**28
_LONGEST_HEADER = 2**20

# What damaged archives have been seen to raise; an encrypted zip is a RuntimeError.
_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class Archive:
    """An opened folder, tar or zip.

    Args:
        path: where it is, and ``kind``: what it is, for messages.
        sizes: name → unpacked bytes of every plain file, sorted by name; names are relative, with "/".
        fetch: reads the file of a name.
    """

    path: Path
    kind: str
    sizes: dict[str, int]
    fetch: Callable[[str], bytes]

    def named(self, *suffixes: str) -> list[str]:
        """The files with one of these endings, in whatever case, sorted by their own name.

        Hidden files are not among them: macOS puts a ``._001A02.JPG`` beside every picture it packs.
        """
        found = [name for name in self.sizes if name.lower().endswith(suffixes) and base_name(name)[0] != "."]
        return sorted(found, key=lambda name: (base_name(name), name))

    def read(self, name: str, most: int = LARGEST) -> bytes:
        """A file's bytes.

        Raises:
            DatasetError: it is larger than ``most``, or can't be read.
        """
        if self.sizes[name] > most:
            raise DatasetError(
                f"{self.path}: {name} has {self.sizes[name] / 2**20:.0f} MB, over the limit of {most / 2**20:.0f} MB; "
                "this is not the official file, fetch it again"
            )
        with _reading(self.path, self.kind):
            return self.fetch(name)


def base_name(name: str) -> str:
    """The last part of a name in an archive."""
    return name.rpartition("/")[2]


_Files: TypeAlias = tuple[dict[str, int], Callable[[str], bytes]]


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open a folder, a ``.zip``, or else a tar (packed or not).

    Raises:
        DatasetError: it is none of these, or is damaged; also when a damaged file is met later on.
    """
    if path.is_dir():
        kind, files = "folder", _folder
    elif path.exists() and not path.is_file():
        raise DatasetError(f"{path}: neither a folder nor a file; give an archive or its unpacked folder")
    elif path.suffix.lower() == ".zip":
        kind, files = "zip archive", _zip
    else:
        kind, files = "tar archive", _tar
    with ExitStack() as stack:
        with _reading(path, kind):
            sizes, fetch = stack.enter_context(files(path))
        yield Archive(path, kind, dict(sorted(sizes.items())), fetch)


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(":")
        raise DatasetError(f"{path}: not a readable {kind} ({reason}); fetch it again") from error


@contextmanager
def _folder(path: Path) -> Iterator[_Files]:
    sizes: dict[str, int] = {}
    waiting = [path]
    while waiting:  # not by os.walk, which calls itself for each level
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.is_file():
                    sizes[Path(entry.path).relative_to(path).as_posix()] = entry.stat().st_size
    yield sizes, lambda name: (path / name).read_bytes()


@contextmanager
def _zip(path: Path) -> Iterator[_Files]:
    with zipfile.ZipFile(path) as packed:
        members = {info.filename: info for info in packed.infolist() if _is_plain(info)}
        _check_totals(path, (info.file_size for info in members.values()))

        def fetch(name: str) -> bytes:
            info = members[name]
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # The others' decoders unpack all that they are given at once, however much it becomes.
                raise zipfile.BadZipFile(f"{name} is packed by method {info.compress_type}, not by deflate")
            # Asked for a number of bytes, zipfile unpacks no more, even if the member's size was a lie.
            with packed.open(info) as file:
                return file.read(info.file_size + 1)

        yield {name: info.file_size for name, info in members.items()}, fetch


def _is_plain(info: zipfile.ZipInfo) -> bool:
    """Neither a folder nor a link, which a zip made on Unix marks in its upper attributes."""
    return not info.is_dir() and not stat.S_ISLNK(info.external_attr >> 16)


_END_OF_TAR: tuple[type[Exception], ...] = tuple(
    getattr(tarfile, name) for name in ("EOFHeaderError", "EmptyHeaderError")
)


class _CheckedInfo(tarfile.TarInfo):
    """A tar's header that is refused where following it would never end, or fill the memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _CheckedInfo:
        """The header in a block of 512 bytes; raises ReadError where it is damaged or its size can't be.

        Of a damaged header behind the first, tarfile itself makes the archive's end.
        """
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if isinstance(error, _END_OF_TAR):
                raise
            raise tarfile.ReadError(f"a damaged header: {error}") from error
        if info.size < 0:
            raise tarfile.ReadError(f"{info.name} has the size {info.size}")
        if info.type in _DESCRIBING and info.size > _LONGEST_HEADER:  # read as a whole, into memory
            raise tarfile.ReadError(f"a header of {info.size} bytes")
        return info


_DESCRIBING = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)


@contextmanager
def _tar(path: Path) -> Iterator[_Files]:
    with tarfile.open(path, tarinfo=_CheckedInfo) as packed:
        members = {PurePosixPath(member.name).as_posix(): member for member in _members(path, packed)}

        def fetch(name: str) -> bytes:
            file = packed.extractfile(members[name])
            return b"" if file is None else file.read()

        yield {name: member.size for name, member in members.items()}, fetch


def _members(path: Path, packed: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The plain files of a tar, each header checked before the next is looked for."""
    most, at, count = _most_unpacked(path), -1, 0
    while (member := packed.next()) is not None:
        count += 1
        if member.size < 0 or packed.offset <= at:
            raise tarfile.ReadError(f"{member.name} leads back to where it came from")
        if count > MOST_FILES:
            raise tarfile.ReadError(f"over {MOST_FILES} files")
        if packed.offset > most:
            raise tarfile.ReadError(f"it unpacks to over {MOST_UNPACKED} times its size")
        at = packed.offset
        if member.isfile():
            yield member
        del packed.members[:-1]  # type: ignore[attr-defined]  # it would keep them all


def _most_unpacked(path: Path) -> int:
    return MOST_UNPACKED * path.stat().st_size + _SPARE


def _check_totals(path: Path, sizes: Iterable[int]) -> None:
    count = total = 0
    for size in sizes:
        count, total = count + 1, total + size
    if count > MOST_FILES:
        raise zipfile.BadZipFile(f"{count} files")
    if total > _most_unpacked(path):
        raise zipfile.BadZipFile(f"it unpacks to over {MOST_UNPACKED} times its size")
