"""The way of a photo, from Python."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spiralage import AgePipeline, Box, Photo
from spiralage import pipeline as pipeline_module
from spiralage.errors import ModelFileError, OptionError, PhotoError
from spiralage.faces.align import invert, transform
from spiralage.image_io import PhotoLike, encode_png
from spiralage.occlusion.window import paper_mask


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
    visible = ~report.occlusion.hidden
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
    other = np.where(paper_mask().hidden[..., None], 255 - crop, crop)
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


RESEARCH = (["training"], ["evaluation"], ["networks"], ["export"])
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
