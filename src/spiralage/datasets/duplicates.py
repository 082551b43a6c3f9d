"""Duplicates and near-duplicates of a data set, by perceptual hash.

A picture's hash is 256 bits of its low cosine frequencies (``imagehash.phash`` with a 16×16 block). Two
pictures are duplicates when their hashes differ in at most ``MOST_BITS`` bits. On UTKFace the distances
fall off up to 40 bits (re-encodings, slight crops, other contrast; thumbnails correlate above 0.9) and
rise again from 48 bits on (different people).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from spiralage.datasets.crops import Crops
from spiralage.datasets.same_faces import TESTED
from spiralage.types import Pixels

MOST_BITS = 40
MOST_BITS_ALIGNED = 32
"""The same between aligned crops of different sets, which are cut alike: pairs fall off up to 26 bits and rise again
from 36 on."""
FACE = slice(32, 224), slice(48, 208)
"""The part of an aligned crop that is hashed, rows and columns: what every data set's pictures show."""


def perceptual_hash(data: bytes) -> npt.NDArray[np.uint64]:
    """The 256-bit hash of an encoded picture, (4,) uint64."""
    return _hash(Image.open(io.BytesIO(data)))


def _hash(picture: Image.Image) -> npt.NDArray[np.uint64]:
    return np.packbits(imagehash.phash(picture, hash_size=16).hash.ravel()).view(np.uint64)


def duplicate_pairs(
    hashes: npt.NDArray[np.uint64], most_bits: int = MOST_BITS
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All pairs (i, j), i < j, whose hashes differ in at most ``most_bits`` bits.

    >>> first, second = duplicate_pairs(np.array([[0], [1], [255]], np.uint64), most_bits=1)
    >>> first.tolist(), second.tolist()
    ([0], [1])
    """
    firsts, seconds = [], []
    block = 256  # rows compared at a time: 256 × 22,000 × 4 words stay under 200 MB
    for start in range(0, len(hashes), block):
        different = hashes[start : start + block, None, :] ^ hashes[None]
        distance = np.bitwise_count(different).sum(axis=-1, dtype=np.int64)
        i, j = np.nonzero(distance <= most_bits)
        upper = i + start < j
        firsts.append(i[upper] + start)
        seconds.append(j[upper])
    return np.concatenate(firsts), np.concatenate(seconds)


def group_duplicates(pictures: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Name → name of the group's first picture, for every picture that has a duplicate.

    Duplicates of duplicates are in one group. Names come out sorted.
    """
    names, hashes = [], []
    for name, data in pictures:
        names.append(name)
        hashes.append(perceptual_hash(data))
    labels = _components(*duplicate_pairs(np.array(hashes)), len(names))
    members: dict[int, list[str]] = {}
    for name, label in zip(names, labels.tolist(), strict=True):
        members.setdefault(label, []).append(name)
    grouped = {name: min(group) for group in members.values() if len(group) > 1 for name in group}
    return dict(sorted(grouped.items()))


def find_same_faces(sets: Mapping[str, Crops]) -> list[tuple[str, str, str]]:
    """The pictures that data sets share.

    Args:
        sets: aligned crops by the set's name; where a face is in several, its subject in the first decides.

    Returns:
        (data set, image, subject) of every picture whose subject another set decides.
    """
    rows = [(name, row) for name, crops in sets.items() for row in crops.rows]
    subjects = list(dict.fromkeys((name, row.subject) for name, row in rows))
    number = {subject: index for index, subject in enumerate(subjects)}
    whose = np.array([number[name, row.subject] for name, row in rows])
    set_of = np.array([list(sets).index(name) for name, _ in rows])
    hashes = np.array([_hash(Image.fromarray(crop[FACE])) for crops in sets.values() for crop in _crops(crops)])
    first, second = duplicate_pairs(hashes, MOST_BITS_ALIGNED)
    across = set_of[first] != set_of[second]
    labels = _components(whose[first[across]], whose[second[across]], len(subjects))
    deciding = {label: subjects[index] for index, label in reversed(list(enumerate(labels.tolist())))}
    shared = ((name, row, subjects[whose[i]], deciding[int(labels[whose[i]])]) for i, (name, row) in enumerate(rows))
    return [(name, row.image, _written(*decides)) for name, row, own, decides in shared if own != decides]


def _written(data: str, subject: str) -> str:
    """How the table names a deciding subject: FG-NET's persons by their set, since their numbers say nothing."""
    return f"{data}/{subject}" if data == TESTED else subject


def _crops(crops: Crops) -> Iterable[Pixels]:
    for index in range(len(crops)):
        yield crops.take(np.array([index]))[0]


def _components(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int32]:
    """A label for each of ``count`` things, the same for those that pairs connect."""
    graph = coo_array((np.ones(len(first), np.bool_), (first, second)), shape=(count, count))
    labels: npt.NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return labels
