"""Near-duplicates by perceptual hash, on drawn pictures."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from spiralage.datasets.duplicates import MOST_BITS, duplicate_pairs, group_duplicates, perceptual_hash
from spiralage.types import Pixels


def drawn(seed: int) -> Pixels:
    """A 200×200 picture of soft blobs, as different between seeds as two people."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (200, 200), interpolation=cv2.INTER_CUBIC))


def encoded(pixels: Pixels, quality: int = 95) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()


def distance(a: bytes, b: bytes) -> int:
    return int(np.bitwise_count(perceptual_hash(a) ^ perceptual_hash(b)).sum())


def test_a_hash_is_256_bits_and_a_function_of_the_picture() -> None:
    data = encoded(drawn(1))
    assert perceptual_hash(data).shape == (4,)
    assert perceptual_hash(data).dtype == np.uint64
    assert distance(data, data) == 0


def test_copies_are_near_and_others_far() -> None:
    original = encoded(drawn(1))
    darker = (drawn(1) * 0.8).astype(np.uint8)
    for copy in (encoded(drawn(1), 40), encoded(drawn(1)[1:199, 1:199]), encoded(darker)):
        assert distance(original, copy) <= MOST_BITS
    assert distance(original, encoded(drawn(2))) > MOST_BITS
    assert distance(original, encoded(drawn(1)[:, ::-1])) > MOST_BITS


def test_groups_are_named_after_their_first_picture() -> None:
    pictures = [
        ("d.jpg", encoded(drawn(1))),
        ("c.jpg", encoded(drawn(2))),
        ("b.jpg", encoded(drawn(1), 40)),
        ("a.jpg", encoded(drawn(3))),
        ("e.jpg", encoded(drawn(1)[1:199, 1:199])),
    ]
    groups = group_duplicates(pictures)
    assert groups == {"b.jpg": "b.jpg", "d.jpg": "b.jpg", "e.jpg": "b.jpg"}
    assert list(groups) == sorted(groups)


def test_no_duplicates_no_groups() -> None:
    assert group_duplicates([("a.jpg", encoded(drawn(1))), ("b.jpg", encoded(drawn(2)))]) == {}


def test_pairs_are_those_of_a_plain_double_loop() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, (600, 4), dtype=np.uint64)  # more than two blocks
    flips = np.uint64(1) << np.arange(20, dtype=np.uint64)
    hashes[599] = hashes[3]
    hashes[300, 0] = hashes[299, 0] ^ np.bitwise_or.reduce(flips)  # 20 bits in this word
    hashes[300, 1:] = hashes[299, 1:]
    first, second = duplicate_pairs(hashes, 20)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(3, 599), (299, 300)]
    first, second = duplicate_pairs(hashes, 19)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(3, 599)]


def test_duplicates_of_duplicates_are_one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    words = {b"x": 0, b"y": 2**40 - 1, b"z": 2**60 - 1}  # x–y 40 bits, y–z 20, x–z 60

    def from_table(data: bytes) -> np.ndarray:
        return np.array([words[data]], np.uint64)

    monkeypatch.setattr("spiralage.datasets.duplicates.perceptual_hash", from_table)
    assert group_duplicates([("x", b"x"), ("y", b"y"), ("z", b"z")]) == {"x": "x", "y": "x", "z": "x"}
