"""Making aligned crops: find, align and pack the faces of a data set.

Each file is written beside and renamed, a shard's table last, so a build killed half-way goes on at the first shard
that lacks its table.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from spiralage.datasets.crops import COLUMNS, FALLBACK, SHARD_SIZE
from spiralage.datasets.face_classes import ReadClasses, aligned_classes
from spiralage.datasets.manifest import Row
from spiralage.datasets.shards import pack_inside, pack_landmarks, read_table, save_array, table_text
from spiralage.errors import DatasetError, PhotoError
from spiralage.faces.align import align
from spiralage.faces.find import FaceFinder
from spiralage.files import write_text
from spiralage.image_io import load_photo
from spiralage.types import AlignedFace, Box, Face, Photo, Pixels

_LEFT_OUT_COLUMNS = ["image", "reason"]


@dataclass(frozen=True)
class LeftOut:
    """A picture that isn't among the crops, and why."""

    image: str
    reason: str


def build_crops(
    pictures: Iterable[tuple[Row, bytes]],
    folder: Path,
    finder: FaceFinder,
    *,
    data: str,
    classes: ReadClasses | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> list[LeftOut]:
    """Align every picture of a data set and write the shards that are still missing.

    A picture without a found face is cut from its middle and flagged ``found_by = fallback``, never
    dropped. One that can't be decoded is left out and written down in ``left-out.csv``.

    Args:
        pictures: (row, encoded bytes), in the order that the crops will have.
        folder: where the shards go.
        finder: finds the faces.
        data: the data set's name.
        classes: reads what the pixels of a picture show; it is aligned and kept, too.
        progress: told the number of pictures done so far.

    Returns:
        The pictures that were left out.

    Raises:
        DatasetError: no picture can be decoded, or the folder has crops of other pictures; or a picture's classes
            can't be read.
    """
    build = _Build(folder, finder, data, classes)
    waiting = iter(pictures)
    for number in itertools.count():
        if build.table_path(number).exists():
            build.pass_shard(number, waiting)
        elif not build.write_shard(number, waiting):
            break
        progress(build.crops + len(build.left_out))
    build.finish(number)
    return build.left_out


class _Build:
    """The shards of a build, in order; ``crops`` and ``left_out`` are what it has met so far."""

    def __init__(self, folder: Path, finder: FaceFinder, data: str, classes: ReadClasses | None) -> None:
        self.folder, self.finder, self.data, self.classes = folder, finder, data, classes
        self.crops = 0
        self.left_out: list[LeftOut] = []
        self._short = False  # a shard with fewer pictures can only be the last
        self._known = {
            record["image"]: record["reason"] for record in read_table(self._left_out_path, _LEFT_OUT_COLUMNS)
        }

    def table_path(self, number: int) -> Path:
        return self.folder / f"shard-{number:04}.csv"

    @property
    def _left_out_path(self) -> Path:
        return self.folder / "left-out.csv"

    def pass_shard(self, number: int, waiting: Iterator[tuple[Row, bytes]]) -> None:
        """Take a finished shard's pictures, and those left out between them, without decoding them."""
        images = [record["image"] for record in read_table(self.table_path(number), COLUMNS)]
        for image in images:
            for row, _ in waiting:
                if row.image == image:
                    break
                if row.image not in self._known:
                    raise self._of_other_pictures(number)
                self.left_out.append(LeftOut(row.image, self._known[row.image]))
            else:
                raise self._of_other_pictures(number)
        self._count(number, len(images))

    def write_shard(self, number: int, waiting: Iterator[tuple[Row, bytes]]) -> bool:
        """Decode and align until a shard is full or nothing is left; False if it would be empty."""
        crops: list[AlignedFace] = []
        records: list[dict[str, object]] = []
        shown: list[Pixels] = []
        while len(records) < SHARD_SIZE and (item := next(waiting, None)) is not None:
            row, data = item
            try:
                photo = load_photo(data, name=row.image)
                aligned, found_by = align_most_prominent(photo, self.finder)
            except PhotoError as error:
                self.left_out.append(LeftOut(row.image, str(error).removeprefix(f"{row.image}: ")))
                continue
            if self.classes is not None:
                shown.append(aligned_classes(self.classes(row.image), photo.size, aligned))
            crops.append(aligned)
            records.append({**asdict(row), "found_by": found_by})
        if not records:
            return False
        self._count(number, len(records))
        save_array(self.folder / f"shard-{number:04}.npy", np.stack([crop.pixels for crop in crops]))
        packed = np.stack([pack_landmarks(crop.landmarks) for crop in crops])
        save_array(self.folder / f"landmarks-{number:04}.npy", packed)
        save_array(self.folder / f"inside-{number:04}.npy", np.stack([pack_inside(crop.inside) for crop in crops]))
        if shown:
            save_array(self.folder / f"classes-{number:04}.npy", np.stack(shown))
        self._write_left_out()
        write_text(self.table_path(number), table_text(COLUMNS, records))
        return True

    def finish(self, shards: int) -> None:
        """Write what comes last, after checking that there are crops, and none but these."""
        if not self.crops and self.left_out:
            first = self.left_out[0]
            raise DatasetError(
                f"none of the {len(self.left_out)} pictures can be decoded; the first is {first.image}: {first.reason}"
            )
        beyond = [path for path in self.folder.glob("shard-*.csv") if path >= self.table_path(shards)]
        if beyond:
            raise self._of_other_pictures(shards)
        self._write_left_out()
        facts = {"data": self.data, "images": self.crops, "detector": self.finder.detector.name}
        write_text(self.folder / "complete.json", json.dumps(facts) + "\n")

    def _count(self, number: int, crops: int) -> None:
        if self._short:
            raise self._of_other_pictures(number - 1)
        self._short = crops < SHARD_SIZE
        self.crops += crops

    def _write_left_out(self) -> None:
        if self.left_out:
            write_text(self._left_out_path, table_text(_LEFT_OUT_COLUMNS, [asdict(left) for left in self.left_out]))
        else:
            self._left_out_path.unlink(missing_ok=True)

    def _of_other_pictures(self, number: int) -> DatasetError:
        return DatasetError(
            f"{self.table_path(number)} was made from other pictures; choose another --crops folder or remove this one"
        )


def align_largest(data: bytes, name: str, finder: FaceFinder) -> tuple[AlignedFace, str]:
    """The aligned face of an encoded one-person picture, see ``align_most_prominent``; raises PhotoError."""
    return align_most_prominent(load_photo(data, name=name), finder)


def align_most_prominent(photo: Photo, finder: FaceFinder) -> tuple[AlignedFace, str]:
    """The aligned face of a one-person picture, and what found it.

    Of several faces it is the one that is large and near the middle: the picture's own person. What
    lies beyond the picture is its mirror image.
    """
    centre = np.array(photo.size) / 2

    def prominence(face: Face) -> float:
        distance = float(np.hypot(*(np.array(face.box.centre) - centre)))
        return face.box.width - distance

    found = finder.find_one(photo, prefer=prominence, mirror=True)
    if found is None:
        return align(photo, Face(Box(0, 0, *photo.size)), mirror=True), FALLBACK
    return found.aligned, found.face.detector
