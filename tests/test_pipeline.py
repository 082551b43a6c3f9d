"""The way of a photo, from Python."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from pngs import encode_png

from spiralage import AgePipeline, Box, Photo
from spiralage import pipeline as pipeline_module
from spiralage.errors import FolderError, ModelFileError, OptionError, PhotoError
from spiralage.faces.align import invert, transform
from spiralage.image_io import PhotoLike
from spiralage.occlusion.segment import nothing_hidden
from spiralage.occlusion.window import paper_mask
from spiralage.pipeline import FACES_AT_ONCE, MOST_WAITING
from spiralage.restoration.baselines import Blank
from spiralage.types import AgeEstimate, Face, Pixels


def test_every_kind_of_photo_gives_the_same_answer(tmp_path: Path, portrait: Photo) -> None:
    pipeline = AgePipeline(detector="dlib")
    data = encode_png(portrait.pixels)
    path = tmp_path / "p.png"
    path.write_bytes(data)
    photos: list[PhotoLike] = [portrait, portrait.pixels, path, str(path), data, Image.open(io.BytesIO(data))]
    means = {pipeline.estimate(photo)[0].age.mean for photo in photos}
    assert len(means) == 1


def test_report_holds_every_step(portrait: Photo) -> None:
    (report,) = AgePipeline(detector="dlib", occlusion=lambda face: paper_mask()).estimate(portrait)
    assert report.face.landmarks is not None
    assert report.occlusion.fraction == 0.75
    assert report.restoration.restorer == "spiral"
    visible = ~report.occlusion.mask
    np.testing.assert_array_equal(report.restoration.pixels[visible], report.aligned.pixels[visible])
    assert report.aligned.landmarks is not None
    back = transform(report.aligned.landmarks.points, invert(report.aligned.matrix))
    np.testing.assert_allclose(back, report.face.landmarks.points, atol=1e-6)


def test_what_lies_beyond_the_photo_is_hidden_and_restored(portrait: Photo) -> None:
    cut = Photo(np.ascontiguousarray(portrait.pixels[:, 190:]))
    (report,) = AgePipeline(detector="none", box=Box(-11, 83, 88, 88), restorer="mean-face").estimate(cut)
    assert 0.01 < report.occlusion.fraction < 0.5
    assert report.occlusion.kind == "frame"
    assert report.restoration.restorer == "mean-face"


def test_hidden_pixels_do_not_leak_into_the_estimate(portrait: Photo) -> None:
    def scrambled(face_restorer: str, photo: Photo) -> float:
        pipeline = AgePipeline(
            detector="none",
            occlusion=lambda face: paper_mask(),
            restorer=face_restorer,
        )
        return pipeline.estimate(photo)[0].age.mean

    crop = np.ascontiguousarray(portrait.pixels[:256, 100:356])
    other = np.where(paper_mask().mask[..., None], 255 - crop, crop)
    for restorer in ("none", "inpaint", "mean-face", "imagine", "spiral"):
        assert scrambled(restorer, Photo(crop)) == scrambled(restorer, Photo(other))


def test_a_crowd_is_answered_face_by_face(portrait: Photo) -> None:
    face = portrait.pixels[40:200, 140:300]
    crowd = Photo(np.tile(face, (6, 8, 1)))
    reports = AgePipeline(detector="dlib").estimate(crowd)
    assert len(reports) >= 40  # 48 faces, more than one batch of the runtime
    means = np.array([report.age.mean for report in reports])
    assert means.std() < 5  # the same person, up to the detector's jitter


def test_a_crowd_over_the_limit_is_cut_and_said(
    portrait: Photo, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pipeline_module, "MOST_FACES", 3)
    crowd = Photo(np.tile(portrait.pixels[40:200, 140:300], (2, 3, 1)), "crowd")
    assert len(AgePipeline(detector="dlib").estimate(crowd)) == 3
    assert "crowd: 6 faces found, the surest 3 are read" in caplog.text


def test_batch_goes_on_after_a_bad_photo(tmp_path: Path, portrait: Photo) -> None:
    good = tmp_path / "good.png"
    good.write_bytes(encode_png(portrait.pixels))
    paths = [tmp_path / "missing.png", good]
    first, second = AgePipeline(detector="dlib").estimate_each(paths)
    assert first.error is not None
    assert first.faces == ()
    assert second.error is None
    assert len(second.faces) == 1
    assert second.photo is None


def test_clear_errors() -> None:
    with pytest.raises(PhotoError, match="no such file"):
        AgePipeline(detector="dlib").estimate("missing.jpg")
    with pytest.raises(PhotoError, match=r"shape \(8, 8, 5\)"):
        AgePipeline(detector="dlib").estimate(np.zeros((8, 8, 5)))
    with pytest.raises(ModelFileError, match=r"no network 'nonsense'.*there are best"):
        AgePipeline(detector="dlib", network="nonsense")
    with pytest.raises(OptionError, match="gives no landmarks"):
        AgePipeline(detector="dlib", landmarks="detector")


@pytest.mark.parametrize("stage", ["detector", "landmarks", "restorer", "network", "occlusion"])
@pytest.mark.parametrize("given", [None, 5])
def test_what_is_no_stage_is_said_at_once(stage: str, given: Any) -> None:
    with pytest.raises(OptionError, match=f"{stage}: got {given}; give a"):
        AgePipeline(**{stage: given})


def test_an_occlusion_by_name(portrait: Photo) -> None:
    (named,) = AgePipeline(detector="dlib", occlusion="paper", restorer="inpaint").estimate(portrait)
    assert (named.occlusion.kind, named.occlusion.fraction) == ("paper", 0.75)
    with pytest.raises(OptionError, match="occlusion papers: no such occlusion; choose auto, network, frame, none, "):
        AgePipeline(occlusion="papers")


RESEARCH = (["training"], ["evaluation"], ["networks"], ["export"])


class FakeFinder:
    """A detector and landmarker in one: as many faces as a photo has rows, less one."""

    name, gives_landmarks = "yunet", True

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        return tuple(Face(Box(0, 0, 8, 8)) for _ in range(photo.size[1] - 1))

    def locate(self, photo: Photo, face: Face) -> None:
        return None


class FakeEstimator:
    """Tells one age; notes how many crops it was asked about at a time; chokes on what is white."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def estimate(self, crops: Pixels) -> tuple[AgeEstimate, ...]:
        self.asked.append(len(crops))
        if crops.max() == 255:
            raise ZeroDivisionError("white\nas snow")
        if crops.max() == 254:
            raise KeyboardInterrupt
        return tuple(AgeEstimate(np.eye(101, dtype=np.float32)[30]) for _ in crops)


def photo_with(faces: int, colour: int = 100) -> Photo:
    return Photo(np.full((faces + 1, 40, 3), colour, np.uint8), f"{faces} faces")


@pytest.fixture
def estimator() -> FakeEstimator:
    return FakeEstimator()


@pytest.fixture
def fake(estimator: FakeEstimator, monkeypatch: pytest.MonkeyPatch) -> AgePipeline:
    monkeypatch.setattr(pipeline_module, "MOST_SECONDS_WAITING", 60)  # of a machine that is busy with something else
    finder = FakeFinder()
    return AgePipeline(detector=finder, landmarks=finder, occlusion=nothing_hidden, restorer=Blank(), network=estimator)


def test_every_stage_can_be_an_object(fake: AgePipeline) -> None:
    assert [report.age.mean for report in fake.estimate(photo_with(3))] == [30] * 3


def test_faces_of_many_photos_are_read_together(fake: AgePipeline, estimator: FakeEstimator) -> None:
    counts = [0, 1, 2, 0, 70, *[1] * 40, 0, 3]
    reports = list(fake.estimate_many(photo_with(count) for count in counts))
    assert [len(report.faces) for report in reports] == counts
    assert [report.image for report in reports] == [f"{count} faces" for count in counts]
    assert sum(estimator.asked) == sum(counts)
    assert max(estimator.asked) <= FACES_AT_ONCE
    assert len(estimator.asked) < 10


def test_reports_come_while_photos_do(fake: AgePipeline) -> None:
    taken = 0

    def photos() -> Iterator[Photo]:
        nonlocal taken
        for count in [0] * 3 + [1] * 500:
            taken += 1
            yield photo_with(count)

    reports = fake.estimate_many(photos())
    for number in range(1, 4):
        next(reports)
        assert taken == number  # nobody waits for faces that aren't there
    next(reports)
    assert taken <= 3 + MOST_WAITING


def test_no_photo_waits_long_for_others(fake: AgePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "MOST_SECONDS_WAITING", -1)
    taken = 0

    def photos() -> Iterator[Photo]:
        nonlocal taken
        for _ in range(20):
            taken += 1
            yield photo_with(1)

    for number, _ in enumerate(fake.estimate_many(photos()), 1):
        assert taken == number


def test_large_photos_that_are_kept_do_not_pile_up(fake: AgePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "MOST_PIXELS_WAITING", 300)
    taken = 0

    def photos() -> Iterator[Photo]:
        nonlocal taken
        for _ in range(50):
            taken += 1
            yield photo_with(1)

    reports = fake.estimate_many(photos(), keep_photos=True)
    assert next(reports).photo is not None
    assert taken <= 4


def test_only_the_culprit_has_the_error(fake: AgePipeline) -> None:
    photos = [photo_with(1), photo_with(2, 255), photo_with(0), photo_with(1)]
    reports = list(fake.estimate_many(photos))
    assert [len(report.faces) for report in reports] == [1, 0, 0, 1]
    said = "ZeroDivisionError: white as snow; please report it with the photo's format and size"
    assert [bool(report.error) for report in reports] == [False, True, False, False]
    assert str(reports[1].error).startswith(said)


@pytest.mark.parametrize("error", [ValueError("odd"), OSError(22, "odd"), MemoryError(), RecursionError("a\nb")])
def test_whatever_a_photo_raises_is_its_row(
    fake: AgePipeline, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def odd(photo: object) -> Photo:
        if photo == "odd.jpg":
            raise error
        return photo_with(1)

    monkeypatch.setattr(pipeline_module, "as_photo", odd)
    reports = list(fake.estimate_each([Path("a.jpg"), "odd.jpg", Path("b.jpg")]))  # type: ignore[list-item]
    assert [report.image for report in reports] == ["a.jpg", "odd.jpg", "b.jpg"]
    assert [len(report.faces) for report in reports] == [1, 0, 1]
    assert str(reports[1].error).startswith(type(error).__name__)
    assert "\n" not in str(reports[1].error)


def test_ctrl_c_ends_a_batch(fake: AgePipeline) -> None:
    with pytest.raises(KeyboardInterrupt):
        list(fake.estimate_many([photo_with(1), photo_with(1, 254)]))


def test_a_folder_that_can_not_be_searched_is_a_row(fake: AgePipeline) -> None:
    (report,) = fake.estimate_each([FolderError(Path("locked"), "can't be searched")])
    assert (report.image, report.error) == ("locked", "locked: can't be searched")


def test_many_photos_read_as_they_would_be_alone(portrait: Photo) -> None:
    photos = [Photo(np.ascontiguousarray(portrait.pixels[: 300 + 20 * n, 90:400]), str(n)) for n in range(4)]
    pipeline = AgePipeline(detector="none", threads=1)
    together = [[face.age.mean for face in report.faces] for report in pipeline.estimate_many(photos)]
    alone = [[face.age.mean for face in pipeline.estimate(photo)] for photo in photos]
    np.testing.assert_allclose(together, alone, atol=1e-3)


def answers_by_threads(detector: str, portrait: Photo, count: int) -> None:
    """8 threads share a pipeline: each photo's answer is what it is alone."""
    face = cv2.resize(portrait.pixels[20:240, 110:330], (140, 140), interpolation=cv2.INTER_AREA)
    sides = (0, 12, 24, 36)
    photos = [np.pad(face, ((side, 30), (30, side), (0, 0))) for side in sides]
    pipeline = AgePipeline(detector=detector, restorer="mean-face", threads=1)  # type: ignore[arg-type]
    alone = [[report.age.mean for report in pipeline.estimate(photo)] for photo in photos]
    assert all(alone)
    assert len({round(ages[0], 3) for ages in alone}) > 1  # photos differ, else agreeing would say little
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: [r.age.mean for r in pipeline.estimate(photos[n % len(photos)])], range(count)))
    for number, ages in enumerate(found):
        assert ages == pytest.approx(alone[number % len(photos)], abs=1e-3)


def test_threads_share_a_pipeline_with_dlib(portrait: Photo) -> None:
    answers_by_threads("dlib", portrait, 100)


@pytest.mark.usefixtures("yunet_file")
def test_threads_share_a_pipeline_with_yunet(portrait: Photo) -> None:
    answers_by_threads("yunet", portrait, 200)


FORBIDDEN = ("torch", "lightning_fabric", "kornia", "scipy", "matplotlib", "skimage", "onnx")


def test_the_way_of_a_photo_needs_neither_pytorch_nor_training() -> None:
    code = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        parts = name.split(".")
        if parts[0] in {FORBIDDEN!r} or parts[0] == "spiralage" and parts[1:2] in {RESEARCH!r}:
            raise ImportError(name + ' is not for inference')
sys.meta_path.insert(0, Block())
import numpy as np
import spiralage.cli
from spiralage import AgePipeline
print(AgePipeline(detector='none').estimate(np.zeros((64, 64, 3), np.uint8))[0].age.mean)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 0 <= float(done.stdout) <= 100


@pytest.mark.parametrize("mistake", [{"detector": "dlip"}, {"landmarks": "fann"}])
@pytest.mark.parametrize("given", [{}, {"detector": "none"}, {"box": Box(40, 30, 120, 150)}])
def test_a_mistyped_name_is_told_whatever_else_is_given(mistake: dict[str, Any], given: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=r"'(dlip|fann)'; choose .*dlib.* or (none|fan)"):
        AgePipeline(restorer="none", **given | mistake)


@pytest.mark.parametrize("values", [(np.nan, 0, 9, 9), (0, np.inf, 9, 9), (0, 0, 0, 9), (0, 0, 9, -1)])
def test_a_box_that_can_not_be_is_told(values: tuple[float, float, float, float]) -> None:
    with pytest.raises(OptionError, match=r"positive width and height, got .*; give x, y, width and height"):
        AgePipeline(box=Box(*values))
    with pytest.raises(OptionError, match=r"a Box\(x, y, width, height\) in photo pixels, got "):
        AgePipeline(box=values)  # type: ignore[arg-type]
