"""Landmarks under occluders, measured on whole photos: what is compared with what, and what the tables say."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spiralage.datasets import sources
from spiralage.datasets.manifest import Row
from spiralage.datasets.sources import Source
from spiralage.evaluation.protocols.landmarks import (
    MEASURED,
    Dlib68,
    Photos,
    TrueFace,
    crop_moves,
    evaluate_landmarks,
    found_again,
    photos_of,
    put_on,
    true_face,
    write_all,
)
from spiralage.evaluation.protocols.restoration import SETS
from spiralage.evaluation.results import LandmarkRow, read_rows
from spiralage.faces.align import align, transform
from spiralage.faces.dlib_faces import DlibLandmarker
from spiralage.faces.find import FaceFinder
from spiralage.occlusion.occluders import OCCLUDERS
from spiralage.types import Box, Face, Landmarks, Photo


class Detector:
    """Finds the portrait's face with its five points, unless it sees nothing but the clean photo's."""

    name = "five"
    gives_landmarks = True

    def __init__(self, face: Face, clean: Photo, *, blind: bool = False) -> None:
        assert face.landmarks is not None
        five = Landmarks(face.landmarks.five(), "yunet")
        self.face = Face(face.box, 0.9, five, detector="five")
        self.clean, self.blind = clean, blind

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        if self.blind and (photo.pixels != self.clean.pixels).any():
            return ()
        return (Face(Box(5, 5, 20, 20), 0.95), self.face) if self.blind is False else (self.face,)


class Off:
    """Says the true points, some pixels to the right; so far down, too, where a photo isn't the clean one."""

    name = "off"

    def __init__(self, true: np.ndarray, clean: Photo, right: float, down: float) -> None:
        self.true, self.clean, self.by, self.spread = true, clean, (right, down), np.full(68, 3.0)
        self.given: list[Face] = []

    def locate(self, photo: Photo, face: Face) -> Landmarks:
        self.given.append(face)
        right, down = self.by
        covered = bool((photo.pixels != self.clean.pixels).any())
        return Landmarks(self.true + (right, down * covered), "heatmap", self.spread)


@pytest.fixture
def face(portrait: Photo, portrait_face: Face) -> TrueFace:
    return TrueFace(portrait, portrait_face, align(portrait, portrait_face))


def encoded(photo: Photo) -> bytes:
    file = io.BytesIO()
    Image.fromarray(photo.pixels).save(file, "PNG")
    return file.getvalue()


def test_an_occluder_lies_in_the_photo_where_it_was_drawn(face: TrueFace) -> None:
    assert face.aligned.landmarks is not None
    cover = OCCLUDERS["surgical-mask"](face.aligned.landmarks.points, np.random.default_rng(0))
    photo = put_on(face, cover)
    changed = (photo.pixels != face.photo.pixels).any(axis=2)
    mouth, brow = face.points[[51, 57]].mean(axis=0).round().astype(int), face.points[24].round().astype(int)
    assert changed[mouth[1] - 3 : mouth[1] + 4, mouth[0] - 3 : mouth[0] + 4].all()
    assert not changed[brow[1] - 5 : brow[1] + 5, brow[0] - 5 : brow[0] + 5].any()
    assert 0.01 < changed.mean() < 0.1
    # Seen as a crop, the photo is the covered crop, but for what sampling twice blurs.
    again = align(photo, face.face).pixels.astype(float)
    assert np.abs(again - cover.over(face.aligned.pixels))[cover.mask].mean() < 6


def test_the_crop_moves_with_the_points_that_it_is_made_by(face: TrueFace) -> None:
    clean = Landmarks(face.points, "dlib")
    scale = np.hypot(*face.aligned.matrix[0, :2])
    assert crop_moves(clean, clean) == pytest.approx(0, abs=1e-6)
    assert crop_moves(clean, Landmarks(face.points + (2, 0), "dlib")) == pytest.approx(2 * scale, rel=1e-6)


def test_the_true_points_are_dlibs_of_the_clean_photo(
    portrait: Photo, face: TrueFace, dlib_landmarker: DlibLandmarker
) -> None:
    detector = Detector(face.face, portrait, blind=True)
    true = true_face(portrait, FaceFinder(detector, dlib_landmarker))
    assert true is not None
    assert np.hypot(*(true.points - face.points).T).max() < 5
    assert true.aligned.landmarks is not None
    np.testing.assert_allclose(true.aligned.landmarks.points, transform(true.points, true.aligned.matrix))
    assert true_face(portrait, FaceFinder(Detector(face.face, Photo(portrait.pixels + 1), blind=True), Off)) is None  # type: ignore[arg-type]


def test_of_several_faces_the_one_that_is_meant_is_found_again(portrait: Photo, face: TrueFace) -> None:
    assert found_again(portrait, face, Detector(face.face, portrait)).detector == "five"  # type: ignore[union-attr]
    blind = Detector(face.face, Photo(255 - portrait.pixels), blind=True)
    assert found_again(portrait, face, blind) is None


def test_every_landmarker_is_measured_on_every_photo(
    portrait: Photo, face: TrueFace, dlib_landmarker: DlibLandmarker
) -> None:
    detector = Detector(face.face, portrait, blind=True)
    found = true_face(portrait, FaceFinder(detector, dlib_landmarker))
    assert found is not None
    off = Off(found.points, portrait, 1.5, 2.0)
    told: list[str] = []
    negative = Photo(255 - portrait.pixels)  # in which the detector sees nothing
    rows = evaluate_landmarks(
        [Photos("Portraits", [("a", encoded(portrait)), ("b", encoded(negative))])],
        [off],
        detector,
        dlib=dlib_landmarker,
        trained=["scarf"],
        network="landmarks",
        occluders=("scarf", "bar"),
        tell=told.append,
    )
    assert told == ["Portraits: 1 photos without an upright face of 68 points left out"]
    assert {(row.occluder, row.landmarker) for row in rows} == {
        (occluder, who) for occluder in ("", "scarf", "bar") for who in ("off", "dlib", "five")
    } - {("scarf", "five"), ("bar", "five")}  # the detector saw nothing there: it has no points
    by = {(row.occluder, row.landmarker): row for row in rows}
    unit = 100 / np.hypot(*(found.points[45] - found.points[36]))
    clean, scarf = by["", "off"], by["scarf", "off"]
    assert (clean.trained, scarf.trained, by["bar", "off"].trained) == (False, True, False)
    assert (clean.detected, scarf.detected, clean.images) == (1.0, 0.0, 1)
    assert [clean.eyes, clean.five_mouth] == pytest.approx([1.5 * unit] * 2)
    assert [scarf.mouth, scarf.contour, scarf.five_eyes] == pytest.approx([2.5 * unit] * 3)
    assert (clean.within_two_spreads, by["", "dlib"].within_two_spreads) == (1.0, None)
    assert clean.crop_moves == pytest.approx(0, abs=1e-6)
    assert scarf.crop_moves == pytest.approx(2 * np.hypot(*found.aligned.matrix[0, :2]), rel=1e-3)
    assert by["", "five"].eyes is None
    assert by["", "five"].five_eyes < 5
    assert by["", "dlib"].eyes is not None
    # Where the detector saw nothing, the clean photo's box was given, without points.
    assert [given.landmarks is None for given in off.given] == [False, True, True]
    assert off.given[1].box == found.face.box


def test_dlib_answers_with_68_points_whatever_the_detector_says(
    portrait: Photo, portrait_face: Face, dlib_landmarker: DlibLandmarker
) -> None:
    assert portrait_face.landmarks is not None
    wrong = Landmarks(portrait_face.landmarks.five()[:, ::-1], "yunet")
    face = Face(portrait_face.box, landmarks=wrong, detector="yunet")
    assert dlib_landmarker.locate(portrait, face).source == "yunet"
    assert Dlib68(dlib_landmarker).locate(portrait, face).points.shape == (68, 2)


def test_photos_are_of_the_test_split_and_evenly_spread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row(f"{n}.jpg", f"{n}", 30, None, None, "test" if n % 2 else "train") for n in range(40)]
    source = Source(("SET.zip",), (), lambda path, tell: iter((row, row.image.encode()) for row in rows))
    monkeypatch.setitem(sources.SOURCES, "aaf", source)
    monkeypatch.setitem(sources.SOURCES, "fgnet", source)
    (tmp_path / "SET.zip").write_bytes(b"")
    photos = photos_of("aaf", tmp_path, 5, print)
    assert photos.title == "AAF test"
    numbers = [int(name.removesuffix(".jpg")) for name, _ in photos.encoded]
    assert len(numbers) == 5
    assert (numbers[0], numbers[-1]) == (1, 39)
    assert all(number % 2 for number in numbers)
    assert len(photos_of("fgnet", tmp_path, None, print).encoded) == 40
    assert set(MEASURED) <= set(SETS)


def row(**changes: object) -> LandmarkRow:
    values: dict[str, object] = {
        "data": "FG-NET", "landmarker": "heatmap", "eyes": 2.345, "five_eyes": 1.0, "five_nose": 1.5, "five_mouth": 2.0,
        "crop_moves": 0.0, "within_two_spreads": 0.861, "detected": 1.0, "images": 9, "network": "landmarks", "seed": 0,
        "commit": "c", "hardware": "h",
    }  # fmt: skip
    return LandmarkRow.model_validate(values | changes)


def test_rows_come_back_and_the_page_shows_them(tmp_path: Path) -> None:
    hidden = row(occluder="veil", crop_moves=3.26, detected=0.5)
    five = row(occluder="scarf", trained=True, landmarker="yunet", eyes=None, within_two_spreads=None)
    write_all([row(), hidden, five], tmp_path)
    assert read_rows(tmp_path / "landmarks.csv", LandmarkRow) == [row(), hidden, five]
    page = (tmp_path / "landmarks.md").read_text()
    assert "truth is what dlib says of the clean photo" in page
    assert "| nothing |  | heatmap | 2.35 |  |  |  |  | 1.00 | 1.50 | 2.00 | 0.0 | 0.86 | 1.000 | 9 |" in page
    assert "| veil | no | heatmap | 2.35 |  |  |  |  | 1.00 | 1.50 | 2.00 | 3.3 | 0.86 | 0.500 | 9 |" in page
    assert "| scarf | yes | yunet |  |  |  |  |  | 1.00 | 1.50 | 2.00 | 0.0 |  | 1.000 | 9 |" in page
    assert "- `recipes/landmarks.toml`, occluders of seed 0, commit c, h" in page
