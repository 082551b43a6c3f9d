"""ONNX Runtime's door: one session, threads settable, batches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from spiralage.age.estimate import AgeEstimator
from spiralage.errors import ModelFileError, OptionError
from spiralage.runtime import BATCH, Session, open_session
from spiralage.types import Pixels


def random_crops(count: int) -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (count, 256, 256, 3), dtype=np.uint8)


def test_one_session_per_process_also_when_threads_ask_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        sessions = set(pool.map(lambda _: open_session("best", 1), range(16)))
    assert len(sessions) == 1
    assert open_session("best", 2) not in sessions


def test_number_of_threads_does_not_change_the_answer() -> None:
    crops = random_crops(2)
    one, two = (AgeEstimator(threads=threads).probabilities(crops) for threads in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_batches_are_independent_of_their_size() -> None:
    crops = random_crops(BATCH + 3)
    together = AgeEstimator().probabilities(crops)
    assert together.shape == (BATCH + 3, 101)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-5)
    alone = np.concatenate([AgeEstimator().probabilities(crop[None]) for crop in crops])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert AgeEstimator().estimate(crops[:0]) == ()


def test_threads_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIRALAGE_THREADS", "1")
    assert open_session("best") is open_session("best", 1)
    for bad in ("0", "many"):
        monkeypatch.setenv("SPIRALAGE_THREADS", bad)
        with pytest.raises(OptionError, match=r"threads|THREADS"):
            open_session("best")


def test_bytes_that_are_no_model() -> None:
    with pytest.raises(ModelFileError, match="not an ONNX model"):
        Session(b"nonsense")


def test_wrong_shape_is_named() -> None:
    with pytest.raises(ValueError, match=r"\(N, 256, 256, 3\), got \(1, 64, 64, 3\)"):
        AgeEstimator().probabilities(np.zeros((1, 64, 64, 3), np.uint8))
