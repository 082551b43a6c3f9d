"""The pictures in folders, in a fixed order; what can't be searched is said, nothing is left out in silence.

A file in a folder counts as a picture by its ending, or else by its first bytes: a JPEG without an ending, or
one called ``photo.dat``, is taken too. Pictures that can't be read (a camera's raw files, JPEG XL) are taken by
their ending, so that a row says so. Linked folders are followed; none is searched twice. What macOS puts beside a
file (``._photo.jpg``) is passed over.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from spiralage.errors import FolderError
from spiralage.image_io.formats import FORMATS, HEAD, format_of
from spiralage.image_io.photos import RAW_SUFFIXES

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".mpo"),
    *(".png", ".apng", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    *(".avif", ".avifs", ".heic", ".heif", ".heics", ".heifs", ".hif"),
)
"""Endings of pictures that can be read, in any case."""

UNREADABLE_SUFFIXES = (*RAW_SUFFIXES, ".jxl", ".jp2", ".j2k", ".psd")
"""Endings of pictures that can't."""

_WEAK = ("BMP", "PPM")
"""Formats whose first two letters may well be a text's."""


def list_pictures(paths: Sequence[Path]) -> Iterator[Path | FolderError]:
    """Every picture under the given files and folders, sorted within each folder.

    A file is taken as it is, whatever its name. A folder is searched with its subfolders. One without pictures
    and one that can't be searched come back as an error in their place, so that the rest of a batch goes on.
    """
    for path in paths:
        if not _is_folder(path):
            yield path
            continue
        found = _search(path)
        if found:
            yield from found
        else:
            yield FolderError(path, f"no pictures in this folder; looked for {', '.join(FORMATS)}")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # unreachable, a name too long, a NUL in it: reading it says what is wrong
        return False


def _search(top: Path) -> list[Path | FolderError]:
    """What is in a folder: first by its own subfolders, then by the linked ones that weren't met so."""
    found: dict[Path, FolderError | None] = {}
    seen: set[tuple[int, int]] = set()
    waiting: list[Path] = [top]
    linked: list[Path] = []
    while waiting or linked:
        folder = waiting.pop() if waiting else linked.pop(0)
        try:
            facts = folder.stat()
            if (facts.st_dev, facts.st_ino) in seen:
                continue
            seen.add((facts.st_dev, facts.st_ino))
            with os.scandir(folder) as entries:
                pictures, folders, links = _sorted_out(entries)
        except OSError as error:
            reason = f"can't be searched ({error.strerror or error}); check its permissions"
            found[folder] = FolderError(folder, reason)
            continue
        found |= dict.fromkeys(folder / name for name in pictures)
        waiting += [folder / name for name in folders]
        linked += [folder / name for name in sorted(links)]
    return [error or path for path, error in sorted(found.items(), key=lambda item: item[0])]


def _sorted_out(entries: Iterable[os.DirEntry[str]]) -> tuple[list[str], list[str], list[str]]:
    """The names of pictures, folders and linked folders."""
    pictures: list[str] = []
    folders: list[str] = []
    links: list[str] = []
    for entry in entries:
        if _is(entry.is_dir):
            (links if _is(entry.is_symlink) or _is_junction(entry) else folders).append(entry.name)
        elif not entry.name.startswith("._") and _is_picture(entry):
            pictures.append(entry.name)
    return pictures, folders, links


def _is(question: object) -> bool:
    """An entry's answer; one that can't be asked is no."""
    assert callable(question)
    try:
        return bool(question())
    except OSError:
        return False


def _is_junction(entry: os.DirEntry[str]) -> bool:
    return bool(getattr(entry, "is_junction", lambda: False)())


def _is_picture(entry: os.DirEntry[str]) -> bool:
    ending = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 — of a name, thousands of times
    if ending in SUFFIXES or ending in UNREADABLE_SUFFIXES:
        return True
    try:
        if not stat.S_ISREG(entry.stat().st_mode):
            return False
        with Path(entry.path).open("rb") as file:
            kind = format_of(file.read(HEAD))
    except OSError:
        return False
    return kind is not None and kind not in _WEAK
