"""How many threads the libraries compute with: ONNX Runtime, OpenVINO and OpenCV get the same number."""

from __future__ import annotations

import os

import cv2

from spiralage.errors import OptionError

MOST_BY_DEFAULT = 8
"""More threads gain nothing for networks of this size."""


def thread_count(threads: int | None = None) -> int:
    """How many threads a network is run by.

    Args:
        threads: that many; None = the environment's ``SPIRALAGE_THREADS``, else as many as there are cores, at most
            ``MOST_BY_DEFAULT``.

    Raises:
        OptionError: it is no whole number from 1 to four times the cores (64, where that is more).
    """
    cores = available_cores()
    if threads is None:
        text = os.environ.get("SPIRALAGE_THREADS")
        if text is None:
            return min(cores, MOST_BY_DEFAULT)
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise OptionError(f"SPIRALAGE_THREADS must be a whole number from 1 on, got {text[:40]!r}")
        threads = int(text)
    most = most_threads()
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= most:
        raise OptionError(f"the number of threads must be a whole number from 1 to {most}, got {threads!r}")
    return threads


def most_threads() -> int:
    """More threads than these only take memory and time."""
    return max(64, 4 * available_cores())


def use_threads(threads: int | None = None) -> int:
    """Set how many threads OpenCV works with in this process, as ``thread_count`` says, and return it.

    OpenCV has one number for the whole process: what was asked for last counts.
    """
    count = thread_count(threads)
    if cv2.getNumThreads() != count:
        cv2.setNumThreads(count)
    return count


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
