"""FaceReport → a table for the terminal.

Not rich's: importing that takes a twelfth of the time in which a photo's age is told.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from spiralage.report.records import LEVEL, FaceRecord, PhotoRecord, photo_record
from spiralage.text import printable, shown_in
from spiralage.types import PhotoReport

GAP = "  "
RULE = "─"
NOT_CALIBRATED = ", not calibrated"
"""What stands after an interval that is not calibrated."""


class TerminalTable:
    """A table of all photos, printed in the end: its columns are as wide as what is in them.

    Args:
        write: takes the table's text.
        at_least: ages in years for which P(age ≥ t) is wanted.
    """

    def __init__(self, write: Callable[[str], None], at_least: Sequence[int] = ()) -> None:
        self._write = write
        self._at_least = at_least
        self._rows: list[list[str]] = []

    def add(self, photo: PhotoReport) -> None:
        """Keep the photo's rows."""
        self._rows += rows(photo_record(photo, self._at_least))

    def close(self) -> None:
        """Print the table."""
        titles = ["photo", "face", "age", "± std", f"{LEVEL:.0%} interval", "hidden"]
        titles += [f"P(≥ {age})" for age in self._at_least]
        if any(len(row) > len(titles) for row in self._rows):
            titles.append("why")
        self._write(layout([titles, *self._rows], getattr(sys.stdout, "encoding", None) or "utf-8"))


def rows(record: PhotoRecord) -> Iterator[list[str]]:
    """A row for every face; one for a photo without any."""
    if not record["faces"]:
        yield [record["image"], "error" if record["error"] else "no face"]
    for number, face in enumerate(record["faces"], 1):
        yield [record["image"], str(number), *_cells(face)]


def _cells(face: FaceRecord) -> Iterator[str]:
    """A face's numbers; of one whose age can't be told, that it is so and why."""
    age, std, interval = face["age"], face["std"], face["interval"]
    if age is None or std is None or interval is None:
        yield from (
            "can't tell",
            "",
            "",
            f"{face['hidden']:.0%}",
            *([""] * len(face["p_at_least"])),
            str(face["cant_tell"]),
        )
        return
    yield from (
        f"{age:.1f}",
        f"{std:.1f}",
        "{:.0f}–{:.0f}".format(*interval) + ("" if face["calibrated"] else NOT_CALIBRATED),
    )
    yield f"{face['hidden']:.0%}"
    yield from (f"{chance:.0%}" for chance in face["p_at_least"].values())


def layout(table: Sequence[Sequence[str]], encoding: str) -> str:
    """Rows in columns, the first one as a heading; a sign that the encoding lacks is another.

    >>> print(layout([["photo", "± std"], ["a.jpg", "5.0"]], "ascii"), end="")
    photo  +/- std
    -----  -------
    a.jpg  5.0
    """
    cells = [[shown_in(encoding, printable(text)) for text in row] for row in table]
    widths = [max(columns(row[i]) for row in cells if i < len(row)) for i in range(len(cells[0]))]
    cells.insert(1, [shown_in(encoding, RULE) * width for width in widths])
    lines = (GAP.join(text + " " * (width - columns(text)) for text, width in zip(row, widths)) for row in cells)  # noqa: B905  short rows end early
    return "".join(f"{line.rstrip()}\n" for line in lines)


def columns(text: str) -> int:
    """How many columns of a terminal a text takes.

    >>> columns("a写é")
    4
    """
    wide = sum(unicodedata.east_asian_width(sign) in "WF" for sign in text)
    return len(text) + wide - sum(unicodedata.category(sign) in ("Mn", "Me", "Cf") for sign in text)
