"""Commands that show what there is: demo, models."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from spiralage import model_files, store, weights
from spiralage.cli.console import say, write_out
from spiralage.cli.one_photo import Detector
from spiralage.cli.options import Threads
from spiralage.errors import ModelFileError
from spiralage.types import PhotoReport


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    for command in (demo, models):
        app.command()(command)


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder to write")] = Path("demo"),
    detector: Detector = "auto",
    threads: Threads = None,
) -> None:
    """NASA's portrait as it is, masked and restored, and in a medical mask; writes report.html and figure.png."""
    from spiralage.demo import run_demo
    from spiralage.report.table import TerminalTable

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its cache of fonts is no user's concern
    done = run_demo(output, detector=detector, threads=threads)
    table = TerminalTable(write_out, at_least=[18])
    for caption, report in done.steps:
        table.add(PhotoReport(caption, (report,)))
    table.close()
    say(str(done.page))
    say(str(done.figure))


def models() -> None:
    """The shipped networks, those in your own folder, and where the YuNet detector's file is; all checked."""
    shipped = weights.manifest()
    for name in shipped:
        say(_described(store.shipped_file(name)))  # says so if a file isn't the pinned one
    whole = True
    for file in store.user_files():
        try:
            taken = f"; a shipped network has this name: give {file.path}" if file.name in shipped else f"; {file.path}"
            say(_described(file) + taken)
        except ModelFileError as error:
            say(f"{file.name}: {error}")
            whole = False
    try:
        say(f"yunet: {model_files.model_path(model_files.YUNET, download=False)}")
    except ModelFileError as error:
        say(f"yunet: {error}")
    if not whole:
        raise typer.Exit(1)


def _described(file: store.StoredFile) -> str:
    """What is known of a network's file, once it is read and is the one that its manifest names."""
    file.read()
    entry = file.entry
    if entry is None:
        return f"{file.name}: no manifest names it, so it can't be checked"
    return (
        f"{file.name}: {entry.kind}, recipe {entry.recipe}, seed {entry.seed}, commit {entry.commit}, "
        f"{entry.minutes:g} minutes on {entry.hardware}; {entry.licence}"
    )
