"""Silence while pictures are decoded: Pillow warns of odd metadata, which is not the user's problem."""

from __future__ import annotations

import threading
import warnings


class _Quiet:
    """Ignores Pillow's warnings while any thread is in it.

    The filters of warnings belong to the process. If each thread kept and restored them by itself, the last to
    leave could restore what another had set.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._kept = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._kept = warnings.catch_warnings()
                self._kept.__enter__()
                warnings.filterwarnings("ignore", module=r"(PIL|spiralage\.image_io)\b")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._kept.__exit__(None, None, None)


quiet = _Quiet()
"""``with quiet:`` around whatever decodes."""
