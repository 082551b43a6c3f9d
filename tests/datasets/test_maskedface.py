"""MaskedFace-Net: drawn masks and their outlines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from packed import three_forms, write_folder
from test_face_classes import encoded

from spiralage.datasets import maskedface
from spiralage.datasets.manifest import split_by_hash
from spiralage.datasets.maskedface import OutlineClass
from spiralage.datasets.sources import SOURCES
from spiralage.errors import DatasetError
from spiralage.types import Pixels


def outline() -> Pixels:
    classes = np.zeros((256, 256), np.uint8)
    classes[40:220, 60:200] = OutlineClass.FACE
    classes[130:220, 70:190] = OutlineClass.MASK
    return classes


FILES = {
    "MaskedFace-450/images/CWM-00002.webp": b"well",
    "MaskedFace-450/images/IWM-00007.webp": b"badly",
    "MaskedFace-450/masks/CWM-00002.png": encoded(outline()),
    "MaskedFace-450/masks/IWM-00007.png": encoded(np.zeros((256, 256), np.uint8)),
}


def test_pictures_and_outlines(tmp_path: Path) -> None:
    for path in three_forms(tmp_path, FILES):
        (well, first), (badly, second) = maskedface.read(path)
        assert (well.image, badly.image, first, second) == ("CWM-00002.webp", "IWM-00007.webp", b"well", b"badly")
        assert (well.subject, well.age, well.split) == ("ffhq-00002", None, split_by_hash("ffhq-00002"))
        with SOURCES["maskedface"].classes(path) as read_one:
            assert read_one is not None
            np.testing.assert_array_equal(read_one(well.image), outline())
            assert not read_one(badly.image).any()


def test_a_face_under_two_masks_is_in_one_split() -> None:
    one, other = maskedface.parse_name("CWM-00009.webp"), maskedface.parse_name("IWM-00009.webp")
    assert one is not None
    assert other is not None
    assert (one.subject, one.split) == (other.subject, other.split)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"readme.txt": b""}, "no picture named like CWM-00002.webp in it"),
        ({"images/00002.webp": b""}, "images/00002.webp is not named like MaskedFace-Net's pictures"),
        ({"a/CWM-00002.webp": b"", "b/CWM-00002.webp": b""}, "b/CWM-00002.webp is there twice"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    path = write_folder(tmp_path / "x", files)
    with pytest.raises(DatasetError, match=message):
        list(maskedface.read(path))


def test_an_outline_has_three_classes(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "x", {"images/CWM-00002.webp": b"", "masks/CWM-00002.png": encoded(outline() + 1)})
    with maskedface.opened_classes(path) as read_one:
        assert read_one is not None
        with pytest.raises(DatasetError, match="class 3, but there are 3, from 0"):
            read_one("CWM-00002.webp")
        with pytest.raises(DatasetError, match=r"CWM-00003\.webp has no classes in masks"):
            read_one("CWM-00003.webp")


def test_the_archive(data_folder: Path) -> None:
    path = data_folder / maskedface.ARCHIVES[0]
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    rows = [row for row, _ in maskedface.read(path)]
    assert len(rows) == 450
    assert {row.split for row in rows} == {"train", "val", "test"}
    with maskedface.opened_classes(path) as read_one:
        assert read_one is not None
        assert set(np.unique(read_one(rows[0].image)).tolist()) == set(OutlineClass)
