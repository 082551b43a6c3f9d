"""The demo, through its real entry point."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spiralage.cli import main
from spiralage.demo import run_demo
from spiralage.errors import InputError
from spiralage.occlusion.occluders import cover_face
from spiralage.types import Photo


def test_demo_prints_its_rows_and_writes_two_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--output", str(tmp_path), "--detector", "dlib"]) == 0
    out = capsys.readouterr().out
    assert all(row in out for row in ("original", "masked", "restored", "mask, found", "found and restored"))
    assert "75%" in out
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 5
    assert page.count("data:image/jpeg;base64,") == 1 + 1 + 2 + 3 + 2 + 3  # the photo, then each step
    assert 'src="http' not in page
    with Image.open(tmp_path / "figure.png") as figure:
        assert figure.size[0] > 800


def test_the_readings_differ_as_they_should(tmp_path: Path) -> None:
    steps = run_demo(tmp_path, detector="dlib").steps
    original, masked, restored, found, refilled = (report for _, report in steps)
    assert original.occlusion.fraction == 0
    assert masked.occlusion.fraction == restored.occlusion.fraction == 0.75
    assert (masked.restoration.pixels[masked.occlusion.mask] == 0).all()
    assert (restored.restoration.pixels[restored.occlusion.mask] > 0).any()
    assert len({report.age.mean for _, report in steps}) == 5
    drawn = cover_face(original.aligned, "surgical-mask").mask
    assert found.occlusion.kind == refilled.occlusion.kind == "found"
    assert (found.occlusion.mask & drawn).sum() / (found.occlusion.mask | drawn).sum() > 0.8


def test_a_photo_without_a_face_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no face found"):
        run_demo(tmp_path, photo=Photo(np.zeros((90, 90, 3), np.uint8)), detector="dlib")
