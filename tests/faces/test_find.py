"""The one door for faces."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from spiralage.errors import OptionError
from spiralage.faces.align import align
from spiralage.faces.detect import Detector, GivenBox
from spiralage.faces.dlib_faces import DlibDetector, DlibLandmarker
from spiralage.faces.find import FaceFinder, make_finder
from spiralage.faces.landmarks import DetectorLandmarks, Landmarker
from spiralage.types import Box, Face, Landmarks, Photo

POINTS = np.array([[60.0, 80.0], [140.0, 80.0], [100.0, 120.0], [70.0, 160.0], [130.0, 160.0]])


class Three:
    """Three faces in a row, the surest first."""

    name = "three"
    gives_landmarks = False

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        return tuple(Face(Box(60 * n, 40, 50, 60), 0.99 - n / 100, detector=self.name) for n in range(3))


class Follow:
    """Five points at a face's box."""

    name = "follow"

    def locate(self, photo: Photo, face: Face) -> Landmarks | None:
        return Landmarks(POINTS * face.box.width / 200 + (face.box.x, face.box.y), "given")


@pytest.fixture
def photo() -> Photo:
    return Photo(np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8), "noise")


def test_every_face_is_marked_and_aligned(photo: Photo) -> None:
    found = FaceFinder(Three(), Follow()).find(photo, most=10)
    assert [one.face.box.x for one in found] == [0, 60, 120]
    for one in found:
        assert one.face.landmarks is not None
        assert one.face.detector == "three"
        assert one.face.turn == 0
        expected = align(photo, one.face)
        np.testing.assert_array_equal(one.aligned.pixels, expected.pixels)
        np.testing.assert_array_equal(one.aligned.matrix, expected.matrix)


def test_no_more_than_most_are_cut_out_and_that_is_said(photo: Photo, caplog: pytest.LogCaptureFixture) -> None:
    finder = FaceFinder(Three(), Follow())
    with caplog.at_level(logging.WARNING, logger="spiralage"):
        assert len(finder.find(photo, most=3)) == 3
        assert not caplog.messages
        assert [one.face.box.x for one in finder.find(photo, most=2)] == [0, 60]
    assert caplog.messages == ["noise: 3 faces found, the surest 2 are read"]


def test_one_face_is_the_surest_or_the_preferred(photo: Photo) -> None:
    finder = FaceFinder(Three(), Follow())
    first, last = finder.find_one(photo), finder.find_one(photo, prefer=lambda face: face.box.x, mirror=True)
    assert first is not None
    assert first.face.box.x == 0
    assert last is not None
    assert last.face.box.x == 120
    np.testing.assert_array_equal(last.aligned.pixels, align(photo, last.face, mirror=True).pixels)


def test_no_face_is_no_answer() -> None:
    finder = FaceFinder(DlibDetector(), DlibLandmarker())
    blank = Photo(np.zeros((64, 64, 3), np.uint8))
    assert finder.find(blank, most=1) == ()
    assert finder.find_one(blank) is None


def test_finders_by_name_and_by_object(portrait: Photo) -> None:
    box = Box(1, 2, 30, 40)
    three: Detector = Three()
    follow: Landmarker = Follow()
    assert isinstance(make_finder("dlib").detector, DlibDetector)
    assert isinstance(make_finder("dlib").landmarker, DlibLandmarker)
    assert make_finder("dlib", box=box).detector.detect(portrait)[0].box == box
    assert isinstance(make_finder("none", box=box).landmarker, DlibLandmarker)
    whole = make_finder("none")  # a picture that is a face is taken as it is
    assert isinstance(whole.detector, GivenBox)
    assert isinstance(whole.landmarker, DetectorLandmarks)
    given = make_finder(three, follow)
    assert given.detector is three
    assert given.landmarker is follow


def test_a_detector_without_landmarks_is_not_asked_for_them() -> None:
    with pytest.raises(OptionError, match="dlib gives no landmarks; use landmarks dlib, heatmap or fan"):
        make_finder("dlib", "detector")
    with pytest.raises(OptionError, match="three gives no landmarks; use landmarks dlib, heatmap or fan"):
        make_finder(Three(), "detector")
    assert isinstance(make_finder("none", "detector").landmarker, DetectorLandmarks)
