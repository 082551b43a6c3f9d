"""Age checks and coverage: rates by hand from answers that are written down, and the commands on drawn faces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import brightness_model
from synthetic import drawn_crop, write_shard

from spiralage import weights
from spiralage.age.calibrate import uncorrected
from spiralage.age.estimate import AgeEstimator
from spiralage.cli import main
from spiralage.datasets.crops import FALLBACK, Crops
from spiralage.datasets.manifest import Row
from spiralage.errors import OptionError
from spiralage.evaluation.answers import NO_FACE, Answers, ask
from spiralage.evaluation.metrics import bootstrap_rate, calibration_error
from spiralage.evaluation.protocols.coverage import coverage_rows
from spiralage.evaluation.protocols.threshold import Check, threshold_rows
from spiralage.evaluation.results import CoverageRow, Origin, ThresholdRow, read_rows
from spiralage.export.calibrate import find_calibration, put_calibration
from spiralage.pipeline import AgePipeline
from spiralage.restoration.baselines import Blank

ORIGIN = Origin("0" * 12, "here")
TOLD: dict[str, Any] = {"network": "mine", "restorer": "none", "known": "told", "origin": ORIGIN}


def said(truth: list[int], estimates: list[int], failures: list[int] | None = None) -> Answers:
    """Sure answers, of men and women in turns; intervals reach 3 years to either side."""
    count, p = len(truth), np.eye(101, dtype=np.float32)[estimates]
    rows = tuple(
        Row(f"{i}.jpg", f"{i // 2}", age, "male" if i % 2 else "female", None, "test") for i, age in enumerate(truth)
    )
    at_least = np.flip(np.cumsum(np.flip(p, 1), 1), 1).astype(np.float64)
    middle, nobody = np.array(estimates, np.float64), np.zeros(count, np.bool_)
    why = tuple("too dark" if i in (failures or []) else "" for i in range(count))
    hidden = np.linspace(0, 1, count)
    return Answers("made", "", rows, p, hidden, nobody, ~nobody, middle - 3, middle + 3, at_least, why)


def test_rates_are_those_counted_by_hand() -> None:
    answers = said([10, 12, 17, 17, 18, 30, 40, 50], [9, 26, 20, 30, 24, 31, 20, 55], failures=[3])
    rows = threshold_rows([answers], Check(), **TOLD)
    by = {(row.rule, row.limit, row.by, row.part): row for row in rows}
    whole = by["estimate", 25, "all", ""]
    assert (whole.minors, whole.adults, whole.images, whole.persons) == (3, 4, 7, 4)
    assert whole.false_positive == pytest.approx(1 / 3)  # the one of 12 reads 26; who can't be told doesn't pass
    assert whole.false_negative == pytest.approx(2 / 4)  # of 18 reads 24, of 40 reads 20
    assert whole.failure_to_acquire == pytest.approx(1 / 8)
    errors = np.array([-1, 14, 3, 6, 1, -20, 5])
    assert (whole.mae, whole.bias) == pytest.approx((np.abs(errors).mean(), errors.mean()))
    assert (whole.std, whole.cs5) == pytest.approx((errors.std(), 4 / 7))
    assert by["estimate", 18, "all", ""].false_positive == pytest.approx(2 / 3)
    assert by["probability", 0.95, "all", ""].false_positive == pytest.approx(2 / 3)
    band = by["estimate", 25, "age", "16–17"]
    assert (band.minors, band.adults, band.false_positive, band.false_negative) == (1, 0, 0, None)
    assert band.failure_to_acquire == 0.5
    women, men = by["estimate", 25, "sex", "female"], by["estimate", 25, "sex", "male"]
    assert (women.false_positive, women.false_negative) == (0, 1)
    assert (men.false_positive, men.false_negative) == (1, 0)
    assert not any(row.by == "group" for row in rows)
    assert whole.false_positive is not None
    assert whole.false_positive_low is not None
    assert whole.false_positive_high is not None
    assert whole.false_positive_low <= whole.false_positive <= whole.false_positive_high


def test_a_part_without_answers_has_no_errors() -> None:
    rows = threshold_rows([said([10, 30], [10, 30], failures=[0, 1])], Check(), **TOLD)
    assert {(row.failure_to_acquire, row.mae, row.images, row.false_positive) for row in rows} == {(1, None, 0, None)}


@pytest.mark.parametrize("wrong", [{"at_least": 30}, {"at_least": 0}, {"challenge": 101}, {"sure": 1.0}])
def test_what_is_no_check_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        Check(**wrong)  # type: ignore[arg-type]


def test_a_rate_of_nothing_or_all_has_an_interval() -> None:
    persons = [str(i) for i in range(50)]
    low, high = bootstrap_rate(np.zeros(50, bool), persons)
    assert (low, round(high, 3)) == (0, 0.071)
    low, high = bootstrap_rate(np.ones(50, bool), persons)
    assert (round(low, 3), high) == (0.929, 1)


def test_coverage_is_counted_by_decade_and_third() -> None:
    truth = [5] * 20 + [95] * 20
    answers = said(truth, [5] * 20 + [90] * 15 + [93] * 5, failures=[0])
    rows = {(row.by, row.part, row.intervals): row for row in coverage_rows([answers], **TOLD)}
    whole = rows["all", "", "calibrated"]
    assert (whole.coverage, whole.images, whole.width) == (24 / 39, 39, 6)
    assert rows["age", "0–9", "calibrated"].coverage == 1
    assert rows["age", "90 and older", "calibrated"].coverage == 5 / 20
    assert rows["age", "90 and older", "network"].coverage == 0  # it is sure of its year
    assert rows["hidden", "0–33 %", "calibrated"].coverage == 1
    assert rows["hidden", "67–100 %", "calibrated"].coverage == pytest.approx(5 / 14)
    assert whole.ece18 == 0
    assert {part for by, part, _ in rows if by == "age"} == {"0–9", "90 and older"}


def test_calibration_error_weighs_bins_by_what_is_in_them() -> None:
    assert calibration_error(np.array([1.0, 0.2, 0.2, 0.2]), np.array([True, True, False, False])) == pytest.approx(0.1)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops whose brightness tells the age; all are for test and validation alike; one has no face."""
    folder, rng = tmp_path_factory.mktemp("cache"), np.random.default_rng(0)
    ages = [int(age) for age in rng.integers(2, 90, 60)]
    for data in ("utkface", "aaf"):
        rows = [Row(f"{i}.jpg", f"{i}", age, "male", "Asian", "val" if i % 2 else "test") for i, age in enumerate(ages)]
        landmarks = np.full((60, 68, 2), np.nan)
        write_shard(folder / data, rows, [drawn_crop(age, rng) for age in ages], data, landmarks)
    table = folder / "aaf" / "shard-0000.csv"
    first, second, *others = table.read_text().splitlines()
    table.write_text("\n".join([first, second.replace(",fake", f",{FALLBACK}"), *others]) + "\n")
    return folder


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "mine.onnx"
    path.write_bytes(brightness_model())
    return path


def test_a_calibration_travels_with_the_file_and_its_manifest(network: Path, tmp_path: Path) -> None:
    from spiralage.export.manifest import put

    facts = {"recipe": "r", "seed": 1, "commit": "0" * 12, "hardware": "", "minutes": 1, "data": "", "licence": ""}
    put(tmp_path / "export", {"mine.onnx": network.read_bytes()}, "age", facts)
    assert AgeEstimator(network).calibration is None
    for target in (network, tmp_path / "export"):
        before = AgeEstimator(target).probabilities(np.full((1, 256, 256, 3), 99, np.uint8))
        for _ in range(2):  # the second takes the place of the first
            put_calibration(target, uncorrected())
        estimator = AgeEstimator(target)
        assert estimator.calibration is not None
        np.testing.assert_array_equal(estimator.probabilities(np.full((1, 256, 256, 3), 99, np.uint8)), before)
    entry = weights.manifest(tmp_path / "export")["mine"]
    assert weights.read_file(tmp_path / "export" / "mine.onnx", entry.sha256)
    (report,) = AgePipeline(network=network, detector="none", restorer="none").estimate(
        np.full((99, 99, 3), 99, np.uint8)
    )
    assert report.age.calibrated is not None


def test_faces_are_asked_as_the_pipeline_reads_them(cache: Path, network: Path) -> None:
    crops = Crops(cache / "aaf")
    pipeline = AgePipeline(network=network, restorer="none", occlusion="frame")
    indices = np.arange(6)
    plain, covered = ask(pipeline, crops, indices), ask(pipeline, crops, indices, ("surgical-mask", "paper"))
    assert plain.failures == (NO_FACE, "", "", "", "", "")
    assert (plain.hidden == 0).all()
    assert not plain.covered.any()
    assert covered.covered.all()
    assert (covered.hidden[1::2] == 0.75).all()  # the paper's mask, in turns
    assert (covered.hidden[::2] < 0.6).all()
    assert not np.array_equal(plain.probabilities, covered.probabilities)
    unknown = ask(pipeline, crops, indices, ("surgical-mask",), told=False)
    assert not unknown.covered.any()  # nothing looks for a mask
    again = ask(pipeline, crops, np.array([2]), ("surgical-mask", "paper"))
    np.testing.assert_allclose(again.probabilities[0], covered.probabilities[2], atol=1e-5)


def test_a_calibration_is_for_the_restorer_as_reports_call_it(
    cache: Path, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(Blank):
        name = "own (network)"

    monkeypatch.setattr("spiralage.export.calibrate.make_restorer", lambda name, threads: Own())
    sets = [Crops(cache / "utkface"), Crops(cache / "aaf")]
    assert find_calibration(network, sets, restorer="runs/network", occlusion="frame").restorer == Own.name


def test_the_commands_write_tables_page_and_plots(
    cache: Path, network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = ["--cache", str(cache), "--restorer", "none", "--occlusion", "frame", "--threads", "1"]
    assert main(["calibrate", str(network), *same]) == 0
    assert "answers (utkface + aaf, val, none)" in capsys.readouterr().out
    asked = ["--network", str(network), "--occluder", "paper", "--occluder", "nothing", "--output", str(tmp_path)]
    assert main(["evaluate", "threshold", "--at-least", "18", "--challenge", "25", "--coverage", *same, *asked]) == 0
    both = (tmp_path / "coverage.csv").read_text()
    assert main(["evaluate", "coverage", *same, *asked]) == 0
    assert (tmp_path / "coverage.csv").read_text() == both
    rows = read_rows(tmp_path / "threshold.csv", ThresholdRow)
    assert {(row.data, row.occluder) for row in rows} == {(d, o) for d in ("utkface", "aaf") for o in ("", "paper")}
    assert all(row.calibrated for row in rows)
    assert {row.by for row in rows} == {"all", "age", "sex", "group"}
    failed = [row.failure_to_acquire for row in rows if (row.data, row.by) == ("aaf", "all")]
    assert all(failed)
    page = (tmp_path / "threshold.md").read_text(encoding="utf-8")
    assert page.startswith("# Age check: at least 18, challenged below 25")
    assert "| aaf | paper | P ≥ 0.95 |" in page
    assert (tmp_path / "threshold-18.png").read_bytes().startswith(b"\x89PNG")
    assert main(["evaluate", "coverage", "--most", "20", *same, *asked]) == 0
    measured = read_rows(tmp_path / "coverage.csv", CoverageRow)
    assert {row.intervals for row in measured} == {"calibrated", "network"}
    images = {row.images for row in measured if (row.data, row.by) == ("utkface", "all")}
    assert images <= {17, 18, 19, 20}  # some are too dark to tell
    assert (tmp_path / "coverage.png").read_bytes().startswith(b"\x89PNG")
