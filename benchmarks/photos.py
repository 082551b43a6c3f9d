"""make bench: a photo's way and SliceGAN's training, before and after, in turns → results/speed-photos.csv, .md.

*Before* is commit 49a16aa, checked out into a temporary folder. Each checkout has a process of its own that does what
it is told (photo_tasks.py); the two take turns, so that a slow minute of the machine slows both. Where one thread
works, CPU time counts. Ratios are of medians; photos are made of NASA's portrait.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import cv2
import numpy as np
import skimage.data
import typer
from PIL import Image

from spiralage.evaluation.results import PhotoSpeedRow, write_rows
from spiralage.files import write_text
from spiralage.provenance import commit, hardware
from spiralage.types import Pixels

ROOT = Path(__file__).parents[1]
BEFORE = "49a16aa"
WHAT = MappingProxyType(
    {
        "window": "largest visible window, a face (turned frames)",
        "cut": "a face aligned out of 50 megapixels",
        "12MP": "12 megapixels, one face: file → age",
        "50MP": "50 megapixels, 100 faces: file → ages",
        "cold": "`spiralage estimate` of one photo, start and all",
        "step": "a step of SliceGAN's training",
        "discriminator": "asking the discriminators in it",
        "folder-1": "a folder of 200 faces, one thread",
        "folder-2": "the same, two threads (before) or processes (after), by the clock",
    }
)
ROUNDS = MappingProxyType({"window": 5, "cut": 9, "12MP": 5, "cold": 5, "folder-1": 1, "folder-2": 1})
"""How often each takes its turn after one to warm up; 2 times if nothing is said."""


def make_photos(folder: Path) -> None:
    """Everything that is read: photos of one face and of a hundred, and a folder of 200."""
    portrait = np.asarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]
    large = np.zeros((3000, 4000, 3), np.uint8)
    large[:, 500:3500] = cv2.resize(portrait, (3000, 3000), interpolation=cv2.INTER_CUBIC)
    save(folder / "12mp.jpg", large)
    face = cv2.resize(portrait[:360, 50:410], (707, 707), interpolation=cv2.INTER_CUBIC)
    save(folder / "50mp.jpg", np.tile(face, (10, 10, 1)))
    save(folder / "one.jpg", portrait)
    (folder / "200").mkdir()
    for number, gain in enumerate(np.linspace(0.7, 1.1, 200)):
        save(folder / "200" / f"{number:03}.jpg", np.clip(portrait * gain, 0, 255).astype(np.uint8))


def save(path: Path, pixels: Pixels) -> None:
    """As JPEG."""
    Image.fromarray(pixels).save(path, quality=90)


@contextmanager
def checkout(at: str) -> Iterator[Path]:
    """A commit's files in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--detach", tree, at], cwd=ROOT, check=True, capture_output=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True, capture_output=True)


def environment(tree: Path) -> dict[str, str]:
    """For a process that runs a checkout's code."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (tree / "src", tree / "tests")))}


@contextmanager
def worker(tree: Path, photos: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that waits for tasks."""
    script = ROOT / "benchmarks" / "photo_tasks.py"
    process = subprocess.Popen(
        [sys.executable, script, photos],
        cwd=tree,
        env=environment(tree),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def ask(process: subprocess.Popen[str], task: str) -> float:
    """Seconds of a task, as its process answers.

    Raises:
        RuntimeError: it has ended instead.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    print(task, file=process.stdin, flush=True)
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"the process that does {task} has ended; its error stands above")
    return float(json.loads(answer))


def cold(tree: Path, photo: Path) -> float:
    """Seconds of CPU that the command takes for one photo."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = "import sys; from spiralage.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = ("estimate", photo, "--threads", "1", "--json")
    subprocess.run([sys.executable, "-c", command, *arguments], env=environment(tree), check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def bench(tasks: Sequence[str]) -> list[PhotoSpeedRow]:
    """Every task, before and after in turns; each is warmed up once."""
    rows = []
    with ExitStack() as stack:
        photos = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        make_photos(photos)
        trees = [stack.enter_context(checkout(BEFORE)), ROOT]
        workers = [stack.enter_context(worker(tree, photos)) for tree in trees]
        for task in tasks:
            rounds = ROUNDS.get(task, 2)
            seconds: list[list[float]] = [[], []]
            for turn in range(rounds + 1) if not task.startswith("folder") else [1]:
                for index, tree in enumerate(trees):
                    took = cold(tree, photos / "one.jpg") if task == "cold" else ask(workers[index], task)
                    if turn:
                        seconds[index].append(took)
            before, after = map(statistics.median, seconds)
            print(f"{task}: {before:.4f} s → {after:.4f} s, {before / after:.2f} times as fast", flush=True)
            rows.append(
                PhotoSpeedRow(
                    task=task,
                    before_s=before,
                    after_s=after,
                    ratio=before / after,
                    rounds=rounds,
                    before=BEFORE,
                    commit=commit(),
                    hardware=hardware(),
                )
            )
    return rows


HEAD = """# Speed of a photo's way and of training

Written by `make bench`: commit {before} and {commit} in turns on {hardware}.
Medians of seconds of CPU, on one thread where nothing else is said; photos are made of NASA's portrait.

| what | before | after | ratio |
|---|---:|---:|---:|
"""


def page(rows: Sequence[PhotoSpeedRow]) -> str:
    """The rows for readers."""
    lines = [f"| {WHAT[r.task]} | {shown(r.before_s)} | {shown(r.after_s)} | {r.ratio:.2f} |\n" for r in rows]
    return HEAD.format(**rows[0].model_dump()) + "".join(lines)


def shown(seconds: float) -> str:
    """Seconds, or milliseconds where they are few.

    >>> shown(0.01234), shown(12.345)
    ('12.34 ms', '12.35 s')
    """
    return f"{1000 * seconds:.2f} ms" if seconds < 0.5 else f"{seconds:.2f} s"


def main(
    output: Annotated[Path, typer.Option("--output", "-o", help="the results folder")] = ROOT / "results",
    only: Annotated[list[str] | None, typer.Option(help=f"one of {', '.join(WHAT)}; repeatable")] = None,
) -> None:
    """Measure, print, and write the tables."""
    rows = bench([task for task in WHAT if not only or task in only])
    write_rows(output / "speed-photos.csv", PhotoSpeedRow, rows)
    write_text(output / "speed-photos.md", page(rows))


if __name__ == "__main__":
    typer.run(main)
