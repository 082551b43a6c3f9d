"""Files that are either whole or not there: write beside, then rename."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from spiralage.errors import OutputError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and rename it to ``path`` when the block ends well.

    After an error, or a kill, ``path`` is what it was before.

    Raises:
        OutputError: the folder can't be made or written.
    """
    temporary = _temporary_beside(path)
    try:
        yield temporary
        _take_default_mode(temporary)
        temporary.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Find out before long work, not after it, that a result can't be written; raises OutputError."""
    _temporary_beside(path).unlink()


def _temporary_beside(path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    os.close(handle)
    return Path(name)


def printable(name: str) -> str:
    """A file name as text that any terminal takes; bytes that aren't UTF-8 become replacement marks."""
    return os.fsencode(name).decode("utf-8", errors="replace")


def _take_default_mode(path: Path) -> None:
    """Give the file the mode that ``open`` would have given it; mkstemp's is 0600."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: can't be written ({error.strerror or error}); choose another place")


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` as a whole; raises OutputError."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as a whole, UTF-8 with bare newlines; raises OutputError."""
    write_bytes(path, text.encode(errors="surrogateescape"))  # file names need not be UTF-8


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in lower-case hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
