"""Processes that share work and never outlive the one that started them, however it ends."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from typing import TypeVar

from spiralage.errors import WorkerError
from spiralage.workers import end_with_parent

Task = TypeVar("Task")


def share(
    work: Callable[[Task], object], tasks: Sequence[Task], workers: int, prepare: Callable[[], object] | None = None
) -> Iterator[None]:
    """Do tasks in processes of their own; yields after each, in the order in which they end.

    When a task fails, those that run are finished and those that wait are not begun. Ctrl-C, or whatever else ends the
    caller, ends the processes at once.

    Args:
        work: what is done; it and the tasks must be such that another process can be sent them.
        tasks: what it is done to.
        workers: how many processes.
        prepare: called once in each of them, as ``work`` is.

    Raises:
        WorkerError: a process was killed.
        Exception: what ``work`` raised.
    """
    before = set(active_children())
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (prepare,))
    try:
        for future in as_completed([pool.submit(work, task) for task in tasks]):
            future.result()
            yield
    except BrokenProcessPool as error:
        raise WorkerError(
            "a process that shared the work was killed, perhaps for want of memory; the same command goes on, "
            "with fewer --workers"
        ) from error
    except Exception:
        raise
    except BaseException:  # Ctrl-C, or nobody asks for the rest
        for process in set(active_children()) - before:
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(prepare: Callable[[], object] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all: the parent ends us
    end_with_parent()
    if prepare is not None:
        prepare()
