"""Requests wait in one bounded queue; one thread reads the photos of all that wait together."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from spiralage.pipeline import AgePipeline
from spiralage.types import PhotoReport
from spiralage.web.limits import Limits

Way: TypeAlias = tuple[str, str]
"""What tells what is hidden, and who fills it in; see ``AgePipeline``."""
MakePipeline: TypeAlias = Callable[[str, str], AgePipeline]

WAYS_KEPT = 4
"""Pipelines that are kept; the networks in them are the process's in any case."""


class BusyError(Exception):
    """As many requests wait as may."""


@dataclass
class _Job:
    """Photos to be read, or something else to be done with a pipeline; and where the answer goes."""

    way: Way
    photos: Sequence[bytes] = ()
    work: Callable[[AgePipeline], Any] | None = None
    answer: Future[Any] = field(default_factory=Future)


class Workshop:
    """One thread that owns the pipelines. Photos of requests that wait, and want the same way, are read together.

    Args:
        make: a pipeline for a way.
        limits: how many may wait, and how many photos are read together.
    """

    def __init__(self, make: MakePipeline, limits: Limits) -> None:
        self._pipeline = lru_cache(maxsize=WAYS_KEPT)(make)
        self._limits = limits
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._room = threading.BoundedSemaphore(limits.waiting)
        self._thread = threading.Thread(target=self._work, name="spiralage-workshop", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return self._jobs.qsize()

    def warm(self) -> Future[Any]:
        """Load the networks of the usual way; the answer comes when they are there."""
        job = _Job(("auto", "spiral"), work=lambda _: None)
        self._jobs.put(job)  # it takes nobody's place
        return job.answer

    def read(self, photos: Sequence[bytes], way: Way) -> Future[list[PhotoReport]]:
        """The reports of encoded photos, in order; raises BusyError."""
        return self._put(_Job(way, photos))

    def do(self, way: Way, work: Callable[[AgePipeline], Any]) -> Future[Any]:
        """What ``work`` makes of the pipeline of a way; raises BusyError."""
        return self._put(_Job(way, work=work))

    def close(self) -> None:
        """Do what waits, and end."""
        self._jobs.put(None)
        self._thread.join()

    def _put(self, job: _Job) -> Future[Any]:
        if not self._room.acquire(blocking=False):
            raise BusyError
        job.answer.add_done_callback(lambda _: self._room.release())
        self._jobs.put(job)
        return job.answer

    def _work(self) -> None:
        held: _Job | None = None
        while (job := held or self._jobs.get()) is not None:
            together, held = self._gathered(job)
            _answer(together, self._done)

    def _gathered(self, first: _Job) -> tuple[list[_Job], _Job | None]:
        """Jobs that wait and can be done with the first; and one that can't."""
        jobs, photos = [first], len(first.photos)
        while first.work is None and photos < self._limits.batch:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)  # the end comes after these
                break
            if job.work is not None or job.way != first.way or photos + len(job.photos) > self._limits.batch:
                return jobs, job
            jobs.append(job)
            photos += len(job.photos)
        return jobs, None

    def _done(self, jobs: Sequence[_Job]) -> list[Any]:
        """The answers of jobs that are done together."""
        pipeline = self._pipeline(*jobs[0].way)
        if (work := jobs[0].work) is not None:
            return [work(pipeline)]
        reports = pipeline.estimate_many([photo for job in jobs for photo in job.photos], keep_photos=False)
        return [[next(reports) for _ in job.photos] for job in jobs]


def _answer(jobs: Sequence[_Job], work: Callable[[Sequence[_Job]], Sequence[Any]]) -> None:
    """Do the work of the jobs that are still wanted, and hand out answers or what went wrong."""
    wanted = [job.answer.set_running_or_notify_cancel() for job in jobs]
    if not any(wanted):
        return
    try:
        answers = work(jobs)
    except Exception as error:  # whatever it is, it is these requests' alone: the thread goes on
        for job, is_wanted in zip(jobs, wanted, strict=True):
            if is_wanted:
                job.answer.set_exception(error)
        return
    for job, is_wanted, answer in zip(jobs, wanted, answers, strict=True):
        if is_wanted:
            job.answer.set_result(answer)
