"""A program that is killed at random moments, and goes on each time: ``python killing.py FOLDER``.

The command is the real one; photos are made up, and what reads them only answers. Prints how often it was killed.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from spiralage.batch import job
from spiralage.cli import estimate, main
from spiralage.types import PhotoReport

PHOTOS = 300
KILLS = 10


class FakePipeline:
    """Takes two milliseconds a photo and writes down which it read; every tenth is bad."""

    def __init__(self, **settings: object) -> None:
        pass

    def estimate_each(self, photos: Iterable[Path], **settings: Any) -> Iterator[PhotoReport]:
        for photo in photos:
            time.sleep(0.002)
            with Path("read.txt").open("a") as file:
                file.write(f"{photo}\n")
            yield PhotoReport(str(photo), error=f"{photo}: bad" if photo.stem.endswith("0") else None)


def killed(arguments: list[str], seconds: float) -> bool:
    """Run the command in a process of its own; whether it had to be killed after so many seconds."""
    child = os.fork()
    if not child:
        try:
            os._exit(main(arguments))
        finally:
            os._exit(99)
    until = time.monotonic() + seconds
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return True
        time.sleep(0.001)
    return False


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    command_file: Any = estimate
    command_file.AgePipeline = FakePipeline
    command_file.list_pictures = lambda paths: iter([Path(f"{n:03}.jpg") for n in range(PHOTOS)])
    job.PHOTOS_A_PART = 4
    command = ["estimate", "photos", "--workers", "1", "--out"]
    rng = random.Random(int(sys.argv[2]))
    assert not killed([*command, "whole.csv"], 1000)
    Path("read.txt").unlink()
    command.append("ages.csv")
    kills = 0
    while kills < KILLS:
        if not killed([*command, "--resume"], rng.uniform(0, 0.2)):  # done sooner than it was killed: once more
            Path("ages.csv").unlink()
            Path("read.txt").unlink()
            continue
        kills += 1
        table = Path("ages.csv")  # is not there, or is whole
        assert not table.exists() or table.read_bytes() == Path("whole.csv").read_bytes()
    assert not killed([*command, "--resume"], 1000)
    print(kills)
