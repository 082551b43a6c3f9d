"""The bench at the paper's sizes: what its networks are, that all ways take turns, and what is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from benches import bench_named

from spiralage.evaluation.results import PaperSpeedRow

FOLDER = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    with bench_named("paper_sizes") as module:
        yield module


def test_its_networks_have_the_papers_sizes_and_vgg19s_eyes(bench: ModuleType) -> None:
    imaginer, gan, frame = bench.make_networks(FOLDER / "recipes")
    assert (imaginer.size, frame, gan.thickness) == (128, 256, 32)
    assert gan.context.vgg.channels == 256
    assert sum(layer.__class__.__name__ == "Conv2d" for layer in gan.context.vgg.layers) == 8  # relu3_4
    assert not list(gan.context.to_width.parameters())


def test_every_way_has_its_turn(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "pictures", lambda count: (np.zeros(count), np.zeros(count)))
    asked: list[str] = []
    ways = {name: lambda crops, mask, name=name: asked.append(name) for name in "ab"}
    assert bench.processor_seconds(ways, 2).keys() == {"a", "b"}
    assert "".join(asked) == "ababab"  # the first warms up


def test_the_page(bench: ModuleType) -> None:
    row = PaperSpeedRow(
        way="ours", seconds=0.5, ratio=2.25, goal=2.0, gmac=50.2, rounds=5, commit="0123456789ab", hardware="A CPU, AMX"
    )
    page = bench.page([row, row.model_copy(update={"goal": None})])
    assert "| ours | 0.50 | 2.25 | 2.0 | 50 |" in page
    assert "| ours | 0.50 | 2.25 |  | 50 |" in page
    assert "A CPU, AMX, commit 0123456789ab" in page


def test_the_widest_instructions_are_told(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    for flags, told in (("avx2 avx512f amx_bf16", "AMX"), ("sse2 avx2", "AVX2"), ("neon", "no wide instructions")):
        monkeypatch.setattr(Path, "read_text", lambda self, encoding, flags=flags: f"flags : {flags}")
        assert bench.instructions() == told
