"""The command line. ``main`` is what ``spiralage`` runs: any named error becomes one line and exit code 1."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

import typer

from spiralage.cli import console, photos, research
from spiralage.errors import SpiralageError

app = typer.Typer(
    help="The age of a person from a photo when part of the face is hidden.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
photos.register(app)
research.register(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    >>> main(["estimate", "no-such-photo.jpg", "--detector", "dlib", "--json"]) != 0
    [
      {
        "image": "no-such-photo.jpg",
        "faces": [],
        "error": "no-such-photo.jpg: no such file; check the path"
      }
    ]
    True
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        app(args=None if arguments is None else list(arguments), prog_name="spiralage")
    except SpiralageError as error:
        console.complain(str(error))
        return 1
    except SystemExit as done:  # how typer ends a command, well or not
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    return 0


def entry_point() -> None:
    """The console script."""
    sys.exit(main())
