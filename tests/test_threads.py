"""Threads: one number for all libraries, within reason."""

from __future__ import annotations

import cv2
import pytest

from spiralage import AgePipeline
from spiralage import threads as threads_module
from spiralage.age.estimate import AgeEstimator
from spiralage.cli import main
from spiralage.errors import OptionError
from spiralage.threads import thread_count


@pytest.mark.parametrize("threads", [0, -1, 100_000, 2**70, 1.5, True, "2"])
def test_a_number_of_threads_out_of_range(threads: int) -> None:
    with pytest.raises(OptionError, match="number of threads must be a whole number from 1 to"):
        thread_count(threads)
    with pytest.raises(OptionError, match="number of threads"):
        AgeEstimator(threads=threads)


@pytest.mark.parametrize("text", ["", "0", "-1", "two", "1.5", "100000", "9" * 5000, "²", "1 "])
def test_a_number_of_threads_in_the_environment_that_is_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SPIRALAGE_THREADS", text)
    with pytest.raises(OptionError, match=r"threads|THREADS"):
        thread_count()


def test_as_many_threads_as_cores_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPIRALAGE_THREADS", raising=False)
    for cores, expected in ((1, 1), (4, 4), (200, threads_module.MOST_BY_DEFAULT)):
        monkeypatch.setattr(threads_module, "available_cores", lambda cores=cores: cores)
        assert thread_count() == expected
    assert thread_count(64) == 64


def test_threads_reach_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cv2.getNumThreads()
    try:
        for threads in (2, 1):
            AgePipeline(detector="none", restorer="none", threads=threads)
            assert cv2.getNumThreads() == threads
        cv2.setNumThreads(3)
        monkeypatch.setenv("SPIRALAGE_THREADS", "1")
        AgePipeline(detector="none", restorer="none")
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)


def test_threads_reach_opencv_in_commands_for_one_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        monkeypatch.setenv("SPIRALAGE_THREADS", "1")
        assert main(["occlude", "missing.jpg", "-o", "never.png", "--detector", "none"]) == 1
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)
