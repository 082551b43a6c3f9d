"""One door to ONNX Runtime and OpenVINO: a session per model and process, with a settable number of threads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import onnxruntime

from spiralage import native, store
from spiralage.errors import MissingExtraError, ModelFileError, OptionError
from spiralage.external_data import has_external_data
from spiralage.store import Kind, StoredFile
from spiralage.telemetry import openvino_is_silent
from spiralage.threads import thread_count

BATCH = 16
"""Pictures per call: more gains no speed on a CPU and takes memory in a crowd."""

SILENT = 4
"""ONNX Runtime's level of logging: what it says, in colour codes, of odd networks; its errors are raised, too."""

Engine: TypeAlias = Literal["onnxruntime", "openvino", "openvino-bf16", "openvino-int8"]
"""What runs a network. OpenVINO (extra ``fast``) computes in float32, or in bfloat16 where the processor can.

With the last, networks that ship in int8 too are taken so; what isn't rounded to int8 is computed as with
``openvino-bf16``.
"""

Arrays: TypeAlias = tuple[npt.NDArray[Any], ...]
Inputs: TypeAlias = dict[str, npt.NDArray[Any]]
"""What a network is asked, by input name."""


@dataclass(frozen=True)
class Port:
    """An input or output of a network.

    Args:
        dtype: as ONNX Runtime calls it, "tensor(uint8)".
        shape: a free dimension is a word, or None.
    """

    dtype: str
    shape: tuple[int | str | None, ...]

    def fits(self, wanted: Port) -> bool:
        """Whether a port can serve as another, in whose shape a word stands for a dimension that must be free."""
        pairs = zip(self.shape, wanted.shape, strict=False)
        same = all(not isinstance(got, int) if isinstance(want, str) else got == want for got, want in pairs)
        return self.dtype == wanted.dtype and len(self.shape) == len(wanted.shape) and same

    def __str__(self) -> str:
        return f"{self.dtype.removeprefix('tensor(').removesuffix(')')} ({', '.join(map(str, self.shape))})"


class Session:
    """A network, loaded by ONNX Runtime.

    Threads can share it. A forked child loads the network again at its first question: ONNX Runtime's threads live in
    the parent alone.

    ``inputs`` and ``first_output`` say what it takes and gives, ``input_shapes`` the shape of every input by name, a
    free dimension as a word; ``metadata`` what the model's file says of itself, ONNX's ``metadata_props``.

    Args:
        model: the bytes of an ONNX file.
        threads: used within one operation; see ``threads.thread_count``.

    Raises:
        ModelFileError: the bytes are not an ONNX model that can be run, or keep their weights in another file.
        OptionError: see ``threads.thread_count``.
    """

    def __init__(self, model: bytes, threads: int | None = None) -> None:
        self._model, self._threads = model, thread_count(threads)
        _check_is_whole(model)
        self._native = native.PerProcess(self._load)
        session = self._native.get()
        self.inputs = {value.name: Port(value.type, tuple(value.shape)) for value in session.get_inputs()}
        self.input_shapes: dict[str, list[Any]] = {name: list(port.shape) for name, port in self.inputs.items()}
        output = session.get_outputs()[0]
        self.first_output = output.name, Port(output.type, tuple(output.shape))
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)

    def _load(self) -> Any:
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads, options.intra_op_num_threads = 1, self._threads
        options.log_severity_level = SILENT
        options.add_session_config_entry("session.load_model_format", "ONNX")  # no other was looked through
        for which in ("intra", "inter"):  # threads that wait must not take the cores that others would work on
            options.add_session_config_entry(f"session.{which}_op.allow_spinning", "0")
        try:
            return onnxruntime.InferenceSession(self._model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base but Exception
            raise _no_model(error) from error

    def outputs(self, **inputs: npt.NDArray[Any]) -> Arrays:
        """All outputs for these named inputs, in one call."""
        return tuple(self._native.get().run(None, inputs))

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
        threads: used within one operation; see ``threads.thread_count``.
        precision: "f32", or "bf16", which is f32 where the processor doesn't compute in it.

    Raises:
        MissingExtraError: OpenVINO isn't installed.
        ModelFileError: the bytes are not an ONNX model that can be run.
        OptionError: see ``threads.thread_count``.
    """

    def __init__(self, model: bytes, threads: int | None = None, precision: Literal["f32", "bf16"] = "bf16") -> None:
        super().__init__(model, threads)  # tells inputs and metadata, and refuses what is no model
        self._precision = precision
        self._native = native.PerProcess(self._compile)
        self._requests = native.PerThread(lambda: self._native.get().create_infer_request())  # serves a call at a time
        self._native.get()

    def _compile(self) -> Any:
        try:
            with openvino_is_silent():
                import openvino
        except ImportError as error:
            raise MissingExtraError("OpenVINO", "fast") from error
        settings = {
            "INFERENCE_PRECISION_HINT": self._precision,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": self._threads,
        }
        core = openvino.Core()
        try:
            return core.compile_model(core.read_model(self._model, b""), "CPU", settings)
        except RuntimeError as error:
            raise _no_model(error) from error

    def outputs(self, **inputs: npt.NDArray[Any]) -> Arrays:
        found = self._requests.get().infer(inputs)
        return tuple(np.array(found[output]) for output in self._native.get().outputs)  # the request keeps its own


def _check_is_whole(model: bytes) -> None:
    try:
        whole = not has_external_data(model)
    except ValueError as error:
        raise _no_model(error) from error
    if not whole:  # it would be read from wherever the user stands, unchecked
        raise ModelFileError("keeps its weights in another file; save it as one file")


def _no_model(error: Exception) -> ModelFileError:
    return ModelFileError(
        f"not an ONNX model that can be run ({str(error).splitlines()[0]}); export or install it again"
    )


SIGNATURES: dict[Kind, tuple[dict[str, Port], tuple[str, Port]]] = {
    "age": (
        {"crops": Port("tensor(uint8)", ("N", 256, 256, 3))},
        ("probabilities", Port("tensor(float)", ("N", 101))),
    ),
    "landmarks": (
        {"crops": Port("tensor(uint8)", ("N", 256, 256, 3))},
        ("points", Port("tensor(float)", ("N", 68, 2))),
    ),
    "occlusion": (
        {"crops": Port("tensor(uint8)", ("N", 256, 256, 3))},
        ("hidden", Port("tensor(float)", ("N", 256, 256))),
    ),
}
"""What networks of a kind take and give, by name: what a user's network is checked for."""

MAY_TAKE: dict[Kind, dict[str, Port]] = {"age": {"hidden": Port("tensor(uint8)", ("N", 256, 256))}}
"""What some networks of a kind take besides."""


def check_signature(session: Session, kind: Kind, name: str) -> None:
    """Raises ModelFileError, naming what is wrong, where a network doesn't take and give what its kind must."""
    if kind not in SIGNATURES:
        return
    inputs, (output, gives) = SIGNATURES[kind]
    found = {"takes": session.inputs, "gives": dict([session.first_output])}
    inputs = inputs | {each: port for each, port in MAY_TAKE.get(kind, {}).items() if each in session.inputs}
    for verb, wanted in (("takes", inputs), ("gives", {output: gives})):
        ports = found[verb]
        if ports.keys() != wanted.keys() or not all(ports[each].fits(port) for each, port in wanted.items()):
            ours, theirs = (", ".join(f"{each} {port}" for each, port in side.items()) for side in (wanted, ports))
            raise ModelFileError(
                f"{name}: a network of kind {kind} {verb} {ours}, this one {verb} {theirs}; export it with spiralage"
            )


def open_session(name: str | Path | StoredFile, threads: int | None = None, engine: Engine | None = None) -> Session:
    """The process's session for a network's file, loaded at first use.

    Args:
        name: the file's section in ``weights/manifest.toml``, or a file of ``store.resolve``.
        threads: see ``threads.thread_count``.
        engine: what runs it; by default the environment's ``SPIRALAGE_ENGINE``, else ONNX Runtime.

    Raises:
        ModelFileError: no such network, or its file isn't the pinned one.
        OptionError: a number of threads out of range, or no such engine.
        MissingExtraError: OpenVINO is asked for and not installed.
    """
    engine, threads = engine or engine_from_environment(), thread_count(threads)
    file = name if isinstance(name, StoredFile) else store.shipped_file(str(name))
    if engine == "openvino-int8":
        file = store.int8_variant(file)
    with native.lock():  # two threads that ask at once share one session
        return _open(file, file.identity, threads, engine)


@lru_cache(maxsize=16)
def _open(file: StoredFile, identity: tuple[object, ...], threads: int, engine: Engine) -> Session:
    try:
        return load_session(file.read(), threads, engine)
    except ModelFileError as error:
        raise error if str(file.path) in str(error) else ModelFileError(f"{file.path}: {error}") from error


def engine_from_environment() -> Engine:
    """What runs networks unless something else is asked for: ``SPIRALAGE_ENGINE``; raises OptionError."""
    text = os.environ.get("SPIRALAGE_ENGINE", "onnxruntime")
    for engine in get_args(Engine):
        if text == engine:
            return engine  # type: ignore[no-any-return]
    raise OptionError(f"SPIRALAGE_ENGINE must be one of {', '.join(get_args(Engine))}, got {text!r}")


def shipped_as(name: str, engine: Engine) -> str:
    """The shipped file that an engine runs for a network: with int8 its variant in int8, if it has one."""
    return store.int8_variant(store.shipped_file(name)).name if engine == "openvino-int8" else name


def load_session(model: bytes, threads: int | None = None, engine: Engine = "onnxruntime") -> Session:
    """A session of its own for the bytes of an ONNX file; see ``open_session``."""
    if engine == "onnxruntime":
        return Session(model, threads)
    return OpenVINOSession(model, threads, "f32" if engine == "openvino" else "bf16")
