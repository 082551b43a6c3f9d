"""CelebAMask-HQ's classes: read with care, and aligned as the photo is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from packed import three_forms, write_zip
from PIL import Image
from pngs import encode_png

from spiralage.datasets import celeba_hq
from spiralage.datasets.build_crops import build_crops
from spiralage.datasets.crops import Crops
from spiralage.datasets.face_classes import FaceClass, aligned_classes
from spiralage.datasets.sources import SOURCES
from spiralage.errors import DatasetError
from spiralage.faces.align import align
from spiralage.faces.find import FaceFinder
from spiralage.types import Box, Face, Landmarks, Photo, Pixels

POINTS = np.array([[120.0, 160.0], [260.0, 150.0], [190.0, 240.0], [140.0, 320.0], [250.0, 310.0]])


def some_classes() -> Pixels:
    """Blocks of 16×16 pixels, each of another class than its neighbours."""
    rows, columns = np.mgrid[0:16, 0:16]
    return np.asarray(((5 * rows + columns) % len(FaceClass)).repeat(16, 0).repeat(16, 1), np.uint8)


def encoded(classes: Pixels, mode: str = "P") -> bytes:
    image = Image.fromarray(classes)
    if mode == "P":
        image.putpalette([value for n in range(256) for value in (n, 255 - n, 7 * n % 256)])
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, format="PNG")
    return buffer.getvalue()


def painted(classes: Pixels, side: int) -> Pixels:
    """A photo, each pixel of the colour of what it shows."""
    large = np.asarray(Image.fromarray(classes).resize((side, side), Image.Resampling.NEAREST))
    return np.stack([12 * large, 255 - 12 * large, large], axis=2).astype(np.uint8)


@pytest.mark.parametrize("side", [128, 256, 400, 1024])
def test_classes_lie_where_the_photos_pixels_lie(side: int) -> None:
    classes = some_classes()
    points = POINTS * side / 400
    face = align(Photo(painted(classes, side)), Face(Box(0, 0, side, side), landmarks=Landmarks(points, "given")))
    found = aligned_classes(classes, (side, side), face)
    shown = np.rint(face.pixels[..., 0] / 12)
    edge = np.zeros_like(face.inside)
    edge[1:, 1:] = (found[1:, 1:] != found[:-1, 1:]) | (found[1:, 1:] != found[1:, :-1])
    near = edge | ~face.inside
    for by in (-2, -1, 1, 2):
        near = near | np.roll(edge, by, axis=0) | np.roll(edge, by, axis=1)
    flat = ~near
    assert flat.mean() > 0.2
    assert (found[flat] == shown[flat]).mean() > 0.99
    assert (found[~face.inside] == FaceClass.BACKGROUND).all()


def test_classes_are_read_beside_their_pictures(tmp_path: Path) -> None:
    first, second = np.zeros((256, 256), np.uint8), some_classes()
    files = {"x/images/b.webp": b"", "x/masks/b.png": encoded(second), "x/images/a.webp": b""}
    for path in three_forms(tmp_path, files | {"x/masks/a.png": encoded(first)}):
        (a, classes_a), (b, classes_b) = celeba_hq.classes_of(path)
        assert (a, b) == ("x/images/a.webp", "x/images/b.webp")
        np.testing.assert_array_equal(classes_a, first)
        np.testing.assert_array_equal(classes_b, second)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no folder masks"),
        ({"masks/b.png": b""}, "a.webp has no classes in masks"),
        ({"masks/a.png": b"no picture"}, r"masks/a\.png: no readable PNG"),
        ({"masks/a.png": encoded(some_classes())[:300]}, r"masks/a\.png: no readable PNG"),
        ({"masks/a.png": encoded(some_classes()[:128])}, "256×128 pixels of mode P"),
        ({"masks/a.png": encoded(some_classes(), "RGB")}, "256×256 pixels of mode RGB"),
        ({"masks/a.png": encoded(some_classes() + np.uint8(1))}, "class 19, but there are 19, from 0"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    path = write_zip(tmp_path / "x.zip", {"images/a.webp": b"", **files})
    with pytest.raises(DatasetError, match=message):
        list(celeba_hq.classes_of(path))


class Nobody:
    name = "nobody"
    gives_landmarks = False

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        return ()


class Nowhere:
    name = "nowhere"

    def locate(self, photo: Photo, face: Face) -> None:
        return None


def test_crops_keep_them(tmp_path: Path) -> None:
    classes = some_classes()
    path = write_zip(
        tmp_path / "x.zip", {"images/a.png": encode_png(painted(classes, 512)), "masks/a.png": encoded(classes)}
    )
    finder = FaceFinder(Nobody(), Nowhere())
    with SOURCES["celeba-hq"].classes(path) as read:
        build_crops(celeba_hq.read(path), tmp_path / "with", finder, data="celeba-hq", classes=read)
    crops = Crops(tmp_path / "with")
    assert crops.has_classes
    np.testing.assert_array_equal(crops.classes(np.array([0]))[0], classes)  # no face: the whole picture
    build_crops(celeba_hq.read(path), tmp_path / "without", finder, data="celeba-hq")
    crops = Crops(tmp_path / "without")
    assert not crops.has_classes
    with pytest.raises(DatasetError, match="no classes here; build the crops again"):
        crops.classes(np.array([0]))


def test_lists_and_other_sets_have_none(tmp_path: Path) -> None:
    (tmp_path / "train.flist").write_text("")
    with SOURCES["celeba-hq"].classes(tmp_path) as read, SOURCES["aaf"].classes(tmp_path) as other:
        assert read is None
        assert other is None
