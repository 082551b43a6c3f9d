"""Duplicates and near-duplicates of a data set, by perceptual hash.

A picture's hash is 256 bits of its low cosine frequencies (``imagehash.phash`` with a 16×16 block). Two
pictures are duplicates when their hashes differ in at most ``MOST_BITS`` bits. On UTKFace the distances
fall off up to 40 bits (re-encodings, slight crops, other contrast; thumbnails correlate above 0.9) and
rise again from 48 bits on (different people).
"""

from __future__ import annotations

import io
from collections.abc import Iterable

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

MOST_BITS = 40


def perceptual_hash(data: bytes) -> npt.NDArray[np.uint64]:
    """The 256-bit hash of an encoded picture, (4,) uint64."""
    bits = imagehash.phash(Image.open(io.BytesIO(data)), hash_size=16).hash
    return np.packbits(bits.ravel()).view(np.uint64)


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
    first, second = duplicate_pairs(np.array(hashes))
    size = len(names)
    graph = coo_array((np.ones(len(first), np.bool_), (first, second)), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    members: dict[int, list[str]] = {}
    for name, label in zip(names, labels.tolist(), strict=True):
        members.setdefault(label, []).append(name)
    grouped = {name: min(group) for group in members.values() if len(group) > 1 for name in group}
    return dict(sorted(grouped.items()))
