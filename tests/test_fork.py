"""A pipeline that was used before a fork (gunicorn --preload): the child answers the same, and ends well."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

CODE = """
import os, sys, time
import numpy as np, skimage.data
from spiralage import AgePipeline
detector, threads = sys.argv[1], int(sys.argv[2])
photo = np.ascontiguousarray(skimage.data.astronaut()[:256, 100:356])
pipeline = AgePipeline(detector=detector, threads=threads, restorer="spiral")
cut = np.ascontiguousarray(photo[:, 90:])  # what lies beyond it is restored
alone = [face.age.mean for picture in (photo, cut) for face in pipeline.estimate(picture)]
assert alone
children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        again = [face.age.mean for picture in (photo, cut) for face in pipeline.estimate(picture)]
        sys.exit(0 if np.allclose(again, alone, atol=1e-3) else 3)
    children.append(child)
again = [face.age.mean for picture in (photo, cut) for face in pipeline.estimate(picture)]
assert np.allclose(again, alone, atol=1e-3)
ends = time.time() + 30
while children and time.time() < ends:
    done, status = os.waitpid(children[0], os.WNOHANG)
    if done:
        assert status == 0, f"a child ended with status {status}"
        children.pop(0)
    time.sleep(0.05)
for child in children:
    os.kill(child, 9)
assert not children, "a child hangs"
"""


def fork(detector: str, threads: int, engine: str) -> None:
    command = [sys.executable, "-c", CODE, detector, str(threads)]
    environment = os.environ | {"SPIRALAGE_ENGINE": engine}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("detector", "threads"), [("none", 2), ("dlib", 1)])
def test_onnx_runtime(detector: str, threads: int) -> None:
    fork(detector, threads, "onnxruntime")


@pytest.mark.usefixtures("yunet_file")
@pytest.mark.parametrize("threads", [1, 2])
def test_yunet(threads: int) -> None:
    fork("yunet", threads, "onnxruntime")


@pytest.mark.parametrize("threads", [1, 2])
def test_openvino(threads: int) -> None:
    pytest.importorskip("openvino")
    fork("none", threads, "openvino")
