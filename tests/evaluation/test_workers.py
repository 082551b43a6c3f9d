"""Processes that share work: they end with the one that started them, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spiralage.errors import WorkerError
from spiralage.evaluation.workers import share

PATIENCE_S = 60


def write_name(path: Path) -> None:
    path.write_text(str(os.getpid()), encoding="utf-8")


def write_name_and_wait(path: Path) -> None:
    write_name(path)
    time.sleep(600)


def fail_or_write(path: Path) -> None:
    if path.name == "bad":
        raise ValueError("this one fails")
    write_name(path)


def die(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def exists(pid: int) -> bool:
    """Whether a process is there and not a zombie that nobody has collected yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until(what: str, done: object) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_every_task_is_done_in_another_process(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(5)]
    assert len(list(share(write_name, paths, 2))) == 5
    names = {path.read_text() for path in paths}
    assert len(names) <= 2
    assert str(os.getpid()) not in names


def test_a_failed_task_is_raised(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="this one fails"):
        list(share(fail_or_write, [tmp_path / "bad", *(tmp_path / str(n) for n in range(3))], 1))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_process_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"was killed, .* with fewer --workers"):
        list(share(die, [tmp_path / "a", tmp_path / "b"], 2))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up as Linux tells them")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    code = (
        "import signal\n"
        "from pathlib import Path\n"
        "from spiralage.evaluation.workers import share\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        "from test_workers import write_name_and_wait\n"
        f"list(share(write_name_and_wait, [Path({str(tmp_path / 'a')!r}), Path({str(tmp_path / 'b')!r})], 2))\n"
    )
    places = [str(Path(__file__).parent), *sys.path]
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(places)},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        names = [tmp_path / "a", tmp_path / "b"]
        wait_until("both have begun", lambda: all(path.exists() and path.read_text() for path in names))
        pids = [int(path.read_text()) for path in names]
        assert all(map(exists, pids))
        parent.send_signal(number)
        parent.communicate(timeout=PATIENCE_S)
        wait_until("both are gone", lambda: not any(map(exists, pids)))
    finally:
        parent.kill()
        parent.communicate()
