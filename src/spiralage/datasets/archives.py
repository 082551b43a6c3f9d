"""The files of a data set, in a folder, a tar or a zip, read one by one; nothing is unpacked to disk."""

from __future__ import annotations

import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from spiralage.errors import DatasetError

LARGEST = 20 * 2**20
"""Bytes that a picture may unpack to: twenty times what the largest of the known data sets has."""

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
    def fail(error: OSError) -> None:
        raise error

    files = (Path(folder) / file for folder, _, files in os.walk(path, onerror=fail) for file in files)
    sizes = {file.relative_to(path).as_posix(): file.stat().st_size for file in files if file.is_file()}
    yield sizes, lambda name: (path / name).read_bytes()


@contextmanager
def _zip(path: Path) -> Iterator[_Files]:
    with zipfile.ZipFile(path) as packed:
        members = {info.filename: info for info in packed.infolist() if not info.is_dir()}

        def fetch(name: str) -> bytes:
            # Asked for a number of bytes, zipfile unpacks no more, even if the member's size was a lie.
            with packed.open(members[name]) as file:
                return file.read(members[name].file_size + 1)

        yield {name: info.file_size for name, info in members.items()}, fetch


@contextmanager
def _tar(path: Path) -> Iterator[_Files]:
    with tarfile.open(path) as packed:
        members = {PurePosixPath(m.name).as_posix(): m for m in packed.getmembers() if m.isfile()}

        def fetch(name: str) -> bytes:
            file = packed.extractfile(members[name])
            return b"" if file is None else file.read()

        yield {name: member.size for name, member in members.items()}, fetch
