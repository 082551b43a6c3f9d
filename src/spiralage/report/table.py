"""FaceReport → a table for the terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from spiralage.report.records import LEVEL, PhotoRecord, photo_record
from spiralage.text import printable, shown_in
from spiralage.types import PhotoReport

WIDEST = 10_000
"""Columns of a table that goes into a file or a pipe: none of its lines is wrapped."""


class TerminalTable:
    """A table of all photos, printed in the end: its columns are as wide as what is in them.

    Args:
        write: takes the table's text.
        at_least: ages in years for which P(age ≥ t) is wanted.
    """

    def __init__(self, write: Callable[[str], None], at_least: Sequence[int] = ()) -> None:
        self._write = write
        self._at_least = at_least
        self._records: list[PhotoRecord] = []

    def add(self, photo: PhotoReport) -> None:
        """Keep the photo's record."""
        self._records.append(photo_record(photo, self._at_least))

    def close(self) -> None:
        """Print the table."""
        text = _LikeStdout()
        # Where nobody watches there is no edge to wrap names at.
        console = Console(file=text, highlight=False, width=None if text.isatty() else WIDEST)
        console.print(make_table(self._records, self._at_least, console.encoding))
        self._write(text.getvalue())


class _LikeStdout(io.StringIO):
    """Takes text that is laid out and coloured for stdout, without writing it there yet."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(sys.stdout, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        return sys.stdout is not None and sys.stdout.isatty()


def make_table(records: Sequence[PhotoRecord], at_least: Sequence[int] = (), encoding: str = "utf-8") -> Table:
    """A table for a terminal of this encoding; a sign that it lacks is another."""

    def cell(text: str) -> Text:  # never read as markup
        return Text(shown_in(encoding, printable(text)))

    table = Table()
    for title in ("photo", "face", "age", "± std", f"{LEVEL:.0%} interval", "hidden", *(f"P(≥ {t})" for t in at_least)):
        table.add_column(cell(title), overflow="fold")
    for record in records:
        if not record["faces"]:
            table.add_row(cell(record["image"]), "error" if record["error"] else "no face")
        for number, face in enumerate(record["faces"], 1):
            low, high = face["interval"]
            chances = (f"{chance:.0%}" for chance in face["p_at_least"].values())
            numbers = (f"{face['age']:.1f}", f"{face['std']:.1f}", f"{low:.0f}–{high:.0f}", f"{face['hidden']:.0%}")
            table.add_row(*map(cell, (record["image"], str(number), *numbers, *chances)))
    return table
