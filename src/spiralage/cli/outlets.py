"""Where a batch's results go, and what becomes of the batch when one of these places fails or somebody stops it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any

from spiralage.cli.console import BROKEN_PIPE, StdoutError, complain, note
from spiralage.errors import OutputError
from spiralage.report.sinks import Sink
from spiralage.types import PhotoReport

STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""What ends a batch early: Ctrl-C, a scheduler, a terminal that is closed."""


class _NobodyTakesThemError(Exception):
    """All places have failed: there is nothing left to work for."""


class Outlets:
    """Hands every photo's result to all sinks at once.

    A sink that fails is said and dropped, and the others go on; without any the batch ends. So it does with Ctrl-C,
    and what is done stays: a photo is in all sinks or in none.

    Args:
        sinks: in this order.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = list(sinks)
        self._handlers: dict[int, Any] = {}
        self._stopped_by = 0
        self._writing = False
        self.exit_code = 0
        """0, 1 after an error of a photo or a sink, or as signals have it for what ended the batch."""

    def __enter__(self) -> Outlets:
        if threading.current_thread() is threading.main_thread():  # no other may handle signals
            handled = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
            self._handlers = {number: signal.signal(number, self._stop) for number in handled}
        return self

    def add(self, photo: PhotoReport) -> None:
        """Write what is known of a photo; its error, or that it was turned, goes to stderr too."""
        self._writing = True
        if photo.error is not None:
            self._fail(photo.error)
        for turn in sorted({face.face.turn for face in photo.faces} - {0}):
            note(f"{photo.image}: turned by {turn}° clockwise to find its faces")
        for sink in list(self._sinks):
            self._try(sink, lambda: sink.add(photo))  # noqa: B023  it runs at once
        self._writing = False
        if self._stopped_by:
            raise KeyboardInterrupt
        if not self._sinks:
            raise _NobodyTakesThemError

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        for number, handler in self._handlers.items():  # who asks a second time doesn't want to wait
            signal.signal(number, handler)
        for sink in list(self._sinks):
            self._try(sink, sink.close)
        if isinstance(error, KeyboardInterrupt):
            self.exit_code = 128 + (self._stopped_by or signal.SIGINT)
        return isinstance(error, KeyboardInterrupt | _NobodyTakesThemError)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        again, self._stopped_by = bool(self._stopped_by), number
        if again or not self._writing:
            raise KeyboardInterrupt

    def _try(self, sink: Sink, action: Callable[[], None]) -> None:
        try:
            action()
        except StdoutError as error:
            self._sinks.remove(sink)
            if error.broken:
                self.exit_code = BROKEN_PIPE
            else:
                self._fail(str(error))
        except OutputError as error:
            self._sinks.remove(sink)
            self._fail(str(error))

    def _fail(self, message: str) -> None:
        complain(message)
        self.exit_code = self.exit_code or 1
