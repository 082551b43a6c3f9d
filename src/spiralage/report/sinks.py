"""What takes a batch's results, photo by photo."""

from __future__ import annotations

from typing import Protocol

from spiralage.types import PhotoReport


class Sink(Protocol):
    """A file, a page or a terminal that results are written to as they come."""

    def add(self, photo: PhotoReport) -> None:
        """Write what is known of a photo; only what was closed by ``close`` may rely on more to come."""
        ...

    def close(self) -> None:
        """Nothing more comes: write what belongs at the end."""
        ...
