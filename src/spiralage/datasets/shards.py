"""The files of a folder of crops, read with care: what is damaged is a DatasetError, whatever is wrong with it.

FOLDER/shard-0000.npy      (n, 256, 256, 3) uint8 RGB; n is 512 in all shards but the last
FOLDER/landmarks-0000.npy  (n, 68, 2) float32, (x, y) in crop pixels; see ``pack_landmarks``
FOLDER/inside-0000.npy     (n, 256, 32) uint8: 256×256 bits, 1 where the crop shows the picture
FOLDER/classes-0000.npy    (n, 256, 256) uint8, ``FaceClass`` or ``OutlineClass``; of sets that say what pixels show
FOLDER/shard-0000.csv      one manifest row per picture, and which detector found the face
FOLDER/left-out.csv        image, reason: pictures that can't be decoded; only if there are any
FOLDER/complete.json       written last: how many, from what
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spiralage.csv_lines import csv_line
from spiralage.errors import DatasetError
from spiralage.files import replacing
from spiralage.types import CROP_SIZE, Floats, Landmarks, Mask, Pixels

Record = dict[str, str]

PICTURE = (CROP_SIZE, CROP_SIZE, 3)
POINTS = (68, 2)
PACKED = (CROP_SIZE, CROP_SIZE // 8)
CLASSES = (CROP_SIZE, CROP_SIZE)
FIVE = 5


def pack_landmarks(landmarks: Landmarks | None) -> Floats:
    """Landmarks as (68, 2) float32: of five points the first five rows and NaN below, of none all NaN.

    >>> pack_landmarks(None).shape, bool(np.isnan(pack_landmarks(None)).all())
    ((68, 2), True)
    """
    packed = np.full(POINTS, np.nan, np.float32)
    if landmarks is not None:
        packed[: len(landmarks.points)] = landmarks.points
    return packed


def unpack_landmarks(packed: Floats) -> Landmarks | None:
    """Landmarks from (68, 2) float32; raises ValueError for what ``pack_landmarks`` can't have made.

    >>> unpack_landmarks(pack_landmarks(None)) is None
    True
    """
    known = int((~np.isnan(packed)).all(axis=1).sum())
    if not known and np.isnan(packed).all():
        return None
    if not np.isnan(packed[known:]).all():
        raise ValueError("landmarks with a gap")
    return Landmarks(packed[:known].astype(np.float64), "given")


def pack_inside(inside: Mask) -> Pixels:
    """(256, 256) bool as (256, 32) uint8."""
    return np.packbits(inside, axis=-1)


def unpack_inside(packed: Pixels) -> Mask:
    """(…, 256, 32) uint8 as (…, 256, 256) bool."""
    return np.unpackbits(packed, axis=-1).astype(np.bool_)


def save_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array as a whole or not at all; raises OutputError."""
    with replacing(path) as temporary:
        np.save(temporary, array)


def map_array(path: Path, item: tuple[int, ...], kind: type[np.generic]) -> npt.NDArray[Any]:
    """A memory map of an array file whose items have this shape and type.

    Raises:
        DatasetError: it isn't such a file, or shorter than it says; mapping that would end the process.
    """
    try:
        with path.open("rb") as file:
            shape, fortran, dtype = _header(file)
            start, size = file.tell(), path.stat().st_size
    except Exception as error:  # NumPy reads a header as Python text: there is no end to what that may raise
        raise _damaged(path, str(error)) from error
    if shape[1:] != item or len(shape) != len(item) + 1 or dtype != np.dtype(kind) or fortran:
        raise _damaged(path, f"it holds {dtype} of shape {shape}")
    if start + math.prod(shape) * dtype.itemsize != size:
        raise _damaged(path, f"it has {size} bytes, not {start + math.prod(shape) * dtype.itemsize}")
    if not shape[0]:
        raise _damaged(path, "it holds nothing")
    return np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape)


def _header(file: io.BufferedReader) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def _damaged(path: Path, reason: str) -> DatasetError:
    return DatasetError(f"{path}: damaged ({' '.join(reason.split())}); remove the folder and build the crops again")


def table_text(columns: Sequence[str], records: Iterable[dict[str, object]]) -> str:
    """Records as CSV with a header."""
    lines = (csv_line(record[column] for column in columns) for record in records)
    return "".join([csv_line(columns), *lines])


def read_table(path: Path, columns: Sequence[str]) -> list[Record]:
    """The lines of a table; none if it isn't there.

    Raises:
        DatasetError: it can't be read, lacks a column, or has a line that is too short or too long.
    """
    try:
        text = path.read_bytes().decode(errors="surrogateescape")  # as write_text writes names that aren't UTF-8
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        records = list(reader)
    except FileNotFoundError:
        return []
    except (OSError, csv.Error) as error:
        raise _damaged(path, str(error)) from error
    if list(reader.fieldnames or ()) != list(columns):
        raise _damaged(path, f"its columns aren't {', '.join(columns)}")
    for number, record in enumerate(records, 2):
        if None in record or None in record.values():
            raise _damaged(path, f"record {number} has not {len(columns)} fields")
    return records


def read_facts(path: Path) -> dict[str, Any]:
    """What ``complete.json`` says; raises DatasetError."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(facts, dict):
        raise _damaged(path, "it holds no facts")
    return facts
