"""CSV files, line by line, as any reader takes them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable


def csv_line(values: Iterable[object]) -> str:
    r"""A line of a CSV file, with its end; None is an empty cell, and a float has as many digits as give it back.

    >>> csv_line(["a,b.jpg", "a\rb.jpg", None, 0.5])
    '"a,b.jpg","a\rb.jpg",,0.5\n'
    """
    buffer = io.StringIO()
    # Python before 3.13 quotes only those line ends that it writes itself, and readers end a row at any.
    csv.writer(buffer, lineterminator="\r\n").writerow(values)
    return buffer.getvalue().removesuffix("\r\n") + "\n"
