"""Commands on trained networks: export, quantise, import-weights. They import PyTorch only when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spiralage.cli.console import say
from spiralage.cli.options import CACHE, CropsFolder, RunFolder, need_train_extra
from spiralage.store import Kind

WEIGHTS_FOLDER = Path("src/spiralage/weights")


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    for command in (export, quantise, import_weights):
        app.command()(command)


def export(
    run: Annotated[Path, typer.Argument(help="the folder of a finished run")],
    name: Annotated[str, typer.Option(help="what the network is called in the manifest")],
    kind: Annotated[Kind, typer.Option(help="what was trained")],
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder with manifest.toml")] = WEIGHTS_FOLDER,
) -> None:
    """Put a finished run's network into the weights folder, pinned by its SHA-256.

    The int8 variant of what it replaces is deleted.
    """
    need_train_extra()
    from spiralage.export.onnx import export_run

    for path in export_run(run, output, name, kind):
        say(str(path))


def quantise(
    crops: CropsFolder = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder with manifest.toml")] = WEIGHTS_FOLDER,
) -> None:
    """Put int8 variants of the shipped networks that restore into the weights folder, for the engine openvino-int8."""
    need_train_extra()
    from spiralage.datasets.crops import Crops
    from spiralage.export.quantise import quantise as write_variants

    for path in write_variants(Crops(crops or CACHE / "utkface"), output):
        say(str(path))


def import_weights(
    name: Annotated[str, typer.Argument(help="a shipped network, see: spiralage models")],
    recipes: Annotated[Path, typer.Option(help="the folder with its recipe")] = Path("recipes"),
    run: RunFolder = None,
) -> None:
    """Put a shipped network back into a run's folder, to train on from or to build on."""
    need_train_extra()
    from spiralage.export.import_weights import import_weights as write_run

    folder = run or Path("runs") / name
    write_run(name, recipes, folder)
    say(str(folder))
