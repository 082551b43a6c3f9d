"""``make load``, in short: at the limit nothing fails, past it some are told to come back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from types import ModuleType

import pytest
from benches import bench_named


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    with bench_named("serve") as module:
        yield module


def test_at_the_limit_nothing_fails_and_past_it_some_come_back(bench: ModuleType) -> None:
    with bench.serving("--waiting", "2", "--threads", "1") as (address, process):
        body = bench.photo()
        within = asyncio.run(bench.load(address, process, body, requests=6, clients=2))
        past = asyncio.run(bench.load(address, process, body, requests=12, clients=8))
    assert bench.verdict(within, past) == []
    assert within.statuses == {200: 6}
    assert 0 < within.percentile(50) <= within.percentile(99)


def test_what_is_wrong_is_told(bench: ModuleType) -> None:
    good = bench.Load([1.0] * 20, Counter({200: 20}), [10**8] * 20, 20.0)
    past = bench.Load([1.0] * 5, Counter({200: 5, 503: 5}), [10**8] * 10, 5.0)
    failing = bench.Load([1.0], Counter({200: 1, 500: 1}), [10**8] * 2, 1.0)
    growing = bench.Load([1.0] * 20, Counter({200: 20}), [number * 10**7 for number in range(20)], 20.0)
    assert bench.verdict(good, past) == []
    assert "500" in bench.verdict(failing, past)[0]
    assert "503" in bench.verdict(good, good)[0]
    assert "memory grew by" in bench.verdict(growing, past)[0]
    assert "| 16 | 20 | 20 | 0 | 1.00 s | 1.00 s | 1.0 | +0 MB |" in bench.page(good, past, beside="")
