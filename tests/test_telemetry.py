"""No photo leaves: nothing opens a socket, and nothing is written outside the package's own cache."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from spiralage import telemetry

WATCH = """
import os, sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind"):
        os.write(2, f"{event} {arguments}\\n".encode())
    if event == "open" and isinstance(arguments[0], str) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        if not arguments[0].startswith(("/dev/", "/proc/")):
            os.write(2, f"{event} {arguments}\\n".encode())
sys.addaudithook(watch)
"""
ESTIMATE = """
import time
import numpy as np
from spiralage import AgePipeline
cut = np.zeros((64, 64, 3), np.uint8)
AgePipeline(detector="none", threads=1).estimate(cut)
time.sleep(2)  # events are sent, and kept, by a thread of its own
"""
WORKERS = """
import pathlib, sys, time
import numpy as np
from spiralage import AgePipeline
if __name__ == "__main__":
    pipeline = AgePipeline(detector="none", threads=1, restorer="none")
    reports = list(pipeline.estimate_each([pathlib.Path("missing.jpg")] * 3, workers=2))
    assert len(reports) == 3
    time.sleep(1)
"""
COMMAND = """
import time
from spiralage.cli import main
assert main(["estimate", "missing.jpg", "--detector", "dlib", "--json"]) == 1
time.sleep(1)
"""

FIGURE = """
import numpy as np
from spiralage import AgePipeline, Photo
from spiralage.report.figure import draw_figure
photo = Photo(np.zeros((64, 64, 3), np.uint8))
(face,) = AgePipeline(detector="none", threads=1).estimate(photo)
assert draw_figure(photo, [("a face", face)])
"""


def run(code: str, home: Path, **environment: str) -> str:
    """Run code in a process with a fresh home; returns what the audit hook saw."""
    (home / "site").mkdir(parents=True)
    (home / "site" / "sitecustomize.py").write_text(WATCH)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ORT_", "XDG_", "PYTHONPATH"))}
    path = os.pathsep.join([str(home / "site"), *filter(None, sys.path)])
    given = {"HOME": str(home), "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=kept | given,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def written(home: Path) -> list[str]:
    """Every file that came into the home."""
    files = (str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())
    return [name for name in files if not name.startswith("site") and ".cache/spiralage/" not in name]


@pytest.mark.parametrize("code", [ESTIMATE, COMMAND, WORKERS], ids=["python", "command", "workers"])
def test_no_socket_and_no_file(tmp_path: Path, code: str) -> None:
    seen = run(code, tmp_path / "home")
    assert [line for line in seen.splitlines() if line.startswith(("socket.", "open "))] == []
    assert written(tmp_path / "home") == []


def test_nor_with_openvino(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    seen = run(ESTIMATE, tmp_path / "home", SPIRALAGE_ENGINE="openvino")
    assert [line for line in seen.splitlines() if line.startswith(("socket.", "open "))] == []
    assert written(tmp_path / "home") == []


def test_the_figures_library_keeps_its_things_in_our_cache(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run(FIGURE, tmp_path / "home", MPLCONFIGDIR="")
    assert written(tmp_path / "home") == []


def test_a_program_that_imported_onnx_runtime_before(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[bool] = []
    fake = types.ModuleType("onnxruntime")
    fake.disable_telemetry_events = lambda: called.append(True)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)
    monkeypatch.setenv(telemetry.ONNX_RUNTIME_SWITCH, "0")
    telemetry.turn_off()
    assert called == [True]
    assert os.environ[telemetry.ONNX_RUNTIME_SWITCH] == "1"


def test_openvinos_reporter_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = types.ModuleType("openvino_telemetry")
    monkeypatch.setitem(sys.modules, "openvino_telemetry", reporter)
    with telemetry.openvino_is_silent(), pytest.raises(ImportError):
        importlib.import_module("openvino_telemetry")
    assert sys.modules["openvino_telemetry"] is reporter
