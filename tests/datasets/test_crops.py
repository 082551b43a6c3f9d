"""Crops: built in shards, flagged where no face was found, and gone on with after a kill."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pngs import encode_png

from spiralage.datasets import build_crops as build_module
from spiralage.datasets import crops as crops_module
from spiralage.datasets.build_crops import align_largest, build_crops
from spiralage.datasets.crops import FALLBACK, Crops
from spiralage.datasets.manifest import Row, Split, split_by_hash
from spiralage.errors import DatasetError, OutputError
from spiralage.faces.align import ANCHORS, align
from spiralage.faces.find import FaceFinder
from spiralage.mean_face import mean_landmarks
from spiralage.occlusion.mean_shape import full_landmarks
from spiralage.types import Box, Face, Landmarks, Photo, Pixels

POINTS = np.array([[60.0, 80.0], [140.0, 80.0], [100.0, 120.0], [70.0, 160.0], [130.0, 160.0]])
SHARD = 4
COUNT = 10


class FakeDetector:
    """Finds the same face in every picture but those whose top left pixel is black."""

    name = "fake"
    gives_landmarks = False

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        self.calls += 1
        return () if photo.pixels[0, 0].max() < 10 else (Face(Box(40, 40, 120, 150), detector=self.name),)


class FakeLandmarker:
    """Always the same five points."""

    name = "fake"

    def locate(self, photo: Photo, face: Face) -> Landmarks | None:
        return Landmarks(POINTS, "given")


FINDER = FaceFinder(FakeDetector(), FakeLandmarker())


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
    for module in (crops_module, build_module):
        monkeypatch.setattr(module, "SHARD_SIZE", SHARD)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_rows_and_crops_come_back_in_order(tmp_path: Path) -> None:
    told: list[int] = []
    build_crops(pictures(), tmp_path / "crops", FINDER, data="fake", progress=told.append)
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
    build_crops(pictures(), tmp_path, FINDER, data="fake")
    kinds = ("shard-{}.npy", "shard-{}.csv", "landmarks-{}.npy", "inside-{}.npy")
    shards = {kind.format(f"000{n}") for n in range(3) for kind in kinds}
    assert set(contents(tmp_path)) == shards | {"complete.json"}
    assert json.loads((tmp_path / "complete.json").read_text()) == {"data": "fake", "images": COUNT, "detector": "fake"}
    assert np.load(tmp_path / "shard-0002.npy", allow_pickle=False).shape == (2, 256, 256, 3)


def test_a_picture_without_a_face_is_kept_and_flagged(tmp_path: Path) -> None:
    build_crops(pictures(), tmp_path, FINDER, data="fake")
    tables = [csv.DictReader(p.read_text().splitlines()) for p in sorted(tmp_path.glob("*.csv"))]
    found_by = [record["found_by"] for table in tables for record in table]
    assert found_by == [FALLBACK if number % 3 == 2 else "fake" for number in range(COUNT)]
    whole = align(Photo(picture(2)), Face(Box(0, 0, 200, 200)), mirror=True).pixels
    assert np.array_equal(Crops(tmp_path).take(np.array([2]))[0], whole)


def test_splits(tmp_path: Path) -> None:
    build_crops(pictures(60), tmp_path, FINDER, data="fake")
    crops = Crops(tmp_path)
    splits: tuple[Split, ...] = ("train", "val", "test")
    indices = {split: crops.indices(split) for split in splits}
    assert sorted(np.concatenate(list(indices.values())).tolist()) == list(range(60))
    assert all(len(found) for found in indices.values())


def test_a_killed_build_goes_on_where_it_stopped(tmp_path: Path) -> None:
    build_crops(pictures(), tmp_path / "whole", FINDER, data="fake")
    folder = tmp_path / "killed"
    build_crops(pictures(), folder, FINDER, data="fake")
    (folder / "complete.json").unlink()
    (folder / "shard-0002.csv").unlink()
    with (folder / "shard-0002.npy").open("r+b") as file:
        file.truncate(1000)  # what is without a table counts for nothing
    times = {n: (folder / n).stat().st_mtime_ns for n in ("shard-0000.npy", "shard-0000.csv", "shard-0001.npy")}
    with pytest.raises(DatasetError, match="no finished crops"):
        Crops(folder)

    detector = FakeDetector()
    build_crops(pictures(), folder, FaceFinder(detector, FakeLandmarker()), data="fake")
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
        build_crops(dying(), folder, FINDER, data="fake")
    assert set(contents(folder)) == {"shard-0000.npy", "shard-0000.csv", "landmarks-0000.npy", "inside-0000.npy"}
    build_crops(pictures(), folder, FINDER, data="fake")
    assert Crops(folder).rows == [row for row, _ in pictures()]


def test_an_incomplete_folder_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DatasetError, match="no finished crops"):
            Crops(folder)


def test_a_table_with_an_unknown_split_is_refused(tmp_path: Path) -> None:
    build_crops(pictures(2), tmp_path, FINDER, data="fake")
    table = tmp_path / "shard-0000.csv"
    table.write_text(table.read_text().replace(",train,", ",learn,").replace(",val,", ",learn,"))
    with pytest.raises(DatasetError, match="build the crops again"):
        _ = Crops(tmp_path).rows


class Crowd:
    """A large face at the edge, a small one in the middle, a tiny one right at the centre."""

    name = "crowd"
    gives_landmarks = False

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        boxes = Box(0, 0, 90, 90), Box(70, 60, 60, 80), Box(98, 98, 4, 4)
        return tuple(Face(box, detector=self.name) for box in boxes)


class Follow:
    """Five points at a face's box."""

    name = "follow"

    def locate(self, photo: Photo, face: Face) -> Landmarks | None:
        scale, corner = face.box.width / 200, np.array([face.box.x, face.box.y])
        return Landmarks(POINTS * scale + corner, "given")


def test_of_several_faces_the_pictures_own_is_taken() -> None:
    aligned, found_by = align_largest(encode_png(picture(0)), "crowd.jpg", FaceFinder(Crowd(), Follow()))
    assert found_by == "crowd"
    assert aligned.landmarks is not None
    points = Landmarks(POINTS * 0.3 + (70, 60), "given")
    middle = align(Photo(picture(0)), Face(Box(70, 60, 60, 80), landmarks=points), mirror=True)
    assert np.array_equal(aligned.pixels, middle.pixels)
    assert np.abs(aligned.landmarks.five()[:2] - ANCHORS[:2]).max() < 10


def damaged(bad: set[int], count: int = COUNT) -> Iterator[tuple[Row, bytes]]:
    for number, (row, data) in enumerate(pictures(count)):
        yield row, data[:300] if number in bad else data


def left_out(folder: Path) -> list[str]:
    return [record["image"] for record in csv.DictReader((folder / "left-out.csv").read_text().splitlines())]


def test_what_cannot_be_decoded_is_left_out_and_written_down(tmp_path: Path) -> None:
    bad, told = {0, 3, 4, 9}, list[int]()
    found = build_crops(damaged(bad), tmp_path, FINDER, data="fake", progress=told.append)
    assert [left.image for left in found] == left_out(tmp_path) == ["0.jpg", "3.jpg", "4.jpg", "9.jpg"]
    assert all("damaged or cut short" in left.reason and "jpg:" not in left.reason for left in found)
    assert told == [7, 10]
    crops = Crops(tmp_path)
    good = [number for number in range(COUNT) if number not in bad]
    assert [row.image for row in crops.rows] == [f"{number}.jpg" for number in good]
    assert [len(np.load(p)) for p in sorted(tmp_path.glob("shard-*.npy"))] == [SHARD, 2]  # no gap in a shard
    build_crops(
        (item for item in pictures() if item[0] in crops.rows),
        tmp_path / "x",
        FINDER,
        data="fake",
    )
    everything = np.arange(len(good))
    assert np.array_equal(crops.take(everything), Crops(tmp_path / "x").take(everything))
    assert json.loads((tmp_path / "complete.json").read_text())["images"] == len(good)


@pytest.mark.parametrize("bad", [{0}, {3, 4}, {4}, {8, 9}, {0, 1, 2, 3, 4, 5, 6, 7}, {1, 5, 9}, set(range(9))])
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_build_with_gaps_goes_on_exactly(tmp_path: Path, bad: set[int], lost: int) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    expected = build_crops(damaged(bad), whole, FINDER, data="fake")
    build_crops(damaged(bad), folder, FINDER, data="fake")
    (folder / "complete.json").unlink()
    for path in sorted(folder.glob("shard-*.csv"))[lost:]:
        path.unlink()
    assert build_crops(damaged(bad), folder, FINDER, data="fake") == expected
    assert contents(folder) == contents(whole)
    assert build_crops(damaged(bad), folder, FINDER, data="fake") == expected  # nothing left to do
    assert contents(folder) == contents(whole)


@pytest.mark.parametrize("die_at", range(COUNT))
def test_a_build_killed_at_any_picture_goes_on_exactly(tmp_path: Path, die_at: int) -> None:
    def dying() -> Iterator[tuple[Row, bytes]]:
        for number, item in enumerate(damaged({1, 4, 5})):
            if number == die_at:
                raise KeyboardInterrupt
            yield item

    expected = build_crops(damaged({1, 4, 5}), tmp_path / "whole", FINDER, data="fake")
    with pytest.raises(KeyboardInterrupt):
        build_crops(dying(), tmp_path / "killed", FINDER, data="fake")
    assert build_crops(damaged({1, 4, 5}), tmp_path / "killed", FINDER, data="fake") == expected
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_a_picture_mended_after_a_kill_is_taken(tmp_path: Path) -> None:
    build_crops(damaged({6}), tmp_path, FINDER, data="fake")
    for name in ("complete.json", "shard-0001.csv", "shard-0002.csv"):
        (tmp_path / name).unlink()
    assert build_crops(pictures(), tmp_path, FINDER, data="fake") == []
    assert not (tmp_path / "left-out.csv").exists()
    assert Crops(tmp_path).rows == [row for row, _ in pictures()]


def test_nothing_that_can_be_decoded_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none of the 10 pictures can be decoded; the first is 0\.jpg: .*damaged"):
        build_crops(damaged(set(range(COUNT))), tmp_path, FINDER, data="fake")
    assert not (tmp_path / "complete.json").exists()


@pytest.mark.parametrize("count", [3, 5, 8, 11])
def test_crops_of_other_pictures_are_not_mixed(tmp_path: Path, count: int) -> None:
    build_crops(pictures(), tmp_path, FINDER, data="fake")
    (tmp_path / "complete.json").unlink()
    with pytest.raises(DatasetError, match=r"made from other pictures; choose another --crops folder"):
        build_crops(pictures(count), tmp_path, FINDER, data="fake")
    others = ((Row("x" + row.image, "x", 1, None, None, "train"), data) for row, data in pictures())
    with pytest.raises(DatasetError, match=r"shard-0000\.csv was made from other pictures"):
        build_crops(others, tmp_path, FINDER, data="fake")
    assert not (tmp_path / "complete.json").exists()


def test_shards_beyond_the_last_picture_are_not_taken_along(tmp_path: Path) -> None:
    build_crops(pictures(), tmp_path, FINDER, data="fake")
    for name in ("complete.json", "shard-0001.csv"):
        (tmp_path / name).unlink()
    with pytest.raises(DatasetError, match="made from other pictures"):
        build_crops(pictures(SHARD), tmp_path, FINDER, data="fake")
    assert not (tmp_path / "complete.json").exists()


def test_ages_are_an_array_or_an_error(tmp_path: Path) -> None:
    build_crops(pictures(), tmp_path / "ages", FINDER, data="fake")
    ages = Crops(tmp_path / "ages").ages
    assert ages.dtype == np.int64
    assert ages.tolist() == list(range(10, 20))

    def ageless() -> Iterator[tuple[Row, bytes]]:
        for number, (row, data) in enumerate(pictures()):
            yield (row if number % 2 else Row(row.image, row.subject, None, None, None, row.split)), data

    build_crops(ageless(), tmp_path / "none", FINDER, data="fake")
    crops = Crops(tmp_path / "none")
    assert crops.rows == [row for row, _ in ageless()]
    with pytest.raises(DatasetError, match="5 of these crops have no ages; choose an age data set"):
        _ = crops.ages


ODD_NAMES = [
    "line\u2028end.jpg",
    'a,"b".jpg',
    "new\nline.jpg",
    "\udcff.jpg",
    "-.jpg",
    "a\rb.jpg",
    "\r",
    "a\r\nb.jpg",
    "=1+1.jpg",
    " a .jpg",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_come_back(tmp_path: Path, name: str) -> None:
    row = Row(name, name, 30, None, None, "train")
    odd = [(row, encode_png(picture(0))), (Row("bad" + name, name, 1, None, None, "train"), b"no picture")]
    for _ in range(2):
        (left,) = build_crops(odd, tmp_path, FINDER, data="fake")
        assert left.image == "bad" + name
        assert Crops(tmp_path).rows == [row]


class Points:
    """68, five or no points, by the picture's first pixel."""

    name = "points"

    def locate(self, photo: Photo, face: Face) -> Landmarks | None:
        kind = int(photo.pixels[0, 1, 0]) % 3
        if kind == 0:
            return None
        return Landmarks(POINTS if kind == 1 else np.linspace((40, 50), (160, 170), 68), "given")


def test_landmarks_and_what_is_inside_are_kept(tmp_path: Path) -> None:
    finder = FaceFinder(FakeDetector(), Points())
    build_crops(pictures(), tmp_path, finder, data="fake")
    crops = Crops(tmp_path)
    landmarks, inside = crops.landmarks(np.arange(COUNT)), crops.inside(np.arange(COUNT))
    assert landmarks.shape == (COUNT, 68, 2)
    assert landmarks.dtype == np.float32
    assert inside.shape == (COUNT, 256, 256)
    assert inside.dtype == np.bool_
    kinds = set()
    for number in range(COUNT):
        aligned, _ = align_largest(encode_png(picture(number)), "x", finder)
        np.testing.assert_array_equal(inside[number], aligned.inside)
        known = 0 if aligned.landmarks is None else len(aligned.landmarks.points)
        kinds.add(known)
        assert np.isnan(landmarks[number, known:]).all()
        if aligned.landmarks is not None:
            np.testing.assert_allclose(landmarks[number, :known], aligned.landmarks.points, rtol=1e-6)
    assert kinds == {0, 5, 68}
    assert not inside.all()
    np.testing.assert_array_equal(crops.landmarks(np.array([7, 2])), landmarks[[7, 2]])


def test_older_crops_open_and_say_that_they_have_no_landmarks(tmp_path: Path) -> None:
    build_crops(pictures(), tmp_path, FINDER, data="fake")
    everything = Crops(tmp_path).take(np.arange(COUNT))
    for path in (*tmp_path.glob("landmarks-*"), *tmp_path.glob("inside-*")):
        path.unlink()
    crops = Crops(tmp_path)
    np.testing.assert_array_equal(crops.take(np.arange(COUNT)), everything)
    with pytest.raises(DatasetError, match=r"landmarks-0000\.npy is missing: .* older; build the crops again"):
        crops.landmarks(np.array([0]))
    with pytest.raises(DatasetError, match=r"inside-0000\.npy is missing"):
        crops.inside(np.array([0]))
    np.testing.assert_array_equal(crops.full_landmarks(np.array([3, 0])), [mean_landmarks()] * 2)


def test_full_landmarks_are_as_those_of_the_aligned_face(tmp_path: Path) -> None:
    finder = FaceFinder(FakeDetector(), Points())
    build_crops(pictures(), tmp_path, finder, data="fake")
    order = np.array([7, 0, 2, 9, 1])
    found = Crops(tmp_path).full_landmarks(order)
    assert found.shape == (5, 68, 2)
    assert found.dtype == np.float64
    for points, number in zip(found, order.tolist(), strict=True):
        aligned, _ = align_largest(encode_png(picture(number)), "x", finder)
        np.testing.assert_allclose(points, full_landmarks(aligned), rtol=1e-5)


@pytest.mark.parametrize("harm", ["gap", "infinite", "seven"])
def test_landmarks_that_cannot_be_are_a_named_error(tmp_path: Path, harm: str) -> None:
    build_crops(pictures(3), tmp_path, FINDER, data="fake")
    landmarks = np.load(tmp_path / "landmarks-0000.npy")
    if harm == "gap":
        landmarks[0, [1, 9]] = landmarks[0, [9, 1]]
    elif harm == "infinite":
        landmarks[0, 1, 0] = np.inf
    else:
        landmarks[0, :7] = 3
    np.save(tmp_path / "landmarks-0000.npy", landmarks)
    with pytest.raises(DatasetError, match=r"damaged landmarks .*; build the crops again"):
        Crops(tmp_path).full_landmarks(np.array([0]))


def read_all(folder: Path) -> None:
    crops = Crops(folder)
    crops.check_data("fake")
    indices = np.arange(len(crops))
    assert len(crops.ages) == len(crops.found_by) == len(indices)
    for read in (crops.take, crops.landmarks, crops.inside):
        read(indices)


HARMS: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "zeros": lambda data: b"\0" * len(data),
    "one short": lambda data: data[:-1],
    "doubled head": lambda data: data[:100] + data,
    "other names": lambda data: data.replace(b"shape", b"shale").replace(b"image", b"imagine"),
    "other counts": lambda data: data.replace(b"(4,", b"(9,").replace(b"fake", b'fa"ke,1'),
    "other types": lambda data: data.replace(b"|u1", b"|O1").replace(b"<f4", b"<f8").replace(b"\n", b"\n,", 3),
}


@pytest.mark.parametrize("name", ["shard-0001.npy", "landmarks-0001.npy", "inside-0001.npy", "shard-0001.csv"])
@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_file_is_a_named_error(tmp_path: Path, name: str, harm: str) -> None:
    build_crops(pictures(), tmp_path, FINDER, data="fake")
    read_all(tmp_path)
    path = tmp_path / name
    if (name, harm) == ("shard-0001.csv", "one short"):
        harm = "cut"  # a table whose last line has no end is whole
    path.write_bytes(HARMS[harm](path.read_bytes()))
    with pytest.raises(DatasetError, match=r"build the crops again|build them again"):
        read_all(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"data": 3}', "[" * 100_000, "\0", '{"images": 10}'])
def test_a_damaged_complete_json_is_a_named_error(tmp_path: Path, text: str) -> None:
    build_crops(pictures(), tmp_path, FINDER, data="fake")
    (tmp_path / "complete.json").write_text(text)
    with pytest.raises(DatasetError, match=r"complete\.json"):
        read_all(tmp_path)


def test_a_missing_shard_is_a_named_error(tmp_path: Path) -> None:
    build_crops(pictures(), tmp_path, FINDER, data="fake")
    (tmp_path / "shard-0001.npy").unlink()
    with pytest.raises(DatasetError, match=r"shard-0001\.npy"):
        Crops(tmp_path).take(np.array([5]))


def test_a_table_damaged_between_two_builds_is_a_named_error(tmp_path: Path) -> None:
    build_crops(pictures(), tmp_path, FINDER, data="fake")
    (tmp_path / "shard-0000.csv").write_bytes(b"image\n0.jpg\n")
    with pytest.raises(DatasetError, match="damaged"):
        build_crops(pictures(), tmp_path, FINDER, data="fake")


def test_a_full_disk_is_a_named_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError("24576 requested and 100 written")  # as NumPy says it, without a number

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OutputError, match="24576 requested and 100 written"):
        build_crops(pictures(), tmp_path, FINDER, data="fake")
    assert not list(tmp_path.iterdir())
