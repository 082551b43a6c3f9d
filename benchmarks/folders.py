"""Folders: photos a second by one process and by one a core, and memory → results/folders.csv.

    python benchmarks/folders.py --photos 600

Photos are made of NASA's portrait. The two ways take turns; the machine's load when each begins stands beside it:
what else runs takes cores away, and the ratio is then no more than a lower bound.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import skimage.data
import typer
from PIL import Image

from spiralage.evaluation.results import FolderSpeedRow, write_rows
from spiralage.provenance import commit, hardware
from spiralage.threads import available_cores

ROOT = Path(__file__).parents[1]


def make_photos(folder: Path, count: int) -> None:
    """One face each, 512×512 pixels, none like another."""
    portrait = np.asarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]
    for number, gain in enumerate(np.linspace(0.7, 1.1, count)):
        Image.fromarray(np.clip(portrait * gain, 0, 255).astype(np.uint8)).save(folder / f"{number:06}.jpg", quality=90)


def measured(photos: Path, count: int, workers: int) -> FolderSpeedRow:
    """A run of the command, start and all."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "spiralage", "estimate", str(photos), "--out", f"{folder}/ages.jsonl"]
        start = time.monotonic()
        subprocess.run([*command, "--workers", str(workers)], check=True)
        seconds = time.monotonic() - start
    row = FolderSpeedRow(
        workers=workers,
        photos=count,
        seconds=seconds,
        photos_a_second=count / seconds,
        largest_process_mb=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        load=load,
        commit=commit(),
        hardware=hardware(),
    )
    print(f"{workers} workers: {row.photos_a_second:.1f} photos a second, load {load:.1f}", flush=True)
    return row


def main(
    output: Annotated[Path, typer.Option("--output", "-o", help="the results folder")] = ROOT / "results",
    photos: Annotated[int, typer.Option(min=1, help="how many")] = 600,
    turns: Annotated[int, typer.Option(min=1, help="how often each way takes its turn")] = 2,
) -> None:
    """Measure, print, and write the table."""
    with tempfile.TemporaryDirectory() as name:
        make_photos(Path(name), photos)
        rows = [measured(Path(name), photos, workers) for _ in range(turns) for workers in (1, available_cores())]
    write_rows(output / "folders.csv", FolderSpeedRow, rows)


if __name__ == "__main__":
    typer.run(main)
