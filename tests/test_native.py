"""Native objects: one a process or one a thread, and never a parent's in a forked child."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from spiralage import native
from spiralage.native import PerProcess, PerThread

FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


class Thing:
    """Knows which process and thread made it."""

    def __init__(self) -> None:
        time.sleep(0.01)  # others ask meanwhile
        self.made_in = os.getpid(), threading.get_ident()


def test_one_for_all_threads() -> None:
    things = PerProcess(Thing)
    with ThreadPoolExecutor(8) as pool:
        assert len({id(thing) for thing in pool.map(lambda _: things.get(), range(50))}) == 1


def test_one_for_each_thread() -> None:
    things = PerThread(Thing)
    meet = threading.Barrier(4)

    def get() -> tuple[Thing, int]:
        meet.wait()
        assert things.get() is things.get()
        return things.get(), threading.get_ident()

    with ThreadPoolExecutor(4) as pool:
        got = [future.result() for future in [pool.submit(get) for _ in range(4)]]
    assert len({id(thing) for thing, _ in got}) == 4
    assert all(thing.made_in[1] == thread for thing, thread in got)


FORKED = """
import os, sys, threading, time
from spiralage.native import PerProcess, PerThread, lock

class Thing:
    def __init__(self):
        self.made_in = os.getpid()
    def __del__(self):
        if self.made_in != os.getpid():
            os.write(2, b"a child destroyed its parent's\\n")

shared, own = PerProcess(Thing), PerThread(Thing)
shared.get(), own.get()
meet, end = threading.Barrier(2), threading.Event()
def other():
    own.get()
    with lock():  # held while the fork happens
        meet.wait()
        end.wait()
thread = threading.Thread(target=other)
thread.start()
meet.wait()
child = os.fork()
if child == 0:
    with lock():
        assert shared.get().made_in == own.get().made_in == os.getpid()
        assert shared.get() is shared.get() and own.get() is own.get()
    sys.exit(0)
end.set()
thread.join()
_, status = os.waitpid(child, 0)
assert status == 0, status
assert shared.get().made_in == own.get().made_in == os.getpid()
"""


@FORK
def test_a_child_makes_its_own_and_leaves_its_parents_alone() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_dropped_is_not_kept() -> None:
    before = len(native._state.all_made)
    PerProcess(Thing).get()
    assert len(native._state.all_made) == before
