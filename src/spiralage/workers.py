"""Photos read by several processes, each with a pipeline of its own: their reports, in the order of the photos.

Processes are spawned, not forked, and ignore Ctrl-C: they end with whoever asks them. One that is killed takes no
other photo with it: what it was at is read again, photo by photo, and a photo that ends its process twice becomes an
error's row.
"""

from __future__ import annotations

import ctypes
import itertools
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Protocol, TypeAlias

from spiralage.errors import FolderError, OptionError, WorkerError, told
from spiralage.types import PhotoReport

PHOTOS_A_TASK = 8
"""So many photos go to a process at a time: their faces are read together."""
TASKS_AHEAD = 2
"""So many tasks a process has at hand."""
MOST_FAILED_STARTS = 3
"""After so many processes in a row that ended before they could read a photo, there is no use in starting another."""


PR_SET_PDEATHSIG = 1
"""Linux: the signal that a process gets when its parent dies (prctl(2))."""


class Reader(Protocol):
    """What each process makes for itself: ``pipeline.AgePipeline``."""

    def estimate_each(self, photos: Iterable[Path], *, keep_photos: bool) -> Iterator[PhotoReport]: ...


MakeReader: TypeAlias = Callable[[], Reader]
Task: TypeAlias = list[tuple[int, Path]]
"""Photos, and which in the order of all they are."""


class _Worker:
    """A process and what it was asked.

    Args:
        make: makes its reader.
        keep_photos: keep the pixels in reports.
    """

    def __init__(self, make: MakeReader, *, keep_photos: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.tasks: deque[Task] = deque()
        self.ready = False
        self._process = context.Process(target=_work, args=(theirs, make, keep_photos), daemon=True)
        try:
            with _no_interrupt():
                self._process.start()
        finally:
            theirs.close()  # so that the end of the process is the end of what can be received

    def ask(self, task: Task) -> None:
        self.tasks.append(task)
        with suppress(OSError):  # it has ended, and what can be received from it says so
            self.connection.send([path for _, path in task])

    def end(self) -> str:
        """End the process, if it hasn't ended, and say how it did."""
        self._process.join(0.1)
        code = self._process.exitcode
        self._process.kill()
        self._process.join()
        self.connection.close()
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return "not ended" if code is None else f"exit code {code}"

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.join()
        self.connection.close()


class _Crew:
    """The processes, and what is still to be read.

    Args:
        make: makes each process's reader.
        photos: numbered.
        size: how many processes.
        keep_photos: keep the pixels in reports.
    """

    def __init__(self, make: MakeReader, photos: Iterator[tuple[int, Path]], size: int, *, keep_photos: bool) -> None:
        self._make, self._photos, self._keep_photos = make, photos, keep_photos
        self._next = next(photos, None)
        self._again: deque[Task] = deque()  # what a process had at hand that has ended
        self._suspects: set[int] = set()  # photos that were at work then
        self._failed_starts = 0
        self.workers: list[_Worker] = []
        for _ in range(size):
            self._hire()

    def _hire(self) -> None:
        self.workers.append(_Worker(self._make, keep_photos=self._keep_photos))

    def hand_out(self, before: int) -> None:
        """Give every process enough to do; no photo from number ``before`` on is begun."""
        for _ in range(TASKS_AHEAD):
            for worker in self.workers:
                if len(worker.tasks) < TASKS_AHEAD and (task := self._next_task(before)):
                    worker.ask(task)

    def _next_task(self, before: int) -> Task:
        if self._again:
            return self._again.popleft()
        task: Task = []
        while len(task) < PHOTOS_A_TASK and self._next is not None and self._next[0] < before:
            task.append(self._next)
            self._next = next(self._photos, None)
        return task

    @property
    def busy(self) -> bool:
        return any(worker.tasks for worker in self.workers) or bool(self._again)

    def answers(self) -> Iterator[tuple[int, PhotoReport]]:
        """Wait until processes say something, and what they say: reports by number."""
        for connection in wait([worker.connection for worker in self.workers]):
            worker = next(one for one in self.workers if one.connection is connection)
            try:
                said = worker.connection.recv()
            except (EOFError, OSError):
                yield from self._replace(worker)
                continue
            if isinstance(said, str):
                raise WorkerError(f"a process that reads photos can't start: {said}")
            if not worker.ready:
                worker.ready = True
                self._failed_starts = 0
                continue
            number, _ = worker.tasks[0].pop(0)
            if not worker.tasks[0]:
                worker.tasks.popleft()
            yield number, said

    def _replace(self, worker: _Worker) -> Iterator[tuple[int, PhotoReport]]:
        """Another process for one that has ended; the report of a photo whose fault it can only be."""
        how = worker.end()
        self.workers.remove(worker)
        self._failed_starts += not worker.ready
        if self._failed_starts >= MOST_FAILED_STARTS:
            raise WorkerError(
                f"processes that read photos can't start ({how}); a script that asks for them needs "
                "if __name__ == '__main__': around it, or workers=1"
            )
        at_work, *others = worker.tasks or [[]]
        if not worker.ready:
            others = [at_work, *others]
        elif len(at_work) == 1 and at_work[0][0] in self._suspects:
            ((number, path),) = at_work
            reason = f"the process that read it has ended twice ({how}); there may be too little memory: fewer workers"
            yield number, PhotoReport(str(path), error=f"{path}: {reason}")
        else:
            self._suspects.update(number for number, _ in at_work)
            others = [*([photo] for photo in at_work), *others]
        self._again.extendleft(task for task in reversed(others) if task)
        self._hire()

    def dismiss(self) -> None:
        """End all processes at once."""
        for worker in self.workers:
            worker.kill()


def estimate_in_processes(
    make: MakeReader, photos: Iterable[Path | FolderError], *, workers: int, keep_photos: bool = False
) -> Iterator[PhotoReport]:
    """Reports of photos, in order, by several processes.

    Args:
        make: makes the reader of a process; goes to it by pickle.
        photos: paths; a folder that can't be searched becomes a report that says so.
        workers: how many processes.
        keep_photos: keep the pixels, for reports that picture them.

    Raises:
        OptionError: ``make`` can't be sent to another process.
        WorkerError: the processes can't start.
    """
    try:
        ForkingPickler.dumps(make)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise OptionError(
            f"several processes need settings that can be sent to them ({error}); give names, or workers=1"
        ) from error
    done: dict[int, PhotoReport] = {}
    crew = _Crew(make, _readable(photos, done), workers, keep_photos=keep_photos)
    ahead = 2 * workers * TASKS_AHEAD * PHOTOS_A_TASK
    try:
        for number in itertools.count():
            while number not in done:
                crew.hand_out(number + ahead)
                if number in done:
                    break
                if not crew.busy:
                    return
                done.update(crew.answers())
            yield done.pop(number)
    finally:
        crew.dismiss()


def _readable(photos: Iterable[Path | FolderError], done: dict[int, PhotoReport]) -> Iterator[tuple[int, Path]]:
    """The photos by number; what is none is done already."""
    for number, photo in enumerate(photos):
        if isinstance(photo, FolderError):
            done[number] = PhotoReport(str(photo.path), error=str(photo))
        else:
            yield number, photo


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Ctrl-C waits; a process that is started meanwhile never gets it, not even while it starts."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, make: MakeReader, keep_photos: bool) -> None:
    """What a process does: make a reader, then answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    try:
        try:
            logging.disable(logging.WARNING)  # who started it has said these things
            reader = make()
            logging.disable(logging.NOTSET)
        except Exception as error:
            connection.send(told(error))
            return
        connection.send(None)
        while True:
            for report in reader.estimate_each(connection.recv(), keep_photos=keep_photos):
                connection.send(report)
    except (EOFError, OSError):  # nobody asks, or listens
        return


def end_with_parent() -> None:
    """End this process, which ``multiprocessing`` started, at once when its parent has ended, however it did.

    On Linux the kernel ends it, whatever it is busy with; "parent" is there the thread that started it. Elsewhere it
    ends as soon as Python gets a turn.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent.pid:  # it died before that
                os._exit(1)
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
