"""How results get to disk: whole or not at all, or growing row by row; never over an input, never in a device's place.

Only regular files are replaced. A link is followed: what it points to is replaced, the link stays. What is
neither a file nor a folder (a device, a FIFO, /dev/stdout) is written to.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spiralage.errors import OutputError
from spiralage.text import file_bytes

_OWN_DESCRIPTORS = ("/dev/fd", "/proc/self/fd", f"/proc/{os.getpid()}/fd")
_MOST_LINKS = 40
_LONGEST_SUFFIX = 16
_PATIENCE = 1.0
"""So many seconds a pipe's reader may start later than we do."""
_checked_pipes: dict[tuple[int, int], int] = {}
"""Descriptors of FIFOs that were found to have a reader: who closes one ends what its reader reads."""


class _UnreadError(OSError):
    """A FIFO has no reader."""


@dataclass(frozen=True)
class _Place:
    """Where an output goes once links are followed.

    Args:
        path: the path at the links' end.
        beside: a new file can be made beside it and take its place; else it is written to as it is.
        mode: the permissions of the file that is there.
    """

    path: Path
    beside: bool
    mode: int | None = None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path; the file written there takes the place of ``path`` when the block ends well.

    After an error, or a kill, ``path`` is what it was before.

    Raises:
        OutputError: the folder can't be made or written.
    """
    with _output_errors(path), contextlib.ExitStack() as stack:
        place = _find_place(path)
        folder = place.path.parent if place.beside else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        temporary = _new_file(folder, path.suffix, place.mode)
        stack.callback(temporary.unlink, missing_ok=True)
        yield temporary
        _put(temporary, place)


class GrowingFile:
    """A file that holds every row from the moment it is written: neither an error nor a kill loses one.

    What was there before is replaced by an empty file at once.

    Raises:
        OutputError: here or in ``write``, when the file can't be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _output_errors(path):
            place = _find_place(path)
            if place.beside:
                write_bytes(path, b"")
                self._file = place.path.open("ab", buffering=0)
            else:
                self._file = os.fdopen(_open_as_it_is(place.path), "wb", buffering=0)

    def write(self, data: bytes) -> None:
        """Add ``data`` at the end; after an error the file is closed."""
        with _output_errors(self._path):
            left = memoryview(data)
            try:
                while left:
                    left = left[self._file.write(left) or 0 :]
            except OSError:
                self._file.close()
                raise

    def close(self) -> None:
        """Nothing more comes."""
        with _output_errors(self._path):
            self._file.close()


def check_writable(path: Path) -> None:
    """Find out before long work, not after it, that a result can't be written; raises OutputError.

    A FIFO with a reader stays open until it is written to.
    """
    with _output_errors(path):
        place = _find_place(path)
        if place.beside:
            _new_file(place.path.parent, path.suffix, place.mode).unlink()
        elif (pipe := _pipe(place.path)) is not None and pipe not in _checked_pipes:
            _checked_pipes[pipe] = _open_pipe(place.path)


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path] = (), *, overwrite: bool | None = None) -> None:
    """Find out before the work that results can't be written, or would be written over each other or over an input.

    An input is known by whatever path: another spelling, a symbolic or a hard link.

    Args:
        outputs: the files to write.
        inputs: what is read; files that aren't there count for nothing.
        overwrite: the user wants inputs overwritten; None where there is no such option.

    Raises:
        OutputError: names the path, and what to do.
    """
    known = {} if overwrite else {key: path for path in inputs if (key := _identity(path)) is not None}
    remedy = "" if overwrite is None else ", or add --overwrite"
    taken: dict[object, Path] = {}
    for path in outputs:
        check_writable(path)
        key = _identity(path)
        if key in known:
            raise OutputError(f"{path}: this is the input {known[key]}; name another file{remedy}")
        place = key or Path(os.path.realpath(path))
        if place in taken and not _is_special(path):
            raise OutputError(f"{path}: two results would go to the same file; give each a name of its own")
        taken[place] = path


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` as a whole; raises OutputError."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as a whole, UTF-8 with bare newlines; raises OutputError."""
    write_bytes(path, file_bytes(text))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in lower-case hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def _output_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except _UnreadError as error:
        raise OutputError(f"{path}: nobody reads this pipe; start its reader first") from error
    except OSError as error:
        raise OutputError(f"{path}: can't be written ({error.strerror or error}); choose another place") from error


def _find_place(path: Path) -> _Place:
    """Where an output goes; raises OSError where it can't, and OutputError where a folder is."""
    if _own_descriptor(path) is not None:
        return _Place(path, beside=False)
    target = Path(os.path.realpath(path))
    try:
        found = target.stat()
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        return _Place(target, beside=True)
    if stat.S_ISDIR(found.st_mode):
        raise OutputError(f"{path}: can't be written (it is a folder); name a file")
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    beside = stat.S_ISREG(found.st_mode) and os.access(target.parent, os.W_OK | os.X_OK)
    return _Place(target, beside, stat.S_IMODE(found.st_mode))


def _own_descriptor(path: Path) -> int | None:
    """The number of the process's own open file that a path such as /dev/stdout stands for."""
    for _ in range(_MOST_LINKS):
        if str(path.parent) in _OWN_DESCRIPTORS and path.name.isdecimal():
            return int(path.name)
        if not path.is_symlink():
            return None
        path = Path(os.path.normpath(path.parent / path.readlink()))
    return None


def _is_special(path: Path) -> bool:
    """Whether the path leads to something that is written to, such as a device."""
    return _own_descriptor(path) is not None or (path.exists() and not path.is_file())


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a regular file from all others, whatever it is called; None if there is none."""
    try:
        found = os.fstat(0) if str(path) == "-" else path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _new_file(folder: Path, suffix: str, mode: int | None) -> Path:
    """An empty file of a short name, with the permissions that ``open`` gives or those of the file it will replace."""
    suffix = suffix if len(os.fsencode(suffix)) <= _LONGEST_SUFFIX else ""
    path = folder / f".spiralage-{secrets.token_hex(6)}{suffix}"
    path.touch(exist_ok=False)
    if mode is not None:
        path.chmod(mode)
    return path


def _put(temporary: Path, place: _Place) -> None:
    """Move a finished file into its place."""
    if place.beside:
        try:
            temporary.replace(place.path)
            return
        except OSError as error:
            # A file that is mounted, as into a container, or another's in a shared folder, can only be written to.
            if error.errno not in (errno.EBUSY, errno.EPERM, errno.EACCES):
                raise
    with temporary.open("rb") as source, os.fdopen(_open_as_it_is(place.path), "wb") as sink:
        shutil.copyfileobj(source, sink)


def _open_as_it_is(path: Path) -> int:
    """A descriptor of what is there: a device, a FIFO, an open file of our own, a file in a folder that isn't ours."""
    own = _own_descriptor(path)
    if own is not None:
        return os.dup(own)
    pipe = _pipe(path)
    if pipe is not None:
        return _checked_pipes.pop(pipe) if pipe in _checked_pipes else _open_pipe(path)
    return os.open(path, os.O_WRONLY | os.O_TRUNC | getattr(os, "O_BINARY", 0))


def _pipe(path: Path) -> tuple[int, int] | None:
    """What tells a FIFO from all others; None for all else, and for an open file of our own."""
    if _own_descriptor(path) is not None:
        return None
    found = path.stat()
    return (found.st_dev, found.st_ino) if stat.S_ISFIFO(found.st_mode) else None


def _open_pipe(path: Path) -> int:
    """A FIFO's descriptor; where nobody reads it an ordinary ``open`` would wait for ever."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > until:
                raise _UnreadError from error
            time.sleep(0.02)
        else:
            os.set_blocking(descriptor, True)
            return descriptor
