"""Sheets of real photos to be looked at, and what was counted on them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx_models import occlusion_model
from pngs import encode_png

from spiralage.cli import main
from spiralage.errors import DatasetError, InputError
from spiralage.evaluation.real_masks import COUNTS, LABEL, SIDE, counted_page, look_at_photos
from spiralage.evaluation.results import CountedFace, read_rows, write_rows
from spiralage.faces.find import FaceFinder
from spiralage.occlusion.network import NetworkFinder
from spiralage.types import Box, Face, Photo


class Corners:
    """Finds a face in the left half and one in the right half of wide photos, none in others."""

    name = "corners"
    gives_landmarks = False

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        width, height = photo.size
        if width < 2 * height:
            return ()
        return tuple(Face(Box(x, 0, height, height), score) for x, score in ((0, 0.9), (height, 0.8)))


class Nowhere:
    name = "nowhere"

    def locate(self, photo: Photo, face: Face) -> None:
        return None


def folder_of(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two people, the right one with something red in front; one picture without a face; one that is none."""
    wide = np.full((256, 512, 3), 90, np.uint8)
    wide[128:, 256:, 0] = 255
    square = np.full((100, 100, 3), 50, np.uint8)
    files = {"a.png": encode_png(wide), "b.png": encode_png(square), "c.png": b"none"}
    return folder_of(tmp_path / "photos", files)


@pytest.fixture
def finder(tmp_path: Path) -> NetworkFinder:
    path = tmp_path / "reds.onnx"
    path.write_bytes(occlusion_model(threshold="0.8"))
    return NetworkFinder(path)


def test_every_face_is_shown_and_has_a_line(photos: Path, finder: NetworkFinder, tmp_path: Path) -> None:
    done = list(look_at_photos(photos, tmp_path / "out", FaceFinder(Corners(), Nowhere()), finder))
    assert done == [(1, 3), (2, 3), (3, 3)]
    rows = read_rows(tmp_path / "out" / COUNTS, CountedFace)
    assert [(row.photo, row.number, row.face) for row in rows] == [
        ("a.png", 1, 1),
        ("a.png", 1, 2),
        ("b.png", 2, 0),
        ("c.png", 3, 0),
    ]
    assert [row.hidden for row in rows] == [0, 0.5, None, None]
    sheet = cv2.imread(str(tmp_path / "out" / "sheet-00.png"))
    assert sheet is not None
    left, right = (sheet[LABEL + 120, (2 * face + 1) * SIDE + 80].tolist() for face in (0, 1))
    assert left == [90, 90, 90]
    assert right != sheet[LABEL + 120, 2 * SIDE + 80].tolist()  # tinted
    assert not (tmp_path / "out" / "sheet-01.png").exists()


def test_no_pictures_is_said(tmp_path: Path, finder: NetworkFinder) -> None:
    path = folder_of(tmp_path / "x", {"readme.txt": b""})
    with pytest.raises(DatasetError, match="no pictures in it"):
        list(look_at_photos(path, tmp_path / "out", FaceFinder(Corners(), Nowhere()), finder))


def counted(**values: object) -> CountedFace:
    known = {"photo": "a.jpg", "number": 1, "face": 1, "hidden": 0.3, "eye_distance": 30} | values
    return CountedFace.model_validate(known)


def test_what_was_counted_is_summed(tmp_path: Path) -> None:
    right = {"is_face": 1, "covered": 1, "found": 1, "outline_right": 1, "false_find": 0}
    rows = [
        counted(**right, faces_missed=2),
        counted(face=2, eye_distance=9, **(right | {"outline_right": 0, "false_find": 1})),
        counted(number=2, eye_distance=20, photo="b.jpg", **(right | {"covered": 0, "found": 0, "outline_right": 0})),
        counted(number=3, photo="c.jpg", **(right | {"is_face": 0})),
        counted(number=4, photo="d.jpg", face=0, hidden=None, faces_missed=1),
    ]
    write_rows(tmp_path / COUNTS, CountedFace, rows)
    page = counted_page(tmp_path / COUNTS)
    for line in (
        "| photos | 4 |  |  |  |",
        "| faces found, of those that can be seen | 3 of 6 (50%) |  |  |  |",
        "| found where no face is | 1 of 4 (25%) |  |  |  |",
        "says the program | 2 of 2 (100%) | 1 of 1 (100%) | 0 of 0 | 1 of 1 (100%) |",
        "| something in front of the face, found | 2 of 2 (100%) | 1 of 1 (100%) | 0 of 0 | 1 of 1 (100%) |",
        "| its outline right | 1 of 2 (50%) | 1 of 1 (100%) | 0 of 0 | 0 of 1 (0%) |",
        "| something else found, too | 1 of 2 (50%) | 0 of 1 (0%) | 0 of 0 | 1 of 1 (100%) |",
        "| something found on faces with nothing in front | 0 of 1 (0%) | 0 of 0 | 0 of 1 (0%) | 0 of 0 |",
    ):
        assert line in page
    assert main(["evaluate", "real-masks-table", str(tmp_path / COUNTS), "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "real-masks.md").read_text() == page
    assert read_rows(tmp_path / "out" / "real-masks.csv", CountedFace) == rows


def test_a_line_that_nobody_looked_at_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / COUNTS, CountedFace, [counted(is_face=1)])
    with pytest.raises(InputError, match="photo 1, face 1 isn't filled in"):
        counted_page(tmp_path / COUNTS)
