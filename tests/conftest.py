"""What several test files share: a portrait, its face, and the folders that only some machines have."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from spiralage.faces.align import align
from spiralage.faces.dlib_faces import DlibDetector, DlibLandmarker
from spiralage.faces.find import FaceFinder
from spiralage.model_files import YUNET
from spiralage.types import AlignedFace, Face, Photo


@pytest.fixture(scope="session")
def portrait() -> Photo:
    """NASA's portrait of Eileen Collins, 512×512, public domain; scikit-image ships it."""
    return Photo(np.asarray(skimage.data.astronaut()), "portrait")  # type: ignore[no-untyped-call]


@pytest.fixture(scope="session")
def dlib_landmarker() -> DlibLandmarker:
    """dlib's landmarker, whose 100 MB file is read once."""
    return DlibLandmarker()


@pytest.fixture(scope="session")
def portrait_face(portrait: Photo, dlib_landmarker: DlibLandmarker) -> Face:
    """The face that dlib finds in the portrait, with dlib's 68 landmarks."""
    (found,) = FaceFinder(DlibDetector(), dlib_landmarker).find(portrait, most=2)
    return found.face


@pytest.fixture(scope="session")
def portrait_crop(portrait: Photo, portrait_face: Face) -> AlignedFace:
    """The portrait's face, aligned."""
    return align(portrait, portrait_face)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of data-set archives that SPIRALAGE_DATA names."""
    folder = os.environ.get("SPIRALAGE_DATA")
    if not folder:
        pytest.skip("SPIRALAGE_DATA names no folder of data sets")
    if not Path(folder).is_dir():
        pytest.skip(f"SPIRALAGE_DATA is {folder}, which is not a folder")
    return Path(folder)


@pytest.fixture(scope="session")
def yunet_file() -> Path:
    """The YuNet detector's ONNX file in the folder that SPIRALAGE_MODELS names."""
    folder = os.environ.get("SPIRALAGE_MODELS")
    if not folder:
        pytest.skip("SPIRALAGE_MODELS names no folder of model files")
    file = Path(folder) / YUNET.name
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    return file


@pytest.fixture(autouse=True)
def _own_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test computes as precisely as the processor would have it: each says what it wants."""

    def refuse(device: str) -> bool:
        raise AssertionError(f"the precision of this test is the {device}'s; set it, see synthetic.FLOAT32")

    if "spiralage.training.fabric" in sys.modules:
        monkeypatch.setattr("spiralage.training.fabric.computes_bfloat16", refuse)
