"""Every data set that can be read, by name. Importing this loads neither PyTorch nor SciPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

from spiralage.datasets import aaf, celeba_hq, clap2016, fgnet, folder, imdb_wiki, maskedface, utkface
from spiralage.datasets.face_classes import ReadClasses
from spiralage.datasets.manifest import Row, find_archive
from spiralage.datasets.same_faces import without_tested

DatasetName: TypeAlias = Literal[
    "utkface", "aaf", "fgnet", "imdb", "wiki", "clap2016", "celeba-hq", "folder", "maskedface"
]

Tell: TypeAlias = Callable[[str], None]
"""Takes a line that says what a reader leaves out, and why."""

Reader: TypeAlias = Callable[[Path, Tell], Iterator[tuple[Row, bytes]]]


@dataclass(frozen=True)
class Source:
    """Where a data set is found and how it is read.

    Args:
        archives: what its archive may be called; the unpacked folder is called so without the ending.
        marks: patterns of files by which an unpacked folder of another name is known.
        read: (row, encoded bytes) of every picture, in a fixed order.
        read_part: the same of a part of the data set, where ``read`` asks for all of it.
        classes: reads what the pixels of a picture show, where the set may say so.
    """

    archives: tuple[str, ...]
    marks: tuple[str, ...]
    read: Reader
    read_part: Reader | None = None
    classes: Callable[[Path], AbstractContextManager[ReadClasses | None]] = lambda path: nullcontext()

    def find(self, data: Path | None) -> Path:
        """The archive or folder; see ``find_archive``."""
        return find_archive(data, *self.archives, marks=self.marks)


def _read_utkface(path: Path, tell: Tell) -> Iterator[tuple[Row, bytes]]:
    left_out = utkface.malformed(path)
    if left_out:
        tell(f"left out, no age in the name: {', '.join(left_out)}")
    yield from without_tested(utkface.read(path))


def _read_imdb_wiki(path: Path, tell: Tell, *, part: imdb_wiki.Part) -> Iterator[tuple[Row, bytes]]:
    return imdb_wiki.read(path, part, tell=tell)


def _read_fgnet(path: Path, tell: Tell, *, complete: bool) -> Iterator[tuple[Row, bytes]]:
    return fgnet.read(path, complete=complete)


def _imdb_wiki(part: imdb_wiki.Part) -> Source:
    return Source((imdb_wiki.ARCHIVES[part],), (f"{part}.mat",), partial(_read_imdb_wiki, part=part))


SOURCES: dict[DatasetName, Source] = {
    "utkface": Source((utkface.ARCHIVE,), ("*.chip.jpg",), _read_utkface),
    "aaf": Source((aaf.ARCHIVE,), ("[0-9][0-9][0-9][0-9][0-9]A*",), lambda path, tell: without_tested(aaf.read(path))),
    "fgnet": Source(
        (fgnet.ARCHIVE,),
        ("[0-9][0-9][0-9][Aa][0-9]*", "images/[0-9][0-9][0-9][Aa][0-9]*"),
        partial(_read_fgnet, complete=True),
        partial(_read_fgnet, complete=False),
    ),
    "imdb": _imdb_wiki("imdb"),
    "wiki": _imdb_wiki("wiki"),
    "clap2016": Source(
        clap2016.ARCHIVES,
        tuple(name for split in clap2016.FOLDERS for name in clap2016.list_names(split)),
        lambda path, tell: clap2016.read(path),
    ),
    "celeba-hq": Source(
        celeba_hq.ARCHIVES,
        (*celeba_hq.LISTS, "*.jpg", "*.png"),
        lambda path, tell: without_tested(celeba_hq.read(path)),
        classes=celeba_hq.opened_classes,
    ),
    "folder": Source((), (), lambda path, tell: folder.read(path)),
    "maskedface": Source(
        maskedface.ARCHIVES,
        maskedface.MARKS,
        lambda path, tell: maskedface.read(path),
        classes=maskedface.opened_classes,
    ),
}
