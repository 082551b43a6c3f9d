"""``spiralage train queue recipes/queue.toml``: one training after the other, each in a process of its own.

A queue is a TOML file of jobs, first come, first trained:

    [[jobs]]
    kind = "age"                 # what `spiralage train` is told: age, imagine, slices, …
    recipe = "best-224.toml"     # beside the queue's file
    minutes = 240                # of all but age: a budget, however often it resumes; then the training is complete

Killed at any moment, the same call goes on: a finished run is passed over, a broken one resumes from its last
checkpoint. A job that fails is tried again, then left for the next; ``queue.csv`` says what ran when, and how it ended.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from spiralage.errors import OutputError, RecipeError
from spiralage.provenance import commit, hardware
from spiralage.training.recipes import load_recipe

BUDGETED = ("imagine", "slices", "landmarks", "occlusion")
"""The kinds of training that a budget of time can end."""
TRIES = 3
"""How often a job is started before the next one's turn."""


class Job(BaseModel):
    """One training of a queue."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["age", "imagine", "slices", "landmarks", "occlusion"]
    recipe: str = Field(pattern=r"^[\w-]+\.toml$")
    minutes: float | None = Field(default=None, gt=0, le=1e5, allow_inf_nan=False)

    @model_validator(mode="after")
    def _kind_has_budgets(self) -> Job:
        if self.minutes is not None and self.kind not in BUDGETED:
            raise ValueError(f"minutes are for {', '.join(BUDGETED)} alone; a training of kind {self.kind} has epochs")
        return self


class Queue(BaseModel):
    """The trainings of a queue's file, in order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    jobs: tuple[Job, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Sitting:
    """A line of ``queue.csv``: one start of one job.

    Args:
        recipe: its file's name.
        started: UTC, ISO 8601.
        minutes: from start to end.
        ended: complete, failed with its exit code, or stopped by a signal.
    """

    recipe: str
    started: str
    minutes: float
    ended: str
    commit: str
    hardware: str


def read_queue(path: Path) -> Queue:
    """Read and check a queue's file; its recipes must be there.

    Raises:
        RecipeError: no such file, not TOML, an unknown key, or a recipe that isn't there.
    """
    queue = load_recipe(path, Queue)
    for job in queue.jobs:
        if not (path.parent / job.recipe).is_file():
            raise RecipeError(f"{path}: no recipe {job.recipe} beside it; mend its name")
    return queue


def command_of(job: Job, folder: Path, threads: int) -> list[str]:
    """The command line that trains a job."""
    program = [sys.executable, "-m", "spiralage", "train", job.kind]
    budget = [] if job.minutes is None else ["--minutes", f"{job.minutes:g}", "--finish"]
    return [*program, str(folder / job.recipe), "--threads", str(threads), *budget]


def run_queue(
    path: Path,
    log: Path,
    *,
    threads: int = 1,
    start: Callable[[list[str]], int] = subprocess.call,
    tell: Callable[[str], None] = print,
) -> bool:
    """Train all jobs of a queue, one after the other.

    Args:
        path: the queue's file; recipes lie beside it.
        log: the CSV file that gets a line for each sitting, as it ends.
        threads: of each training.
        start: runs a command and returns its exit code.
        tell: told a line as each sitting ends.

    Returns:
        True if every job is complete.

    Raises:
        RecipeError: see ``read_queue``.
        OutputError: the log can't be written.
    """
    complete = True
    for job in read_queue(path).jobs:
        for _ in range(TRIES):
            sitting = _sit(job, command_of(job, path.parent, threads), start)
            _append(log, sitting)
            tell(f"{sitting.recipe}: {sitting.ended} after {sitting.minutes} minutes")
            if sitting.ended == "complete":
                break
        else:
            complete = False
    return complete


def _sit(job: Job, command: list[str], start: Callable[[list[str]], int]) -> Sitting:
    started, clock = datetime.now(timezone.utc), time.monotonic()
    code = start(command)
    ended = "complete" if code == 0 else f"failed with {code}" if code > 0 else f"stopped by signal {-code}"
    minutes = round((time.monotonic() - clock) / 60, 1)
    return Sitting(job.recipe, started.isoformat(timespec="seconds"), minutes, ended, commit(), hardware())


def _append(log: Path, sitting: Sitting) -> None:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        is_new = not log.exists()
        with log.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Sitting)], lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerow(asdict(sitting))
    except OSError as error:
        raise OutputError(f"{log}: can't be written ({error.strerror}); give another --log") from error
