"""Where a batch's results go, and what becomes of the batch when one of these places fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType

from spiralage.cli.console import BROKEN_PIPE, INTERRUPTED, StdoutError, complain
from spiralage.errors import OutputError
from spiralage.report.sinks import Sink
from spiralage.types import PhotoReport


class _NobodyTakesThemError(Exception):
    """All places have failed: there is nothing left to work for."""


class Outlets:
    """Hands every photo's result to all sinks at once.

    A sink that fails is said and dropped, and the others go on; without any the batch ends. So it does with Ctrl-C,
    and what is done stays.

    Args:
        sinks: in this order.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = list(sinks)
        self.exit_code = 0
        """0, 1 after an error of a photo or a sink, or what ended the batch."""

    def __enter__(self) -> Outlets:
        return self

    def add(self, photo: PhotoReport) -> None:
        """Write what is known of a photo; its error goes to stderr too."""
        if photo.error is not None:
            self._fail(photo.error)
        for sink in list(self._sinks):
            self._try(sink, lambda: sink.add(photo))  # noqa: B023  it runs at once
        if not self._sinks:
            raise _NobodyTakesThemError

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        for sink in list(self._sinks):
            self._try(sink, sink.close)
        if isinstance(error, KeyboardInterrupt):
            self.exit_code = INTERRUPTED
        return isinstance(error, KeyboardInterrupt | _NobodyTakesThemError)

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
