"""Photos read by several processes: order, errors, killed processes, Ctrl-C, and nothing left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest

from spiralage import AgePipeline, Photo
from spiralage.errors import FolderError, OptionError, WorkerError
from spiralage.image_io import save_picture
from spiralage.types import PhotoReport
from spiralage.workers import PHOTOS_A_TASK, estimate_in_processes


class FakeReader:
    """Answers with the process that read a photo; a photo's name says what goes wrong with it.

    Args:
        started: a folder in which every reader leaves a file with its process's number.
    """

    def __init__(self, started: Path) -> None:
        (started / str(os.getpid())).touch()

    def estimate_each(self, photos: Iterable[Path], *, keep_photos: bool) -> Iterator[PhotoReport]:
        for photo in photos:
            if photo.name.startswith("kill"):
                os.kill(os.getpid(), signal.SIGKILL)
            if photo.name.startswith("once") and not photo.exists():
                photo.touch()
                os._exit(7)
            if photo.name.startswith("slow"):
                time.sleep(0.2)
            if photo.name.startswith("hang"):
                time.sleep(60)
            if photo.name.startswith("deaf"):
                ctypes.PyDLL(None).sleep(60)  # a native call that keeps Python's lock
            yield PhotoReport(str(photo), error=str(os.getpid()))


class NeverReady(FakeReader):
    """Its process ends before it could read a photo."""

    def __init__(self) -> None:
        os._exit(3)


class Failing(FakeReader):
    """Can't be made."""

    def __init__(self) -> None:
        raise OptionError("no such thing")


@pytest.fixture
def make(tmp_path: Path) -> partial[FakeReader]:
    (tmp_path / "started").mkdir()
    return partial(FakeReader, tmp_path / "started")


def running(folder: Path) -> list[int]:
    """The readers' processes that are still there."""
    alive = []
    for path in (folder / "started").iterdir():
        try:
            os.kill(int(path.name), 0)
        except ProcessLookupError:
            continue
        alive.append(int(path.name))
    return alive


def test_reports_come_in_order_and_all_processes_read(make: partial[FakeReader], tmp_path: Path) -> None:
    names = [f"slow-{n}" if n % 7 == 0 else f"photo-{n}" for n in range(10 * PHOTOS_A_TASK)]
    reports = list(estimate_in_processes(make, map(Path, names), workers=3))
    assert [report.image for report in reports] == names
    assert len({report.error for report in reports}) == 3
    assert running(tmp_path) == []


@pytest.mark.parametrize("names", [["kill"], ["a", "b", "kill", "c"], ["kill"] * 2 + ["a"] * 20 + ["kill"]])
def test_who_kills_a_process_is_an_error_row(make: partial[FakeReader], tmp_path: Path, names: list[str]) -> None:
    reports = list(estimate_in_processes(make, map(Path, names), workers=2))
    assert [report.image for report in reports] == names
    for report in reports:
        assert ("the process that read it has ended twice (killed by SIGKILL)" in str(report.error)) == (
            report.image == "kill"
        )
    assert running(tmp_path) == []


def test_reports_come_one_by_one(make: partial[FakeReader]) -> None:
    reports = estimate_in_processes(make, map(Path, ["a", "hang"]), workers=2)
    assert next(reports).image == "a"  # though both went to one process
    reports.close()  # type: ignore[attr-defined]


def test_a_process_that_ends_once_costs_no_photo(make: partial[FakeReader], tmp_path: Path) -> None:
    names = ["a", str(tmp_path / "once"), *"bcdefghijkl"]
    reports = list(estimate_in_processes(make, map(Path, names), workers=2))
    assert [report.image for report in reports] == names
    assert all(str(report.error).isdecimal() for report in reports)


def test_folders_that_can_not_be_searched_keep_their_place(make: partial[FakeReader]) -> None:
    bad = FolderError(Path("locked"), "can't be searched")
    reports = list(estimate_in_processes(make, [bad, Path("a"), bad, bad, Path("b"), bad], workers=2))
    assert [report.image for report in reports] == ["locked", "a", "locked", "locked", "b", "locked"]
    assert reports[0].error == "locked: can't be searched"
    assert list(estimate_in_processes(make, [], workers=2)) == []
    assert [report.image for report in estimate_in_processes(make, [bad], workers=2)] == ["locked"]


def test_photos_are_taken_as_they_are_needed(make: partial[FakeReader], tmp_path: Path) -> None:
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield Path(f"photo-{taken}")

    reports = estimate_in_processes(make, endless(), workers=2)
    assert [next(reports).image for _ in range(3)] == ["photo-1", "photo-2", "photo-3"]
    assert taken < 200
    reports.close()  # type: ignore[attr-defined]
    assert running(tmp_path) == []


def test_processes_that_can_not_start() -> None:
    with pytest.raises(WorkerError, match=r"can't start \(exit code 3\).*__main__"):
        list(estimate_in_processes(NeverReady, [Path("a")], workers=2))
    with pytest.raises(WorkerError, match="can't start: no such thing"):
        list(estimate_in_processes(Failing, [Path("a")], workers=2))


def test_what_can_not_be_sent_is_named() -> None:
    class Local(FakeReader):
        pass

    with pytest.raises(OptionError, match="workers=1"):
        list(estimate_in_processes(Local, [Path("a")], workers=2))  # type: ignore[arg-type]


LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process that keeps Python's lock")
INTERRUPTED = """
import sys
from functools import partial
from pathlib import Path
from test_photo_workers import FakeReader
from spiralage.workers import estimate_in_processes
if __name__ == "__main__":
    photos = [Path("a"), *[Path(sys.argv[2])] * 10]
    for report in estimate_in_processes(partial(FakeReader, Path(sys.argv[1])), photos, workers=2):
        print(report.image, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("busy", ["hang", pytest.param("deaf", marks=LINUX_ONLY)])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_who_asks_them(tmp_path: Path, sent: signal.Signals, busy: str) -> None:
    (tmp_path / "started").mkdir()
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path / "started"), busy],
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    ends = time.time() + 60
    while len(list((tmp_path / "started").iterdir())) < 2 and time.time() < ends:
        time.sleep(0.05)
    time.sleep(0.2)
    begun = time.time()
    if sent == signal.SIGINT:
        os.killpg(process.pid, sent)  # as a terminal does
    else:
        process.send_signal(sent)
    _, said = process.communicate(timeout=20)
    assert time.time() - begun < 5
    assert said.count("Traceback") == (sent == signal.SIGINT)  # the program's own
    while running(tmp_path) and time.time() < begun + 5:
        time.sleep(0.05)
    assert running(tmp_path) == []


def test_the_pipeline_answers_alike_with_and_without(portrait: Photo, tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.png" for n in range(3)]
    for n, path in enumerate(paths):
        save_picture(path, portrait.pixels[: 256 + 8 * n, 90:350])
    (tmp_path / "bad.png").write_bytes(b"nonsense")
    paths.insert(1, tmp_path / "bad.png")
    pipeline = AgePipeline(detector="none", restorer="mean-face", threads=1)
    here = list(pipeline.estimate_each(paths, keep_photos=True))
    there = list(pipeline.estimate_each(paths, keep_photos=True, workers=2))
    assert [report.image for report in there] == [report.image for report in here] == list(map(str, paths))
    assert [report.error for report in there] == [report.error for report in here]
    for one, other in zip(here, there, strict=True):
        assert [face.age.mean for face in one.faces] == pytest.approx([f.age.mean for f in other.faces], abs=1e-3)
        assert (one.photo is None) == (other.photo is None) == (one.error is not None)


@pytest.mark.parametrize("workers", [0, -1, 100_000, True, 2.0])
def test_a_number_of_workers_out_of_range(workers: int) -> None:
    with pytest.raises(OptionError, match="number of workers"):
        AgePipeline(detector="none", restorer="none").estimate_each([], workers=workers)
