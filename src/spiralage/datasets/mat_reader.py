"""A program of its own that reads IMDB-WIKI's table with SciPy: ``python mat_reader.py PART < imdb.mat > table.npz``.

A damaged ``.mat`` can crash SciPy's reader, fill the memory, or never end; then it is this process that dies. The
answer has only arrays of numbers and of text, nothing that could run code. Nothing of the package is imported.
"""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

NUMBERS = ("dob", "photo_taken", "gender", "face_score", "second_face_score")
TEXTS = ("full_path", "name")

MAX_MEMORY = 2**31
"""Bytes of address space for a small table, and ``MEMORY_PER_BYTE`` more for each byte of the file."""

MEMORY_PER_BYTE = 100


def columns_of(data: bytes, part: str) -> dict[str, npt.NDArray[Any]]:
    """The struct ``part`` of a ``.mat`` file: ``NUMBERS`` as float64 and ``TEXTS`` as str, (N,) each.

    Raises:
        Exception: a dozen kinds on a file of another kind.
    """
    from scipy.io import loadmat

    struct = loadmat(io.BytesIO(data), variable_names=[part])[part][0, 0]
    numbers = {name: struct[name].ravel().astype(np.float64) for name in NUMBERS}
    return numbers | {name: np.array([_text(cell) for cell in struct[name].ravel()], np.str_) for name in TEXTS}


def _text(cell: Any) -> str:
    """A cell's text; an empty cell comes as an empty array."""
    return "".join(map(str, np.ravel(cell)))


def _limit_memory(size: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = MAX_MEMORY + MEMORY_PER_BYTE * size
    limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))


def main() -> int:
    """Read standard input, write the columns; 1 with a line on standard error if that fails."""
    data = sys.stdin.buffer.read()
    _limit_memory(len(data))
    answer = io.BytesIO()
    try:
        np.savez(answer, **columns_of(data, sys.argv[1]))  # type: ignore[arg-type]
    except Exception as error:
        print(" ".join([type(error).__name__, *str(error).splitlines()[:1]]), file=sys.stderr)
        return 1
    sys.stdout.buffer.write(answer.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main())
