"""A queue of trainings: in order, tried again when they fail, told in a table as they end."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from spiralage.cli import main
from spiralage.errors import OutputError, RecipeError
from spiralage.training import queue as queues
from spiralage.training.queue import run_queue

JOBS = '[[jobs]]\nkind = "age"\nrecipe = "a.toml"\n[[jobs]]\nkind = "slices"\nrecipe = "b.toml"\n'


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text("")
    (tmp_path / "queue.toml").write_text(JOBS)
    return tmp_path / "queue.toml"


class Trainings:
    """Ends trainings with these exit codes, in turn."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.started: list[list[str]] = []

    def __call__(self, command: list[str]) -> int:
        self.started.append(command[1:])
        return self.codes.pop(0)


def lines(log: Path) -> list[tuple[str, str]]:
    with log.open(newline="", encoding="utf-8") as file:
        return [(line["recipe"], line["ended"]) for line in csv.DictReader(file)]


def test_jobs_are_trained_in_order_with_one_thread(queue: Path, tmp_path: Path) -> None:
    trainings = Trainings(0, 0)
    assert run_queue(queue, tmp_path / "log.csv", start=trainings, tell=lambda line: None)
    program = ["-m", "spiralage", "train"]
    assert trainings.started == [
        [*program, "age", str(tmp_path / "a.toml"), "--threads", "1"],
        [*program, "slices", str(tmp_path / "b.toml"), "--threads", "1"],
    ]
    assert lines(tmp_path / "log.csv") == [("a.toml", "complete"), ("b.toml", "complete")]


def test_a_budget_of_time_completes_a_restorer(queue: Path, tmp_path: Path) -> None:
    queue.write_text(JOBS + "minutes = 90\n")
    trainings = Trainings(0, 0)
    run_queue(queue, tmp_path / "log.csv", start=trainings, tell=lambda line: None)
    assert trainings.started[1][-3:] == ["--minutes", "90", "--finish"]
    queue.write_text('[[jobs]]\nkind = "age"\nrecipe = "a.toml"\nminutes = 90\n')
    with pytest.raises(RecipeError, match="minutes are for imagine, slices, landmarks, occlusion alone"):
        run_queue(queue, tmp_path / "log.csv", start=trainings, tell=lambda line: None)


def test_a_killed_training_is_started_again_and_a_hopeless_one_left(queue: Path, tmp_path: Path) -> None:
    told: list[str] = []
    assert not run_queue(queue, tmp_path / "log.csv", start=Trainings(-9, 0, 1, 1, 1), tell=told.append)
    ends = ["stopped by signal 9", "complete", "failed with 1", "failed with 1", "failed with 1"]
    assert [ended for _, ended in lines(tmp_path / "log.csv")] == ends
    assert len(told) == len(ends)


def test_the_table_goes_on_where_it_was(queue: Path, tmp_path: Path) -> None:
    for _ in range(2):
        run_queue(queue, tmp_path / "log.csv", start=Trainings(0, 0), tell=lambda line: None)
    assert len(lines(tmp_path / "log.csv")) == 4


def test_a_log_that_cannot_be_written_is_said(queue: Path) -> None:
    with pytest.raises(OutputError, match="give another --log"):
        run_queue(queue, queue / "log.csv", start=Trainings(0), tell=lambda line: None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[jobs]", "not TOML"),
        ("a = " + "1" * 5000, "not TOML"),
        ("", "jobs: Field required"),
        ('[[jobs]]\nkind = "age"\nrecipe = "a.toml"\nhours = 3\n', "jobs.0.hours"),
        ('[[jobs]]\nkind = "lopo"\nrecipe = "a.toml"\n', "jobs.0.kind"),
        ('[[jobs]]\nkind = "age"\nrecipe = "../a.toml"\n', "jobs.0.recipe"),
        ('[[jobs]]\nkind = "age"\nrecipe = "missing.toml"\n', "no recipe missing.toml"),
    ],
)
def test_a_queue_is_checked_before_anything_runs(queue: Path, text: str, message: str) -> None:
    queue.write_text(text)
    with pytest.raises(RecipeError, match=message):
        run_queue(queue, queue.parent / "log.csv", start=Trainings())


def test_the_command_runs_real_processes(queue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import sys; sys.exit(len(sys.argv[1]) % 2)"  # a job of an even name is complete, b.tom is not
    monkeypatch.setattr(queues, "command_of", lambda job, folder, threads: [sys.executable, "-c", script, job.recipe])
    assert main(["train", "queue", str(queue), "--log", str(tmp_path / "log.csv")]) == 0
    (tmp_path / "odd1.toml").write_text("")
    queue.write_text('[[jobs]]\nkind = "age"\nrecipe = "odd1.toml"\n')
    assert main(["train", "queue", str(queue), "--log", str(tmp_path / "odd.csv")]) == 1
    assert lines(tmp_path / "odd.csv") == [("odd1.toml", "failed with 1")] * 3


def test_the_repositorys_queue_names_recipes_that_are_there() -> None:
    assert queues.read_queue(Path(__file__).parents[2] / "recipes/queue.toml").jobs
