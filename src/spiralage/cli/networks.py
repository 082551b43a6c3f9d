"""Commands on trained networks: export, calibrate, quantise, import-weights. They import PyTorch only when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spiralage.cli.console import progress_bar, say
from spiralage.cli.one_photo import RestorerOption
from spiralage.cli.options import CACHE, CropsFolder, Finder, RunFolder, SplitChoice, Threads, Told, need_train_extra
from spiralage.pipeline import DEFAULT_RESTORER
from spiralage.store import Kind

WEIGHTS_FOLDER = Path("src/spiralage/weights")


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    for command in (export, calibrate, quantise, import_weights):
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


def calibrate(
    network: Annotated[str, typer.Argument(help="an exported age network: a name, a file or a run's folder")],
    data: Annotated[str, typer.Option("--data", help="data sets with ages, with a comma between")] = "utkface,aaf",
    cache: Annotated[Path, typer.Option(help="the folder that holds the sets' aligned crops, each in its own")] = CACHE,
    restorer: RestorerOption = DEFAULT_RESTORER,
    split: Annotated[
        SplitChoice, typer.Option(help="the faces that it is held against: none that it learned from")
    ] = "val",
    told: Told = True,
    occlusion: Finder = "auto",
    most: Annotated[int | None, typer.Option(min=1, help="take so many faces of each set, evenly spread")] = None,
    threads: Threads = None,
) -> None:
    """Find how sure an age network may be, and put it into its file: intervals that hold, probabilities that come true.

    It holds for faces whose hidden part is filled by the same restorer. Every other way says "not calibrated".
    """
    need_train_extra()
    from spiralage.datasets.crops import Crops
    from spiralage.export.calibrate import find_calibration, put_calibration

    sets = [Crops(cache / name) for name in data.split(",")]
    for name, crops in zip(data.split(","), sets, strict=True):
        crops.check_data(name)
    with progress_bar("faces") as update:
        found = find_calibration(
            network,
            sets,
            restorer=restorer,
            occlusion=occlusion,
            split=split,
            most=most,
            told=told,
            threads=threads,
            progress=update,
        )
    say(f"{put_calibration(network, found)}: calibrated by {sum(found.faces)} answers ({found.data}, {restorer})")


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
    from spiralage.export.import_weights import recipe_of

    folder = run or Path("runs") / recipe_of(name)
    write_run(name, recipes, folder)
    say(str(folder))
