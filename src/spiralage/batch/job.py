"""What is done of a folder, on disk: a kill at any moment loses no finished part, and leaves no half-written file.

Beside the table ``ages.parquet`` grows the folder ``ages.parquet.parts``:

    job.json            the settings: a job goes on with those it was begun with
    part-000001.jsonl   a line per photo with its rows; a part appears whole or not at all

When all photos are in parts, they are merged into the table, which takes its place in one step, and the folder goes.
The table is never there half; photos of a part that a kill prevented are read again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from spiralage.batch.tables import writer_for
from spiralage.errors import OptionError, OutputError
from spiralage.files import write_text
from spiralage.report.rows import Row, columns, photo_rows
from spiralage.types import PhotoReport

PHOTOS_A_PART = 128
"""A part is written after so many photos,"""
SECONDS_A_PART = 15.0
"""or after so many seconds, whatever comes first: so much work a kill can cost."""


FINISHED = "finished.json"
"""What job.json is called once the table is in its place: what is left of the folder is of no use."""


def is_complete(out: Path) -> bool:
    """Whether the table is there and no job is at it; what a killed one left that had finished is removed."""
    folder = _parts_folder(out)
    if (folder / FINISHED).exists():
        _clear(folder)
    return out.exists() and not folder.exists()


class Job:
    """The rows of many photos on their way into one table; a ``report.sinks.Sink``.

    Args:
        out: the table to write: .parquet, .csv or .jsonl.
        settings: what the rows depend on, in JSON's types.
        at_least: ages in years for which P(age ≥ t) is wanted.
        resume: go on with what is there.

    Raises:
        OptionError: the ending isn't known; a job was begun there and ``resume`` is false, or its settings were others;
            another process is at it.
        OutputError: the folder of parts can't be made.
    """

    def __init__(
        self, out: Path, settings: Mapping[str, Any], at_least: Sequence[int] = (), *, resume: bool = False
    ) -> None:
        self._write = writer_for(out)
        self._out = Path(os.path.realpath(out))
        self.folder = _parts_folder(out)
        self._settings = {**settings, "at_least": list(at_least)}
        self._at_least = at_least
        self._rows: list[str] = []
        self._since = time.monotonic()
        self._lock: IO[bytes] | None = None
        self._begin(resume)
        self.done = {line["image"] for part in self._parts() for line in _read(part)}
        """The photos that are in parts already."""
        self._count = len(self.done)
        self._number = max((int(part.stem[5:]) for part in self._parts()), default=0)

    def __enter__(self) -> Job:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._lock is not None:
            self._lock.close()

    def add(self, photo: PhotoReport) -> None:
        """Take a photo's rows; they are on disk when their part is; raises OutputError."""
        line = {"image": photo.image, "error": photo.error, "rows": photo_rows(photo, self._at_least)}
        self._rows.append(json.dumps(line) + "\n")
        if len(self._rows) >= PHOTOS_A_PART or time.monotonic() - self._since >= SECONDS_A_PART:
            self._write_part()

    def close(self) -> None:
        """Write what is left as a part; raises OutputError."""
        if self._rows:
            self._write_part()

    def finish(self, photos: int) -> int | None:
        """Merge the parts into the table and remove them; how many photos have errors.

        Args:
            photos: how many there are: while some are missing nothing is merged, and the answer is None.

        Raises:
            OutputError: the table can't be written; the parts stay.
        """
        if self._rows or self._count < photos:
            return None
        merged = self.folder / "merged"
        try:
            self._write(merged, columns(self._at_least), ([*self._rows_of(part)] for part in self._parts()))
            errors = sum(line["error"] is not None for part in self._parts() for line in _read(part))
            merged.replace(self._out)
        except OSError as error:
            raise OutputError(
                f"{self._out}: can't be written ({error.strerror or error}); nothing is lost: --resume"
            ) from error
        (self.folder / "job.json").replace(self.folder / FINISHED)
        _clear(self.folder)
        return errors

    def _write_part(self) -> None:
        number = self._number + 1
        write_text(self.folder / f"part-{number:06}.jsonl", "".join(self._rows))
        self._number, self._count = number, self._count + len(self._rows)
        self._rows, self._since = [], time.monotonic()

    def _parts(self) -> list[Path]:
        """In the order in which they were written."""
        return sorted(self.folder.glob("part-*.jsonl"), key=lambda part: int(part.stem[5:]))

    def _rows_of(self, part: Path) -> Iterator[Row]:
        for line in _read(part):
            yield from line["rows"]

    def _begin(self, resume: bool) -> None:
        """Make the folder, or find that it is this job's, and see that nobody else is at it."""
        if (self.folder / FINISHED).exists():
            _clear(self.folder)
        about = self.folder / "job.json"
        if about.exists():
            if not resume:
                raise OptionError(f"{self.folder}: a job was begun here; add --resume, or remove this folder")
            try:
                begun = json.loads(about.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise OptionError(f"{about}: can't be read ({error}); remove the folder to begin anew") from error
            others = [key for key in self._settings | begun if self._settings.get(key) != begun.get(key)]
            if others:
                what = ", ".join(f"{key} was {begun.get(key)!r}, is {self._settings.get(key)!r}" for key in others)
                raise OptionError(f"{self.folder}: begun with other settings ({what}); use those, or remove the folder")
        else:
            if next(self.folder.glob("part-*"), None) is not None:
                raise OptionError(f"{self.folder}: there are parts, but no job.json; remove the folder to begin anew")
            write_text(about, json.dumps(self._settings))
        self._lock = about.open("rb")
        with contextlib.suppress(ImportError):  # Windows
            import fcntl

            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                self._lock.close()
                raise OptionError(f"{self.folder}: another process is at this job; wait for its end") from error


def _parts_folder(out: Path) -> Path:
    out = Path(os.path.realpath(out))
    return out.with_name(out.name + ".parts")


def _clear(folder: Path) -> None:
    """Remove what a finished job leaves; the file that says so goes last."""
    for path in folder.iterdir():
        if path.name != FINISHED:
            path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _read(part: Path) -> Iterator[dict[str, Any]]:
    """A part's lines: ``image``, ``error`` and ``rows`` of each photo."""
    with part.open(encoding="ascii") as file:
        for line in file:
            yield json.loads(line)
