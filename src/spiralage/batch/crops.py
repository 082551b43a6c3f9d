"""Every aligned face of a batch as a picture."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from spiralage.errors import OutputError
from spiralage.image_io import save_picture
from spiralage.types import PhotoReport

_LONGEST_NAME = 240
"""Bytes; file systems take 255."""


class CropsFolder:
    """Aligned faces, 256×256 RGB, as PNG files; a ``report.sinks.Sink``.

    The folders of the photos are kept, from the deepest that they share on: of ``holiday/sea/a.jpg`` and
    ``holiday/b.jpg`` the crops are ``sea/a.jpg-1.png`` and ``b.jpg-1.png``.

    Args:
        folder: where to; made if need be.
        photos: all that are read.

    Raises:
        OutputError: a photo that is read lies in that folder: a crop might take its place.
    """

    def __init__(self, folder: Path, photos: Iterable[Path]) -> None:
        self._folder = Path(os.path.realpath(folder))
        folders = {photo.parent for photo in photos}
        for photos_folder in folders:
            if self._folder in (place := Path(os.path.realpath(photos_folder)), *place.parents):
                raise OutputError(f"{folder}: photos are read from this folder; name another for the crops")
        # of how paths are written, not of where links lead: so names stay what the user gave
        absolute = {os.path.abspath(place) for place in folders}  # noqa: PTH100
        self._top = os.path.commonpath(absolute) if absolute else "."

    def add(self, photo: PhotoReport) -> None:
        """Write the photo's faces; raises OutputError."""
        for number, face in enumerate(photo.faces, 1):
            path = self.place(photo.image, number)
            if path.is_symlink():
                raise OutputError(f"{path}: a link is in a crop's place; remove it, or name another folder")
            save_picture(path, face.aligned.pixels)

    def place(self, image: str, number: int) -> Path:
        """Where a photo's face goes; numbers count from 1."""
        inside = Path(os.path.relpath(image, self._top))
        name = f"{inside.name}-{number}.png"
        if len(os.fsencode(name)) > _LONGEST_NAME:
            name = f"{hashlib.sha256(os.fsencode(inside.name)).hexdigest()}-{number}.png"
        return self._folder / inside.parent / name

    def close(self) -> None:
        """All are written already."""
