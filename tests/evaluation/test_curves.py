"""Table and plot of a training's validation."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from spiralage.cli import main
from spiralage.errors import InputError
from spiralage.evaluation.curves import draw_curve, write_curves, write_training
from spiralage.evaluation.protocols.validation import TABLE
from spiralage.evaluation.results import ValidationRow, read_rows, write_rows

ROW = ValidationRow(
    recipe="imagine-128",
    step=500,
    minutes=30,
    psnr=15.25,
    ssim=0.5,
    feature_fid=50.0,
    images=200,
    features="best",
    seed=0,
    commit="0123456789ab",
    hardware="A CPU, 2 cores",
)
ROWS = [ROW, ROW.model_copy(update={"step": 1000, "minutes": 60.0, "psnr": 16.5, "lpips": 0.25})]


def picture_of(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()), formats=["PNG"])


def test_a_curve_shows_what_was_measured() -> None:
    axes = Figure().subplots()
    draw_curve(axes, "psnr", ROWS)
    draw_curve(axes, "lpips", ROWS)
    psnr, lpips = axes.lines
    assert np.asarray(psnr.get_xydata()).tolist() == [[0.5, 15.25], [1.0, 16.5]]
    np.testing.assert_array_equal(np.asarray(lpips.get_ydata()), [np.nan, 0.25])


def test_what_was_not_measured_has_no_plot(tmp_path: Path) -> None:
    for name, rows in (("three", ROWS[:1]), ("four", ROWS)):
        write_curves(tmp_path / name, rows)
    widths = [picture_of(tmp_path / name).width for name in ("three", "four")]
    assert widths[0] / 3 == pytest.approx(widths[1] / 4, abs=1)


def test_the_command_writes_table_and_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(tmp_path / "run" / TABLE, ValidationRow, ROWS)
    assert main(["evaluate", "training", str(tmp_path / "run"), "-o", str(tmp_path / "results")]) == 0
    folder = tmp_path / "results" / "training"
    assert read_rows(folder / "imagine-128.csv", ValidationRow) == ROWS
    assert picture_of(folder / "imagine-128.png").height > 100
    shown = "imagine-128      step 1000, 1.0 h   PSNR 16.50 dB   SSIM 0.5000   LPIPS 0.2500   feature FID 50\n"
    assert capsys.readouterr().out == shown


def test_a_run_without_rows_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        write_training(tmp_path, tmp_path)
    write_rows(tmp_path / TABLE, ValidationRow, [])
    with pytest.raises(InputError, match="until the first validation"):
        write_training(tmp_path, tmp_path)
