"""Where a batch's results go, and what becomes of the batch when one of these places fails or Ctrl-C ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any

from spiralage.cli.console import BROKEN_PIPE, INTERRUPTED, StdoutError, complain, note
from spiralage.errors import OutputError
from spiralage.report.sinks import Sink
from spiralage.types import PhotoReport


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
        self._handler: Any = None
        self._stopped = False
        self._writing = False
        self.exit_code = 0
        """0; 1 after an error of a photo or a sink; 130 after Ctrl-C; 141 where nobody reads stdout any more."""

    def __enter__(self) -> Outlets:
        # No other thread may handle signals. SIGTERM stays as it is: it must end a native library's long loop, too.
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self._handler = signal.signal(signal.SIGINT, self._stop)
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
        if self._stopped:
            raise KeyboardInterrupt
        if not self._sinks:
            raise _NobodyTakesThemError

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self._handler is not None:  # who asks a second time doesn't want to wait
            signal.signal(signal.SIGINT, self._handler)
        for sink in list(self._sinks):
            self._try(sink, sink.close)
        if isinstance(error, KeyboardInterrupt):
            self.exit_code = INTERRUPTED
        return isinstance(error, KeyboardInterrupt | _NobodyTakesThemError)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        again, self._stopped = self._stopped, True
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
