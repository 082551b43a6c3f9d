"""A file, bytes or a stream → something that can be read, within limits.

Only regular files are opened: a pipe or a device could go on for ever. What reads a picture's header or
pixels does so through ``Guarded``, which ends the reading where it takes too long or goes in circles.
"""

from __future__ import annotations

import io
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from spiralage.errors import PhotoError

MAX_BYTES = 2**30
"""A larger file is refused; the largest pictures that can be read have 0.8 GB, uncompressed."""

MAX_STREAM_BYTES = 2**28
"""The same of what has no file: it is held in memory."""

MAX_SECONDS = 5.0
"""Processor time in which a file must be read, in seconds; 100 megapixels of PNG with alpha take 4."""

_SPARE_BYTES = 2**26
_LONGEST_NAME = 200


class TooMuchWorkError(OSError):
    """A file asks for more than a picture can need."""


class Guarded(io.RawIOBase):
    """A binary file that refuses to be read for too long, or much oftener than it has bytes.

    Decoders written in Python read in small pieces: a chunk, a segment, a run. Whatever a hostile file makes
    them do, they come by here.

    Args:
        file: what is read.
        size: its bytes.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self.size = size
        self._left = 4 * size + _SPARE_BYTES
        self._deadline = time.thread_time() + MAX_SECONDS

    def read(self, size: int | None = -1) -> bytes:
        """Up to this many bytes; all of them if it is negative."""
        data = self._file.read(-1 if size is None else size)
        self._left -= len(data)
        if self._left < 0 or time.thread_time() > self._deadline:
            raise TooMuchWorkError("it asks for more work than a picture can need")
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As a file's."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As a file's."""
        return self._file.tell()

    def fileno(self) -> int:
        """The handle of a file on disk, which libtiff reads from; OSError if there is none."""
        return self._file.fileno()

    def as_file(self) -> IO[bytes]:
        """Itself, as typed code that takes files knows it."""
        return cast(IO[bytes], self)

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True


def short(name: str) -> str:
    """A name as messages show it: a very long one without its middle."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:100]}…{name[-60:]}"


def reason(error: Exception) -> str:
    """What an error says, in one line of bounded length."""
    return (str(error) or type(error).__name__).splitlines()[0][:_LONGEST_NAME]


@contextmanager
def opened(path: Path, name: str) -> Iterator[tuple[IO[bytes], int]]:
    """A regular file and its size in bytes; nothing is read yet.

    Raises:
        PhotoError: it isn't there, isn't a regular file, is empty, too large, or can't be opened or read.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for somebody who writes to it.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        try:
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode):
                raise PhotoError(f"{name}: not a file; give a picture")
            check_size(facts.st_size, name)
            with open(handle, "rb", closefd=False) as file:
                yield file, facts.st_size
        finally:
            os.close(handle)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PhotoError(f"{name}: no such file; check the path") from error
    except OSError as error:  # no permission, a name too long, a disk that fails
        raise PhotoError(f"{name}: can't be read ({error.strerror or reason(error)}); check its permissions") from error
    except ValueError as error:  # a NUL in the name
        raise PhotoError(f"{name!r}: can't be read ({error}); check the path") from error


def check_size(size: int, name: str) -> None:
    """Raises PhotoError if a file of this many bytes can't be a picture."""
    if size == 0:
        raise PhotoError(f"{name}: the file is empty (0 bytes); copy it again")
    if size > MAX_BYTES:
        raise PhotoError(f"{name}: {size / 2**30:.1f} GB is over the limit of {MAX_BYTES >> 30} GB; scale it down")


def read_stream(stream: object, name: str) -> bytes:
    """All bytes of a binary file object, from its start if it can go there.

    Raises:
        PhotoError: closed, not opened as binary, empty, too large, or it fails.
    """
    read, seek = getattr(stream, "read", None), getattr(stream, "seek", None)
    if not callable(read):
        raise PhotoError(f"{name}: {type(stream).__name__} can't be read; give a file opened as binary")
    try:
        if seek is not None and getattr(stream, "seekable", lambda: True)():
            seek(0)
        data = _read_up_to(read, MAX_STREAM_BYTES + 1)
    except Exception as error:  # a stream is the user's: it may raise anything
        what = f"{type(error).__name__}: {reason(error)}"
        raise PhotoError(f"{name}: can't be read ({what}); give a file opened as binary") from error
    if data is None:
        raise PhotoError(f"{name}: gives no bytes; open it as binary (mode 'rb')")
    if len(data) > MAX_STREAM_BYTES:
        raise PhotoError(f"{name}: over {MAX_STREAM_BYTES >> 20} MB come from it; save it as a file and give its path")
    check_size(len(data), name)
    return data


def _read_up_to(read: Callable[[int], object], most: int) -> bytes | None:
    """At most so many bytes; None if what comes isn't bytes."""
    parts: list[bytes] = []
    while most > 0:
        part = read(min(most, 2**20))
        if not isinstance(part, bytes | bytearray | memoryview):
            return None
        if not part:
            break
        parts.append(bytes(part))
        most -= len(part)
    return b"".join(parts)
