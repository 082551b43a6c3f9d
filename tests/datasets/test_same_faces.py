"""Pictures that two data sets share: found by their looks, kept in one split, never tested and learned from."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic import write_shard
from test_duplicates import drawn

from spiralage.datasets import same_faces
from spiralage.datasets.duplicates import find_same_faces
from spiralage.datasets.manifest import Row, Split
from spiralage.types import Pixels


def face(seed: int, quality: int | None = None) -> Pixels:
    """A 256×256 crop; with a quality as JPEG leaves it."""
    crop = np.asarray(Image.fromarray(drawn(seed)).resize((256, 256)))
    if quality is None:
        return crop
    buffer = io.BytesIO()
    Image.fromarray(crop).save(buffer, format="JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def rows(*pictures: tuple[str, str], split: Split = "train") -> list[Row]:
    return [Row(image, subject, 30, None, None, split) for image, subject in pictures]


def test_the_first_set_that_has_a_face_decides(tmp_path: Path) -> None:
    sets = {
        "fgnet": write_shard(tmp_path / "f", rows(("001A02.JPG", "001")), [face(1)], "fgnet"),
        "utkface": write_shard(
            tmp_path / "u", rows(("u1", "u1"), ("u2", "u2"), ("u3", "u2")), [face(1, 60), face(2), face(3)], "utkface"
        ),
        "aaf": write_shard(
            tmp_path / "a", rows(("a1", "s1"), ("a2", "s2"), ("a3", "s3")), [face(3, 50), face(4), face(1, 70)], "aaf"
        ),
    }
    assert find_same_faces(sets) == [
        ("utkface", "u1", "fgnet/001"),
        ("aaf", "a1", "u2"),
        ("aaf", "a3", "fgnet/001"),
    ]


def test_faces_of_one_set_are_not_compared_with_each_other(tmp_path: Path) -> None:
    one = write_shard(tmp_path / "u", rows(("u1", "u1"), ("u2", "u2")), [face(1), face(1, 60)])
    other = write_shard(tmp_path / "a", rows(("a1", "a1")), [face(2)], "aaf")
    assert find_same_faces({"utkface": one, "aaf": other}) == []


def test_what_fgnet_has_is_in_no_other_set() -> None:
    def pictures() -> Iterator[tuple[Row, bytes]]:
        yield rows(("kept", "aaf-00000"))[0], b""
        yield rows(("tested", "fgnet/001"))[0], b""

    assert [row.image for row, _ in same_faces.without_tested(pictures())] == ["kept"]


def test_the_table_decides_a_subject(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(same_faces, "same_faces", lambda: {("aaf", "x.webp"): "u1"})
    assert same_faces.subject_of("aaf", "x.webp", "own") == "u1"
    assert same_faces.subject_of("utkface", "x.webp", "own") == "own"
