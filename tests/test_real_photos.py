"""Real photos of people in masks: found, read, reported. They stay where they are."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from spiralage import AgePipeline

EVERY = 10  # of the 200 photos


@pytest.fixture(scope="module")
def masked_photos(data_folder: Path) -> list[bytes]:
    path = data_folder / "masked_faces.zip"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        return [archive.read(name) for name in names[::EVERY]]


def test_yunet_finds_masked_people_and_reads_plausible_ages(masked_photos: list[bytes], yunet_file: Path) -> None:
    pipeline = AgePipeline(detector="yunet", yunet=yunet_file)
    answers = [pipeline.estimate(photo) for photo in masked_photos]
    with_faces = [faces for faces in answers if faces]
    assert len(with_faces) >= 0.85 * len(masked_photos)
    for faces in with_faces:
        for face in faces:
            low, high = face.age.interval()
            assert 0 <= low < face.age.mean < high <= 100
            assert face.age.std > 0.5
            assert 0 <= face.occlusion.fraction < 1
