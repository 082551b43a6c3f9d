"""What the commands share in talking to a terminal: results on stdout, all else on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from spiralage.files import printable

results = Console(highlight=False)
messages = Console(stderr=True, highlight=False)


def complain(message: str) -> None:
    """One line on stderr, whatever the terminal's width."""
    print(f"spiralage: {printable(message)}", file=sys.stderr)


@contextmanager
def progress_bar(title: str, *, shown: bool = True) -> Iterator[Callable[..., None]]:
    """A bar on stderr; yields ``update(done, total, note="")``."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=messages, disable=not shown, transient=True) as progress:
        task = progress.add_task(title, total=None, note="")

        def update(done: int, total: int | None = None, note: str = "") -> None:
            progress.update(task, completed=done, total=total, note=note)

        yield update
