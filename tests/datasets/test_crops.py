"""Crops: built in shards, flagged where no face was found, and gone on with after a kill."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spiralage.datasets import crops as crops_module
from spiralage.datasets.crops import FALLBACK, Crops, align_largest, build_crops
from spiralage.datasets.manifest import Row, Split, split_by_hash
from spiralage.errors import DatasetError
from spiralage.faces.align import ANCHORS, align
from spiralage.image_io import encode_png
from spiralage.types import Box, Face, Landmarks, Photo, Pixels

POINTS = np.array([[60.0, 80.0], [140.0, 80.0], [100.0, 120.0], [70.0, 160.0], [130.0, 160.0]])
SHARD = 4
COUNT = 10


class FakeDetector:
    """Finds the same face in every picture but those whose top left pixel is black."""

    name = "fake"

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        self.calls += 1
        return () if photo.pixels[0, 0].max() < 10 else (Face(Box(40, 40, 120, 150)),)


class FakeLandmarker:
    """Always the same five points."""

    name = "fake"

    def locate(self, photo: Photo, face: Face) -> Landmarks | None:
        return Landmarks(POINTS, "given")


def picture(number: int) -> Pixels:
    pixels = np.random.default_rng(number).integers(10, 256, (200, 200, 3), dtype=np.uint8)
    if number % 3 == 2:
        pixels[0, 0] = 0  # no face here
    return pixels


def pictures(count: int = COUNT) -> Iterator[tuple[Row, bytes]]:
    for number in range(count):
        name = f"{number}.jpg"
        sex = (None, "male", "female")[number % 3]
        group = None if number % 2 else "other"
        yield Row(name, name, 10 + number, sex, group, split_by_hash(name)), encode_png(picture(number))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crops_module, "SHARD_SIZE", SHARD)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_rows_and_crops_come_back_in_order(tmp_path: Path) -> None:
    told: list[int] = []
    build_crops(pictures(), tmp_path / "crops", FakeDetector(), FakeLandmarker(), progress=told.append)
    assert told == [4, 8, 10]
    crops = Crops(tmp_path / "crops")
    assert crops.rows == [row for row, _ in pictures()]
    assert len(crops) == COUNT
    taken = crops.take(np.array([9, 0, 5]))
    assert taken.shape == (3, 256, 256, 3)
    assert taken.dtype == np.uint8
    for crop, number in zip(taken, (9, 0), strict=False):
        face = Face(Box(40, 40, 120, 150), landmarks=Landmarks(POINTS, "given"))
        assert np.array_equal(crop, align(Photo(picture(number)), face, mirror=True).pixels)


def test_the_files_are_those_of_the_documented_format(tmp_path: Path) -> None:
    build_crops(pictures(), tmp_path, FakeDetector(), FakeLandmarker())
    shards = {f"shard-000{n}.{kind}" for n in range(3) for kind in ("npy", "csv")}
    assert set(contents(tmp_path)) == shards | {"complete.json"}
    assert json.loads((tmp_path / "complete.json").read_text()) == {"images": COUNT, "detector": "fake"}
    assert np.load(tmp_path / "shard-0002.npy", allow_pickle=False).shape == (2, 256, 256, 3)


def test_a_picture_without_a_face_is_kept_and_flagged(tmp_path: Path) -> None:
    build_crops(pictures(), tmp_path, FakeDetector(), FakeLandmarker())
    tables = [csv.DictReader(p.read_text().splitlines()) for p in sorted(tmp_path.glob("*.csv"))]
    found_by = [record["found_by"] for table in tables for record in table]
    assert found_by == [FALLBACK if number % 3 == 2 else "fake" for number in range(COUNT)]
    whole = align(Photo(picture(2)), Face(Box(0, 0, 200, 200)), mirror=True).pixels
    assert np.array_equal(Crops(tmp_path).take(np.array([2]))[0], whole)


def test_splits_and_batches(tmp_path: Path) -> None:
    build_crops(pictures(60), tmp_path, FakeDetector(), FakeLandmarker())
    crops = Crops(tmp_path)
    splits: tuple[Split, ...] = ("train", "val", "test")
    indices = {split: crops.indices(split) for split in splits}
    assert sorted(np.concatenate(list(indices.values())).tolist()) == list(range(60))
    assert all(len(found) for found in indices.values())
    for split in splits:
        batches = list(crops.batches(split, 7))
        assert [len(pixels) for pixels, _ in batches[:-1]] == [7] * (len(batches) - 1)
        assert [row for _, rows in batches for row in rows] == [crops.rows[i] for i in indices[split]]
        assert np.array_equal(np.concatenate([pixels for pixels, _ in batches]), crops.take(indices[split]))


def test_a_killed_build_goes_on_where_it_stopped(tmp_path: Path) -> None:
    build_crops(pictures(), tmp_path / "whole", FakeDetector(), FakeLandmarker())
    folder = tmp_path / "killed"
    build_crops(pictures(), folder, FakeDetector(), FakeLandmarker())
    (folder / "complete.json").unlink()
    (folder / "shard-0002.csv").unlink()
    with (folder / "shard-0002.npy").open("r+b") as file:
        file.truncate(1000)  # what is without a table counts for nothing
    times = {n: (folder / n).stat().st_mtime_ns for n in ("shard-0000.npy", "shard-0000.csv", "shard-0001.npy")}
    with pytest.raises(DatasetError, match="no finished crops"):
        Crops(folder)

    detector = FakeDetector()
    build_crops(pictures(), folder, detector, FakeLandmarker())
    assert detector.calls == 2  # the third shard alone
    assert times == {name: (folder / name).stat().st_mtime_ns for name in times}
    assert contents(folder) == contents(tmp_path / "whole")


def test_a_build_that_dies_in_a_shard_leaves_the_finished_ones(tmp_path: Path) -> None:
    def dying() -> Iterator[tuple[Row, bytes]]:
        for number, item in enumerate(pictures()):
            if number == 6:
                raise KeyboardInterrupt
            yield item

    folder = tmp_path / "crops"
    with pytest.raises(KeyboardInterrupt):
        build_crops(dying(), folder, FakeDetector(), FakeLandmarker())
    assert set(contents(folder)) == {"shard-0000.npy", "shard-0000.csv"}
    build_crops(pictures(), folder, FakeDetector(), FakeLandmarker())
    assert Crops(folder).rows == [row for row, _ in pictures()]


def test_an_incomplete_folder_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DatasetError, match="no finished crops"):
            Crops(folder)


def test_a_table_with_an_unknown_split_is_refused(tmp_path: Path) -> None:
    build_crops(pictures(2), tmp_path, FakeDetector(), FakeLandmarker())
    table = tmp_path / "shard-0000.csv"
    table.write_text(table.read_text().replace(",train,", ",learn,").replace(",val,", ",learn,"))
    with pytest.raises(DatasetError, match="build the crops again"):
        _ = Crops(tmp_path).rows


class Crowd:
    """A large face at the edge, a small one in the middle, a tiny one right at the centre."""

    name = "crowd"

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        return Face(Box(0, 0, 90, 90)), Face(Box(70, 60, 60, 80)), Face(Box(98, 98, 4, 4))


class Follow:
    """Five points at a face's box."""

    name = "follow"

    def locate(self, photo: Photo, face: Face) -> Landmarks | None:
        scale, corner = face.box.width / 200, np.array([face.box.x, face.box.y])
        return Landmarks(POINTS * scale + corner, "given")


def test_of_several_faces_the_pictures_own_is_taken() -> None:
    aligned, found_by = align_largest(encode_png(picture(0)), "crowd.jpg", Crowd(), Follow())
    assert found_by == "crowd"
    assert aligned.landmarks is not None
    points = Landmarks(POINTS * 0.3 + (70, 60), "given")
    middle = align(Photo(picture(0)), Face(Box(70, 60, 60, 80), landmarks=points), mirror=True)
    assert np.array_equal(aligned.pixels, middle.pixels)
    assert np.abs(aligned.landmarks.five()[:2] - ANCHORS[:2]).max() < 10
