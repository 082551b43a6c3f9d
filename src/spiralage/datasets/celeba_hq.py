"""CelebA-HQ (Karras et al. 2018): 30,000 faces without ages and names, for training restoration.

In one of these forms:

- a folder (or a zip or tar of it) of pictures, ``0.jpg`` … or ``000000.png`` …, at any depth; the split is
  by the hash of the number; a folder ``masks`` in it has no faces, but CelebAMask-HQ's classes of each picture, see
  ``classes_of``,
- a folder with lists as SpiralNet's authors use them, ``train.flist`` or ``train_1000.flist``, ``val…``,
  ``test…``; each is a split, and one that is missing is empty,
- one such list; if its name begins with none of the splits, the split is by hash.

A list has one path per line, absolute or relative to the list. The authors' lists have the absolute paths of
their own machine: where a path isn't there, the picture of that name in the list's folder is taken.

The *subject* is the file's stem, so a picture in two encodings is an error. Which numbers show one person
is not known. Row.age, sex and group are None.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from spiralage.datasets.archives import opened
from spiralage.datasets.face_classes import CLASSES_FOLDER, ReadClasses, classes_reader
from spiralage.datasets.manifest import SPLITS, Row, Split, split_by_hash
from spiralage.datasets.same_faces import subject_of
from spiralage.errors import DatasetError
from spiralage.types import Pixels

ARCHIVES = ("CelebA-HQ.zip", "celeba-hq.zip", "celeba_hq.zip", "CelebA-HQ-img.zip", "CelebA-HQ-1000.zip")
LISTS = tuple(f"{split}*.flist" for split in SPLITS)
"""Patterns of the lists' names, in the order of the splits."""
_LIST_SUFFIXES = (".flist", ".txt", ".lst")
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def read(path: Path) -> Iterator[tuple[Row, bytes]]:
    """Every picture as (row, encoded bytes), sorted by name; ``Row.image`` is its path, as the list has it.

    Raises:
        DatasetError: no pictures, a list that can't be read, a picture that is missing or comes twice.
    """
    lists = [path] if path.suffix.lower() in _LIST_SUFFIXES and path.is_file() else _lists_in(path)
    return _read_lists(lists) if lists else _read_pictures(path)


def _lists_in(path: Path) -> list[Path]:
    return [file for pattern in LISTS for file in sorted(path.glob(pattern)) if file.is_file()]


def _read_pictures(path: Path) -> Iterator[tuple[Row, bytes]]:
    with opened(path) as archive:
        names = [name for name in archive.named(*_SUFFIXES) if PurePosixPath(name).parent.name != CLASSES_FOLDER]
        if not names:
            raise DatasetError(f"{path}: no pictures and no {', '.join(LISTS)} in it; give CelebA-HQ's folder")
        _check_stems(path, names)
        for name in names:
            subject = subject_of("celeba-hq", name, PurePosixPath(name).stem)
            yield Row(name, subject, None, None, None, split_by_hash(subject)), archive.read(name)


@contextmanager
def opened_classes(path: Path) -> Iterator[ReadClasses | None]:
    """Reads what the pixels of a picture show, by the picture's name; None where the set doesn't say.

    Raises:
        DatasetError: as ``read``; what is read then raises it for a picture without classes, or with damaged ones.
    """
    if path.suffix.lower() in _LIST_SUFFIXES or _lists_in(path):
        yield None
        return
    with opened(path) as archive:
        yield classes_reader(archive)


def classes_of(path: Path) -> Iterator[tuple[str, Pixels]]:
    """Every picture's name, as ``read`` has it, and its classes, (256, 256) uint8, see ``FaceClass``; sorted by name.

    Raises:
        DatasetError: the set has no classes, or a picture lacks them, or they are damaged.
    """
    with opened_classes(path) as read_one:
        if read_one is None:
            raise DatasetError(f"{path}: no folder {CLASSES_FOLDER} with classes in it; give CelebA-HQ-1000.zip")
        for row, _ in _read_pictures(path):
            yield row.image, read_one(row.image)


@dataclass(frozen=True)
class _Listed:
    """A line of a list: the text, where it points to, and the split that the list stands for."""

    image: str
    file: Path
    split: Split


def _read_lists(lists: list[Path]) -> Iterator[tuple[Row, bytes]]:
    listed = sorted((item for file in lists for item in _listed(file)), key=lambda item: item.image)
    where = " and ".join(map(str, lists))
    if not listed:
        raise DatasetError(f"{where}: no path in it; give a list with one path per line")
    _check_stems(where, [item.image for item in listed])
    missing = [item for item in listed if not item.file.is_file()]
    if missing:
        raise DatasetError(
            f"{where}: {len(missing)} of the {len(listed)} listed pictures are missing, the first is "
            f"{missing[0].file}; mend the paths (a relative one starts at the list's folder)"
        )
    for item in listed:
        yield Row(item.image, item.file.stem, None, None, None, item.split), _bytes(item.file)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DatasetError(f"{file}: can't be read ({error.strerror}); check its permissions") from error


def _listed(file: Path) -> list[_Listed]:
    try:
        lines = _bytes(file).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DatasetError(f"{file}: not a text file in UTF-8; give a list with one path per line") from error
    images = [line.strip() for line in lines if line.strip()]
    split: Split | None = next((split for split in SPLITS if file.name.startswith(split)), None)
    return [_Listed(image, _where(file, image), split or split_by_hash(Path(image).stem)) for image in images]


def _where(file: Path, image: str) -> Path:
    """Where a listed picture is, or should be."""
    listed, beside = file.parent / image, file.parent / PurePosixPath(image).name
    return beside if beside.is_file() and not listed.is_file() else listed


def _check_stems(where: Path | str, names: list[str]) -> None:
    first: dict[str, str] = {}
    for name in names:
        stem = PurePosixPath(name).stem
        if stem in first:
            raise DatasetError(f"{where}: {first[stem]} and {name} are one picture, by their names; remove one")
        first[stem] = name
