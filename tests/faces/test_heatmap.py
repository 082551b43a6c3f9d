"""The heat-map landmarker: squares that it looks at, and the way back to the photo; its network here says one thing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from onnx_models import age_model, landmark_model

from spiralage.errors import ModelFileError, NetworkError
from spiralage.faces import heatmap
from spiralage.faces.align import aligning, transform
from spiralage.faces.find import make_finder
from spiralage.faces.heatmap import FRAME, HeatmapLandmarker, first_square
from spiralage.faces.landmarks import make_landmarker
from spiralage.mean_face import mean_landmarks
from spiralage.runtime import Session, open_session
from spiralage.store import StoredFile
from spiralage.types import Box, Face, Landmarks, Photo

SEEN = transform(mean_landmarks(), FRAME)
"""Where the mean face's points are in what the network sees of it."""
PHOTO = Photo(np.full((600, 500, 3), 90, np.uint8))
FACE = Face(Box(200, 250, 100, 100), detector="dlib")


@pytest.fixture
def landmarker(tmp_path: Path) -> HeatmapLandmarker:
    return of(tmp_path, landmark_model(SEEN))


def of(folder: Path, model: bytes, passes: int = 2) -> HeatmapLandmarker:
    (folder / "points.onnx").write_bytes(model)
    return HeatmapLandmarker(folder / "points.onnx", passes=passes, threads=1)


def test_the_network_sees_all_points_of_a_face_however_it_is_turned() -> None:
    distances = np.hypot(*(SEEN - 127.5).T)
    assert distances.max() < 120  # within the largest circle
    assert distances.max() > 100  # and little else


def test_points_come_back_to_the_photo_and_a_second_look_changes_nothing(
    tmp_path: Path, landmarker: HeatmapLandmarker
) -> None:
    once, twice = of(tmp_path, landmark_model(SEEN), passes=1).locate(PHOTO, FACE), landmarker.locate(PHOTO, FACE)
    assert once is not None
    assert twice is not None
    assert once.source == twice.source == "heatmap"
    np.testing.assert_allclose(twice.points, once.points, atol=0.2)  # the mean face is nearly where faces should be
    np.testing.assert_allclose(transform(once.points, first_square(FACE)), SEEN, atol=1e-3)
    scale = 256 / (100 * 2.75 / 2.36)  # what is seen is a little larger than dlib's box
    for found in (once, twice):
        assert found.spread_px is not None
        np.testing.assert_allclose(found.spread_px, 4 / scale, rtol=1e-2)


def test_points_follow_the_box(landmarker: HeatmapLandmarker) -> None:
    here = landmarker.locate(PHOTO, FACE)
    there = landmarker.locate(PHOTO, dataclasses.replace(FACE, box=Box(180, 290, 100, 100)))
    assert here is not None
    assert there is not None
    np.testing.assert_allclose(there.points - here.points, np.tile([-20, 40], (68, 1)), atol=1e-2)


def test_the_second_look_is_upright_and_of_one_size(tmp_path: Path) -> None:
    # The network says the face is turned by 30 degrees and smaller: the next square is turned and smaller, too.
    turn, middle = np.deg2rad(30), np.array([127.5, 127.5])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    said = (SEEN - middle) @ (0.8 * rotation).T + middle
    once = of(tmp_path, landmark_model(said), passes=1).locate(PHOTO, FACE)
    twice = of(tmp_path, landmark_model(said), passes=2).locate(PHOTO, FACE)
    assert once is not None
    assert twice is not None
    across, across_twice = (each.points[45] - each.points[36] for each in (once, twice))
    angle = np.rad2deg(np.arctan2(across[1], across[0]))
    angle_twice = np.rad2deg(np.arctan2(across_twice[1], across_twice[0]))
    assert angle_twice - angle == pytest.approx(30, abs=1.5)
    assert np.hypot(*across_twice) / np.hypot(*across) == pytest.approx(0.8, abs=0.02)


def test_the_detectors_points_lay_the_first_square(portrait_face: Face) -> None:
    assert portrait_face.landmarks is not None
    by_points = first_square(portrait_face)
    by_box = first_square(dataclasses.replace(portrait_face, landmarks=None))
    found = transform(portrait_face.landmarks.points, by_points)
    assert np.hypot(*(found - SEEN).T).mean() < 12
    assert np.hypot(*(transform(portrait_face.landmarks.points, by_box) - SEEN).T).mean() < 30
    one_place = Landmarks(np.full((5, 2), 9.0), "yunet")
    np.testing.assert_array_equal(first_square(dataclasses.replace(portrait_face, landmarks=one_place)), by_box)
    np.testing.assert_allclose(transform(mean_landmarks(), FRAME), SEEN)
    mean = Landmarks(mean_landmarks(), "given")
    np.testing.assert_allclose(transform(mean.points, aligning(mean)), mean.points, atol=3)


def test_beside_the_photo_there_are_no_points(landmarker: HeatmapLandmarker) -> None:
    assert landmarker.locate(PHOTO, Face(Box(5000, 5000, 50, 50))) is None


def test_points_in_one_place_end_the_looking(tmp_path: Path) -> None:
    found = of(tmp_path, landmark_model(np.full((68, 2), 127.5))).locate(PHOTO, FACE)
    assert found is not None
    np.testing.assert_allclose(found.points, np.tile([249.5, 299.5], (68, 1)), atol=0.6)


def test_answers_that_are_no_numbers_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"points.onnx gave no landmarks: .*; use another"):
        of(tmp_path, landmark_model(np.full((68, 2), np.nan))).locate(PHOTO, FACE)


def test_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="a network of kind landmarks gives points"):
        of(tmp_path, age_model())
    with pytest.raises(ModelFileError, match="no network 'nothing-here' \\(landmarks\\)"):
        HeatmapLandmarker("nothing-here")
    with pytest.raises(ValueError, match="passes must be 1 or more"):
        HeatmapLandmarker(passes=0)


def test_its_name_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIRALAGE_NETWORKS", str(tmp_path))
    (tmp_path / "landmarks.onnx").write_bytes(landmark_model(SEEN))
    assert isinstance(make_landmarker("heatmap", threads=1), HeatmapLandmarker)
    given: list[int | None] = []

    def opened(file: StoredFile, threads: int | None) -> Session:
        given.append(threads)
        return open_session(file, threads)

    monkeypatch.setattr(heatmap, "open_session", opened)
    finder = make_finder("dlib", "heatmap", threads=1)
    assert isinstance(finder.landmarker, HeatmapLandmarker)
    assert given == [1]
