"""No photo leaves, and nothing is said about them either: what the libraries report to their makers is turned off.

ONNX Runtime (from 1.32 on) keeps an identifier of the device in the home folder and looks up a host, unless its
environment says otherwise *before it is imported*; OpenVINO reports its import. The package calls ``turn_off`` when it
is imported, before any room is, and child processes inherit the environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ONNX_RUNTIME_SWITCH = "ORT_DISABLE_TELEMETRY"
_OPENVINO_REPORTER = "openvino_telemetry"


def turn_off() -> None:
    """Turn off ONNX Runtime's telemetry, for this process and those that it starts.

    Where the program imported ONNX Runtime before this package, no more events are sent; what its import did is done.
    """
    os.environ[ONNX_RUNTIME_SWITCH] = "1"
    imported = sys.modules.get("onnxruntime")
    if imported is not None and hasattr(imported, "disable_telemetry_events"):
        imported.disable_telemetry_events()


@contextmanager
def openvino_is_silent() -> Iterator[None]:
    """While OpenVINO is imported: it doesn't find what would report it, and takes its own empty stand-in."""
    before = sys.modules.get(_OPENVINO_REPORTER)
    sys.modules[_OPENVINO_REPORTER] = None  # type: ignore[assignment]  # Python's way to say: not to be imported
    try:
        yield
    finally:
        if before is None:
            del sys.modules[_OPENVINO_REPORTER]
        else:
            sys.modules[_OPENVINO_REPORTER] = before
