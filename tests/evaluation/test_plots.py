"""The plots show numbers computed by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from spiralage.evaluation.plots import draw_calibration, draw_cumulative_score, draw_error_by_age, write_plots
from spiralage.evaluation.results import ConditionKey


@pytest.fixture
def axes() -> Axes:
    return Figure().subplots()


def line(axes: Axes) -> tuple[list[object], list[float]]:
    (drawn,) = axes.lines
    assert drawn.get_label() == "masked none"
    return np.asarray(drawn.get_xdata()).tolist(), np.asarray(drawn.get_ydata()).tolist()


def test_error_by_age_is_the_mean_of_each_group(axes: Axes) -> None:
    ages = np.array([3.0, 4.0, 5.0, 12.0, 50.0, 69.0])
    estimates = np.array([5.0, 4.0, 9.0, 10.0, 53.0, 62.0])  # off by 2, 0, 4, 2, 3, 7
    draw_error_by_age(axes, "masked none", estimates, ages)
    names, means = line(axes)
    assert names == ["0–4", "5–9", "10–14", "15–19", "20–29", "30–39", "40–49", "50–69"]
    np.testing.assert_array_equal(means, [1, 4, 2, np.nan, np.nan, np.nan, np.nan, 5])


def test_calibration_is_the_part_inside_the_interval(axes: Axes) -> None:
    # The truth is at the median, at the end of the central half, and at the very end.
    draw_calibration(axes, "masked none", np.array([0.5, 0.75, 0.0]))
    levels, held = line(axes)
    found = {round(float(str(level)), 2): part for level, part in zip(levels, held, strict=True)}
    assert len(found) == 51
    assert [found[level] for level in (0, 0.48, 0.5, 0.98, 1)] == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3, 1])


def test_an_honest_network_is_on_the_diagonal(axes: Axes) -> None:
    draw_calibration(axes, "masked none", (np.arange(10_000) + 0.5) / 10_000)
    levels, held = line(axes)
    np.testing.assert_allclose(held, np.asarray(levels, np.float64), atol=1e-3)


def test_cumulative_score_counts_the_limit_itself(axes: Axes) -> None:
    draw_cumulative_score(axes, "masked none", np.array([10.0, 21.5, 33.0, 90.0]), np.array([10.0, 20.0, 30.0, 40.0]))
    years, parts = line(axes)
    assert years == list(range(16))
    assert parts == [0.25, 0.25, 0.5] + [0.75] * 13


def test_a_row_of_plots_for_each_block(tmp_path: Path) -> None:
    p = np.full((3, 101), 1 / 101, np.float32)
    ages = np.array([1.0, 40.0, 69.0])
    answers = {ConditionKey("original"): p, ConditionKey("masked", "paper", "none"): p}
    one, two = {"unmasked": answers}, {"unmasked": answers, "masked": answers}
    heights = []
    for name, blocks in (("one.png", one), ("two.png", two)):
        write_plots(tmp_path / "plots" / name, "title", ages, blocks)
        with Image.open(tmp_path / "plots" / name) as picture:
            assert picture.format == "PNG"
            heights.append(picture.size[1])
    assert heights[1] == 2 * heights[0]
    write_plots(tmp_path / "again.png", "title", ages, two)
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "plots" / "two.png").read_bytes()
