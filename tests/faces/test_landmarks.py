from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from spiralage.errors import OptionError
from spiralage.faces.dlib_faces import DlibDetector, DlibLandmarker, dlib_box
from spiralage.faces.landmarks import LANDMARKERS, DetectorLandmarks, LandmarkerName, make_landmarker
from spiralage.faces.yunet import YuNetDetector
from spiralage.types import Box, Face, Landmarks, Photo


def distances(a: Landmarks, b: Landmarks) -> np.ndarray:
    """Of each point of one to the same point of the other, pixels."""
    return np.asarray(np.hypot(*(a.points - b.points).T))


def five_of(face: Face) -> Landmarks:
    assert face.landmarks is not None
    return Landmarks(face.landmarks.five(), "given")


def test_dlib_finds_68_points_on_the_portrait(portrait_face: Face) -> None:
    found = portrait_face.landmarks
    assert found is not None
    assert found.source == "dlib"
    assert found.points.shape == (68, 2)
    expected = [(203, 102), (247, 104), (225, 127), (200, 140), (246, 142)]
    np.testing.assert_allclose(found.five(), expected, atol=5)
    chin, bridge = found.points[8], found.points[27]
    assert 155 < chin[1] < 185
    assert 95 < bridge[1] < 112


def test_yunets_box_gives_the_same_68_points(
    portrait: Photo, portrait_face: Face, yunet_file: Path, dlib_landmarker: DlibLandmarker
) -> None:
    (face,) = YuNetDetector(yunet_file).detect(portrait)
    found = dlib_landmarker.locate(portrait, face)
    assert found.source == "dlib"
    assert portrait_face.landmarks is not None
    assert distances(found, portrait_face.landmarks).max() < 4


def test_five_points_give_the_same_68_points(
    portrait: Photo, portrait_face: Face, dlib_landmarker: DlibLandmarker
) -> None:
    # The box is made from the five points; that of the face does not count.
    face = Face(Box(0, 0, 512, 512), landmarks=five_of(portrait_face))
    found = dlib_landmarker.locate(portrait, face)
    assert found.source == "dlib"
    assert portrait_face.landmarks is not None
    assert distances(found, portrait_face.landmarks).max() < 5


def test_dlib_box_is_near_dlibs_own(portrait_face: Face) -> None:
    assert portrait_face.landmarks is not None
    box = dlib_box(portrait_face.landmarks)
    assert box.width == box.height
    assert box.width == pytest.approx(portrait_face.box.width, rel=0.15)
    np.testing.assert_allclose(box.centre, portrait_face.box.centre, atol=8)


def test_dlib_box_of_points_in_one_place_is_still_a_box() -> None:
    box = dlib_box(Landmarks(np.full((5, 2), 30.0), "given"))
    assert box.width > 0
    assert box.centre == (30, 30)


def test_the_detectors_five_are_kept_where_the_68_contradict_them(
    portrait: Photo, dlib_landmarker: DlibLandmarker
) -> None:
    # Points of a face where there is only the flag: whatever the predictor finds there, it isn't this.
    upside_down = Landmarks(np.array([(60.0, 300), (20, 300), (40, 250), (58, 220), (22, 220)]), "yunet")
    found = dlib_landmarker.locate(portrait, Face(Box(10, 210, 60, 100), landmarks=upside_down))
    assert found is upside_down


@pytest.mark.parametrize(("share", "kept"), [(0.05, False), (1.0, True)])
def test_how_much_disagreement_is_too_much(
    portrait: Photo, portrait_face: Face, share: float, kept: bool, dlib_landmarker: DlibLandmarker
) -> None:
    five = five_of(portrait_face).points
    eye_distance = float(np.hypot(*(five[1] - five[0])))
    mistaken = five.copy()
    mistaken[2:] += (share * eye_distance, 0)  # nose and mouth to the side; the box stays near
    given = Landmarks(mistaken, "yunet")
    found = dlib_landmarker.locate(portrait, Face(portrait_face.box, landmarks=given))
    assert (found is given) is kept


def test_a_box_beside_the_photo_gives_some_points(portrait: Photo, dlib_landmarker: DlibLandmarker) -> None:
    assert dlib_landmarker.locate(portrait, Face(Box(900, 900, 50, 50))).points.shape == (68, 2)


def test_the_detectors_landmarks_are_taken_as_they_are(portrait: Photo, portrait_face: Face) -> None:
    assert DetectorLandmarks().locate(portrait, portrait_face) is portrait_face.landmarks
    (bare,) = DlibDetector().detect(portrait)
    assert DetectorLandmarks().locate(portrait, bare) is None


def test_landmarkers_by_name() -> None:
    assert isinstance(make_landmarker(), DlibLandmarker)
    assert isinstance(make_landmarker("dlib"), DlibLandmarker)
    assert isinstance(make_landmarker("detector"), DetectorLandmarks)


@pytest.mark.parametrize("name", ["fann", "", "DLIB"])
def test_there_are_only_these_landmarkers(name: str) -> None:
    assert tuple(LANDMARKERS) == get_args(LandmarkerName)
    with pytest.raises(OptionError, match=f"no landmarks '{name}'; choose dlib, heatmap, detector or fan"):
        make_landmarker(name)  # type: ignore[arg-type]
