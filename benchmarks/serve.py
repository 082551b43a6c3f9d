"""make load: ``spiralage serve`` under load on this machine → results/serve.md.

As many clients as requests may wait ask at once, for 2,000 requests: none may fail. Then twice as many: some must be
told to come back (503), none may fail otherwise. The photo is NASA's portrait.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import psutil
import typer
from PIL import Image

from spiralage.demo import portrait
from spiralage.files import write_text
from spiralage.provenance import commit, hardware

ROOT = Path(__file__).parents[1]
WAITING = 16
FLAT_MEGABYTES = 64
"""Memory may grow by so much after the first tenth of the requests: allocators keep some."""


@dataclass(frozen=True)
class Load:
    """What became of requests: seconds of those that were answered, statuses of all, memory in bytes, by turns."""

    seconds: list[float]
    statuses: Counter[int]
    memory: list[int]
    wall: float

    def percentile(self, percent: float) -> float:
        """Seconds in which so many percent of the answers came."""
        return float(np.percentile(self.seconds, percent))

    @property
    def growth(self) -> float:
        """Megabytes between the first tenth of the requests and the last."""
        tenth = max(1, len(self.memory) // 10)
        return float(np.median(self.memory[-tenth:]) - np.median(self.memory[tenth : 2 * tenth])) / 1e6


def photo() -> bytes:
    """The portrait as a JPEG."""
    held = io.BytesIO()
    Image.fromarray(portrait().pixels).save(held, "JPEG", quality=90)
    return held.getvalue()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def serving(*options: str) -> Iterator[tuple[str, psutil.Process]]:
    """``spiralage serve`` in a process of its own, ready: its address, and it."""
    port = free_port()
    command = [sys.executable, "-m", "spiralage", "serve", "--port", str(port), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until_ready(address, process)
            yield address, psutil.Process(process.pid)
        finally:
            process.terminate()


def wait_until_ready(address: str, process: subprocess.Popen[Any]) -> None:
    """Return when the service can take requests; raises SystemExit where it ends before, or takes too long."""
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{address}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit("spiralage serve isn't ready; run it by hand to see why")


async def load(address: str, process: psutil.Process, body: bytes, *, requests: int, clients: int) -> Load:
    """Send so many requests, so many at a time; none is sent again."""
    left, done = iter(range(requests)), Load([], Counter(), [], 0.0)
    started = time.perf_counter()
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=address, timeout=300, limits=limits, trust_env=False) as client:

        async def ask() -> None:
            for _ in left:
                begun = time.perf_counter()
                answer = await client.post("/v1/estimate", content=body, headers={"content-type": "image/jpeg"})
                done.statuses[answer.status_code] += 1
                done.memory.append(process.memory_info().rss)
                if answer.status_code == 200:
                    done.seconds.append(time.perf_counter() - begun)
                else:
                    assert "retry-after" in answer.headers
                    await asyncio.sleep(0.05)

        await asyncio.gather(*(ask() for _ in range(clients)))
    return Load(done.seconds, done.statuses, done.memory, time.perf_counter() - started)


def verdict(within: Load, past: Load) -> list[str]:
    """What isn't as it should be; nothing, if all is well."""
    faults = []
    if set(within.statuses) != {200}:
        faults.append(f"at the limit not all were answered: {dict(within.statuses)}")
    if not past.statuses[503] or set(past.statuses) - {200, 503}:
        faults.append(f"past the limit some, and none but with 503, must be refused: {dict(past.statuses)}")
    if within.growth > FLAT_MEGABYTES:
        faults.append(f"memory grew by {within.growth:.0f} MB")
    return faults


def page(within: Load, past: Load, *, beside: str) -> str:
    """The results as Markdown."""
    where = re.sub(r"\s+", " ", f"commit {commit()} on {hardware()}")
    return f"""# The service under load

Written by `make load`: {where}{beside}. The photo is NASA's portrait, {WAITING} requests may wait, one thread.

| clients | requests | answered | told to come back | p50 | p99 | a second | memory, from the first tenth to the last |
|---:|---:|---:|---:|---:|---:|---:|---:|
{_row(within, WAITING)}
{_row(past, 2 * WAITING)}
"""


def _row(one: Load, clients: int) -> str:
    answered = one.statuses[200]
    return (
        f"| {clients} | {one.statuses.total():,} | {answered:,} | {one.statuses[503]:,} | {one.percentile(50):.2f} s "
        f"| {one.percentile(99):.2f} s | {answered / one.wall:.1f} | {one.growth:+.0f} MB |"
    )


def main(
    requests: Annotated[int, typer.Option(min=100, help="at the limit; a tenth as many past it")] = 2000,
    output: Annotated[Path, typer.Option(help="where the page is written")] = ROOT / "results/serve.md",
) -> None:
    """Measure, write the page, and fail where something isn't as it should be."""
    busy = os.getloadavg()[0]
    beside = f", beside other work (load {busy:.1f} before it began)" if busy > 0.5 else ""
    body = photo()
    with serving("--waiting", str(WAITING), "--threads", "1") as (address, process):
        within = asyncio.run(load(address, process, body, requests=requests, clients=WAITING))
        past = asyncio.run(load(address, process, body, requests=requests // 10, clients=2 * WAITING))
    write_text(output, page(within, past, beside=beside))
    if faults := verdict(within, past):
        raise SystemExit("; ".join(faults))


if __name__ == "__main__":
    typer.run(main)
