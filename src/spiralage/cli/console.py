"""What the commands share in talking to a terminal: results on stdout, all else on stderr."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from spiralage.text import ANOTHER_SIGN, printable

BROKEN_PIPE = 141
"""The exit code when whoever reads the results has gone: that of a program that SIGPIPE ends."""

INTERRUPTED = 130
"""The exit code after Ctrl-C: that of a program that SIGINT ends."""


class StdoutError(Exception):
    """Results can't be printed; ``broken`` where nobody reads them any more, which is no one's mistake."""

    def __init__(self, error: OSError | None) -> None:
        reason = "it is closed" if error is None else error.strerror or str(error)
        super().__init__(f"the results can't be printed to standard output ({reason})")
        self.broken = error is not None and error.errno in (errno.EPIPE, errno.ESHUTDOWN)


def prepare_streams() -> None:
    """Make the process's streams safe to write to, once, before anything else is opened.

    A closed one of the three standard descriptors is taken by the null device, lest the next file that is opened
    gets its number and with it what libraries print; a sign that an encoding lacks is written as another.
    """
    with contextlib.suppress(OSError):
        while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(opened)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # None where the stream is closed
        if reconfigure is not None:
            reconfigure(errors=ANOTHER_SIGN)


def write_out(text: str) -> None:
    """Results on stdout, at once; raises StdoutError."""
    if sys.stdout is None:  # closed before the program began
        raise StdoutError(None)
    try:
        sys.stdout.write(text)
    except OSError as error:
        _drop_what_is_left()
        raise StdoutError(error) from error
    flush_out()


def flush_out() -> None:
    """What waits to be printed on stdout goes out now; raises StdoutError."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        _drop_what_is_left()
        raise StdoutError(error) from error


def say(line: str) -> None:
    """One line of results on stdout, as it is: no markup, no wrapping; raises StdoutError."""
    write_out(printable(line) + "\n")


def note(line: str) -> None:
    """One line on stderr, above the progress bar if there is one."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # who can't be told won't be
            print(printable(line), file=sys.stderr, flush=True)


def complain(message: str) -> None:
    """One line on stderr that says what went wrong, whatever the terminal's width."""
    note(f"spiralage: {message}")


class _Noting(logging.Handler):
    """What the package logs is a note."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


def log_to_stderr() -> None:
    """What the package logs goes to stderr, a line each."""
    logging.basicConfig(handlers=[_Noting()], level=logging.WARNING)


def is_terminal(stream: object) -> bool:
    """Whether somebody watches this stream."""
    isatty = getattr(stream, "isatty", None)
    return isatty is not None and bool(isatty())


@contextmanager
def progress_bar(title: str, *, shown: bool = True) -> Iterator[Callable[..., None]]:
    """A bar on stderr; yields ``update(done, total, note="")``. Nothing is drawn where nobody watches."""
    if not shown or not is_terminal(sys.stderr):
        yield lambda done, total=None, note="": None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    # Results are no part of the bar: they stay on stdout.
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task(title, total=None, note="")

        def update(done: int, total: int | None = None, note: str = "") -> None:
            progress.update(task, completed=done, total=total, note=note)

        yield update


def _drop_what_is_left() -> None:
    """Send what a failed stdout still holds to the null device: Python would try again, and complain, at its end."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
