"""``make bench``: the ways that it compares answer the same, and what it writes is what it measured."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from benches import bench_named
from spiral_runs import train_spiral
from synthetic import drawn_crop

from spiralage.evaluation.results import SpeedRow, read_rows
from spiralage.occlusion.window import PAPER_WINDOW, margin_mask
from spiralage.types import Mask, Pixels


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    with bench_named("spiral") as module:  # where the processes that measure memory find it, too
        yield module


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    train_spiral(folder, "slices")
    return folder


def faces(count: int) -> tuple[Pixels, Mask]:
    rng = np.random.default_rng(0)
    crops = np.stack([drawn_crop(20 * (index % 5), rng) for index in range(count)])
    return crops, np.broadcast_to(margin_mask(PAPER_WINDOW), (count, 256, 256))


def test_the_plain_loop_answers_as_ours(bench: ModuleType, runs: Path) -> None:
    crops, hidden = faces(3)
    ways = bench.make_ways(runs, 1)
    assert list(ways)[:2] == [bench.REFERENCE, bench.OURS]
    expected, found = (ways[way]()(crops, hidden) for way in (bench.REFERENCE, bench.OURS))
    most, psnr = bench.difference(found, expected, hidden)
    assert most <= 1
    assert psnr > 50
    assert np.ptp(expected[hidden].astype(int)) > 50  # else agreeing would say little


def test_the_plain_loop_computes_more(bench: ModuleType, runs: Path) -> None:
    plain, ours = (bench.operations(bench.make_ways(runs, 1)[way]()) for way in (bench.REFERENCE, bench.OURS))
    assert plain > 1.05 * ours
    assert bench.operations(bench.make_ways(runs, 1)[bench.OURS]()) == ours  # what is thrown away is the loop's alone


def test_differences_are_of_hidden_pixels(bench: ModuleType) -> None:
    crops, hidden = faces(2)
    assert bench.difference(crops, crops, hidden) == (0, float("inf"))
    other = np.where(hidden[..., None], crops ^ 1, crops)
    assert bench.difference(other, crops, hidden) == (1, pytest.approx(48.13, abs=0.01))
    with pytest.raises(AssertionError, match="visible pixel"):
        bench.difference(crops ^ 1, crops, hidden)


def test_every_way_has_its_turn(bench: ModuleType) -> None:
    asked: list[str] = []
    ways = {name: lambda crops, hidden, name=name: asked.append(name) for name in "ab"}
    seconds = bench.measure(ways, *faces(1), 3)
    assert "".join(asked) == "ab" + "ababab"  # warmed up first
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}
    assert min(map(min, seconds.values())) >= 0


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read as Linux tells it")
def test_memory_is_what_a_way_adds(bench: ModuleType, runs: Path) -> None:
    small, large = (bench.peak_mib(runs, 1, bench.OURS, *faces(count)) for count in (1, 100))
    assert 0 < small < large - 10 < 4096  # its uint8 pictures alone are 19 MiB


def test_matrices_grow_until_they_take_their_time(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    took = iter([0.01] * 7 + [0.05] * 7 + [0.2] * 7)
    monkeypatch.setattr(bench, "_seconds", lambda work: (work(), next(took))[1])
    assert bench.matrix_rate(torch.float32, 8, 2048) == 2 * 32**3 / 0.2


def test_the_tables(bench: ModuleType, tmp_path: Path) -> None:
    row = SpeedRow(
        way="ours",
        batch=16,
        threads=2,
        pictures_per_s=10.504,
        ratio=2.25,
        peak_mib=300.5,
        bf16_share=0.125,
        fp32_share=0.5,
        bf16_gflops=3.51,
        fp32_gflops=200.5,
        most=1,
        psnr=55.5,
        rounds=7,
        recipe="slices",
        seed=7,
        commit="0123456789ab",
        hardware="A CPU",
    )
    bench.write([row], tmp_path)
    assert read_rows(tmp_path / "speed.csv", SpeedRow) == [row]
    page = (tmp_path / "speed.md").read_text(encoding="utf-8")
    assert "| ours | 16 | 10.50 | 2.25 | 300 | 12.5% | 50.0% | 1 | 55.5 |" in page
    assert "3.5 GFLOP/s in bfloat16 and 200.5 in float32" in page
    assert "A CPU, commit 0123456789ab" in page
    shutil.rmtree(tmp_path)
