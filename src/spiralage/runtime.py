"""One door to ONNX Runtime: a session per model and process, with a settable number of threads."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from spiralage import weights
from spiralage.errors import ModelFileError, OptionError

BATCH = 16
"""Pictures per call: more gains no speed on a CPU and takes memory in a crowd."""


class Session:
    """A loaded network.

    Args:
        model: the bytes of an ONNX file.
        threads: used within one operation; None = ONNX Runtime's choice (all cores).

    Raises:
        ModelFileError: the bytes are not an ONNX model that can be run.
    """

    def __init__(self, model: bytes, threads: int | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base but Exception
            reason = str(error).splitlines()[0]
            raise ModelFileError(f"not an ONNX model that can be run ({reason}); install it again") from error

    @property
    def input_shapes(self) -> dict[str, list[Any]]:
        """The shape of every input; a free dimension is a name."""
        return {value.name: value.shape for value in self._session.get_inputs()}

    def run(self, **inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The network's only output for these named inputs, ``BATCH`` pictures at a time."""
        count = len(next(iter(inputs.values())))
        parts = [
            self._session.run(None, {name: value[i : i + BATCH] for name, value in inputs.items()})[0]
            for i in range(0, count, BATCH)
        ]
        return np.concatenate(parts)


_lock = threading.Lock()


def open_session(name: str, threads: int | None = None) -> Session:
    """The process's session for a shipped network, loaded at first use.

    Args:
        name: its section in ``weights/manifest.toml``.
        threads: see ``Session``; by default the environment's ``SPIRALAGE_THREADS``, if set.

    Raises:
        ModelFileError: no such network, or its file isn't the pinned one.
        OptionError: a number of threads below 1.
    """
    with _lock:  # two threads that ask at once share one session
        return _open(name, threads if threads is not None else _threads_from_environment())


def _threads_from_environment() -> int | None:
    text = os.environ.get("SPIRALAGE_THREADS")
    if text is None:
        return None
    if not text.isdecimal():
        raise OptionError(f"SPIRALAGE_THREADS must be a whole number from 1 on, got {text!r}")
    return int(text)


@lru_cache(maxsize=8)
def _open(name: str, threads: int | None) -> Session:
    if threads is not None and threads < 1:
        raise OptionError(f"the number of threads must be at least 1, got {threads}")
    return Session(weights.read(name), threads)
