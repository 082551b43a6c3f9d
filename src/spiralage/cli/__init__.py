"""The command line. ``main`` is what ``spiralage`` runs: any named error becomes one line and exit code 1.

Each file here is a group of commands and has ``register(app)``. Only the group that is asked for is loaded.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from spiralage.cli import console
from spiralage.errors import SpiralageError
from spiralage.text import printable

GROUPS = {
    "estimate": ("estimate",),
    "occluding": ("occlude",),
    "restoring": ("restore",),
    "serve": ("serve",),
    "about": ("demo", "models"),
    "doctor": ("doctor",),
    "data": ("data",),
    "train": ("train",),
    "evaluate": ("evaluate",),
    "networks": ("export", "calibrate", "quantise", "import-weights"),
}
"""The commands of each file, as ``spiralage --help`` lists them."""


UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What is wrong with a command line; typer has no public name for it."""


class _Program(TyperGroup):
    """The commands; what is wrong with a command line is said in signs that a terminal can be trusted with."""

    def make_context(self, *arguments: Any, **settings: Any) -> Any:
        try:
            return super().make_context(*arguments, **settings)
        except UsageError as error:
            raise _plain(error) from None

    def invoke(self, context: Any) -> Any:
        try:
            return super().invoke(context)
        except UsageError as error:
            raise _plain(error) from None


def _plain(error: Any) -> Any:
    error.message = "\n".join(map(printable, error.message.replace("\t", " ").split("\n")))
    return error


def make_app(arguments: Sequence[str]) -> typer.Typer:
    """The program with the group of the command that is asked for, or with all of them."""
    app = typer.Typer(cls=_Program, no_args_is_help=True, pretty_exceptions_enable=False)

    @app.callback()
    def program(
        version: Annotated[
            bool,
            typer.Option(
                "--version", is_eager=True, callback=_print_version, help="the version, the engine and the hardware"
            ),
        ] = False,
    ) -> None:
        """The age of a person from a photo when part of the face is hidden."""

    asked = [group for group, commands in GROUPS.items() if arguments and arguments[0] in commands]
    for group in asked or GROUPS:
        importlib.import_module(f"spiralage.cli.{group}").register(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        importlib.import_module("spiralage.cli.doctor").print_version()
        raise typer.Exit


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
    console.log_to_stderr()
    try:
        code = _run(sys.argv[1:] if arguments is None else list(arguments))
        console.flush_out()
    except SpiralageError as error:
        console.complain(str(error))
        return 1
    except console.StdoutError as error:
        if error.broken:
            return console.BROKEN_PIPE
        console.complain(str(error))
        return 1
    except KeyboardInterrupt:
        return console.INTERRUPTED
    return code


def _run(arguments: Sequence[str]) -> int:
    try:
        make_app(arguments)(args=arguments, prog_name="spiralage")
    except SystemExit as done:  # how typer ends a command, well or not
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except OSError as error:
        if arguments and "--help" not in arguments:
            raise
        raise console.StdoutError(error) from error  # typer's help
    return 0


def entry_point() -> None:
    """The console script."""
    console.prepare_streams()
    sys.exit(main())
