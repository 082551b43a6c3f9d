"""One door to ONNX Runtime and OpenVINO: a session per model and process, with a settable number of threads."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import onnxruntime

from spiralage import weights
from spiralage.errors import MissingExtraError, ModelFileError, OptionError

BATCH = 16
"""Pictures per call: more gains no speed on a CPU and takes memory in a crowd."""

Engine: TypeAlias = Literal["onnxruntime", "openvino", "openvino-bf16", "openvino-int8"]
"""What runs a network. OpenVINO (extra ``fast``) computes in float32, or in bfloat16 where the processor can.

With the last, networks that ship in int8 too are taken so; what isn't rounded to int8 is computed as with
``openvino-bf16``.
"""

INT8 = "-int8"
"""What the name of such a network's file in int8 ends in."""

Arrays: TypeAlias = tuple[npt.NDArray[Any], ...]
Inputs: TypeAlias = dict[str, npt.NDArray[Any]]
"""What a network is asked, by input name."""


class Session:
    """A network, loaded by ONNX Runtime.

    ``input_shapes`` has the shape of every input by name, a free dimension as a word; ``notes`` what the model's file
    says of itself, ONNX's ``metadata_props``.

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
            raise _no_model(error) from error
        self.input_shapes: dict[str, list[Any]] = {value.name: value.shape for value in self._session.get_inputs()}
        self.notes: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def outputs(self, **inputs: npt.NDArray[Any]) -> Arrays:
        """All outputs for these named inputs, in one call."""
        return tuple(self._session.run(None, inputs))

    def run(self, **inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The network's first output for these named inputs, ``BATCH`` pictures at a time."""
        count = len(next(iter(inputs.values())))
        parts = [
            self.outputs(**{name: value[i : i + BATCH] for name, value in inputs.items()})[0]
            for i in range(0, count, BATCH)
        ]
        return np.concatenate(parts)


class OpenVINOSession(Session):
    """The same network, run by OpenVINO.

    Args:
        model: the bytes of an ONNX file.
        threads: used within one operation; None = OpenVINO's choice (all cores).
        precision: "f32", or "bf16", which is f32 where the processor doesn't compute in it.

    Raises:
        MissingExtraError: OpenVINO isn't installed.
        ModelFileError: the bytes are not an ONNX model that can be run.
    """

    def __init__(self, model: bytes, threads: int | None = None, precision: Literal["f32", "bf16"] = "bf16") -> None:
        super().__init__(model, threads)  # tells shapes and notes, and refuses what is no model
        del self._session
        try:
            import openvino
        except ImportError as error:
            raise MissingExtraError("OpenVINO", "fast") from error
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        core = openvino.Core()
        try:
            compiled = core.compile_model(core.read_model(model, b""), "CPU", settings)
        except RuntimeError as error:
            raise _no_model(error) from error
        self._compiled = compiled
        self._requests = threading.local()  # a request serves one call at a time

    def outputs(self, **inputs: npt.NDArray[Any]) -> Arrays:
        request = getattr(self._requests, "own", None)
        if request is None:
            request = self._requests.own = self._compiled.create_infer_request()
        found = request.infer(inputs)
        return tuple(np.array(found[output]) for output in self._compiled.outputs)  # the request keeps its own


def _no_model(error: Exception) -> ModelFileError:
    return ModelFileError(f"not an ONNX model that can be run ({str(error).splitlines()[0]}); install it again")


_lock = threading.Lock()


def open_session(name: str, threads: int | None = None, engine: Engine | None = None) -> Session:
    """The process's session for a shipped network, loaded at first use.

    Args:
        name: its section in ``weights/manifest.toml``.
        threads: see ``Session``; by default the environment's ``SPIRALAGE_THREADS``, if set.
        engine: what runs it; by default the environment's ``SPIRALAGE_ENGINE``, else ONNX Runtime.

    Raises:
        ModelFileError: no such network, or its file isn't the pinned one.
        OptionError: a number of threads below 1, or no such engine.
        MissingExtraError: OpenVINO is asked for and not installed.
    """
    with _lock:  # two threads that ask at once share one session
        return _open(
            name, threads if threads is not None else _threads_from_environment(), engine or engine_from_environment()
        )


def _threads_from_environment() -> int | None:
    text = os.environ.get("SPIRALAGE_THREADS")
    if text is None:
        return None
    if not text.isdecimal():
        raise OptionError(f"SPIRALAGE_THREADS must be a whole number from 1 on, got {text!r}")
    return int(text)


def engine_from_environment() -> Engine:
    """What runs networks unless something else is asked for: ``SPIRALAGE_ENGINE``; raises OptionError."""
    text = os.environ.get("SPIRALAGE_ENGINE", "onnxruntime")
    for engine in get_args(Engine):
        if text == engine:
            return engine  # type: ignore[no-any-return]
    raise OptionError(f"SPIRALAGE_ENGINE must be one of {', '.join(get_args(Engine))}, got {text!r}")


@lru_cache(maxsize=16)
def _open(name: str, threads: int | None, engine: Engine) -> Session:
    if threads is not None and threads < 1:
        raise OptionError(f"the number of threads must be at least 1, got {threads}")
    return load_session(weights.read(shipped_as(name, engine)), threads, engine)


def shipped_as(name: str, engine: Engine) -> str:
    """The shipped file that an engine runs for a network: with int8 its twin, if it has one."""
    twin = f"{name}{INT8}"
    return twin if engine == "openvino-int8" and twin in weights.manifest() else name


def load_session(model: bytes, threads: int | None = None, engine: Engine = "onnxruntime") -> Session:
    """A session of its own for the bytes of an ONNX file; see ``open_session``."""
    if engine == "onnxruntime":
        return Session(model, threads)
    return OpenVINOSession(model, threads, "f32" if engine == "openvino" else "bf16")
