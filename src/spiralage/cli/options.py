"""Options that several commands share."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from spiralage.cli.console import note
from spiralage.errors import MissingExtraError

DeviceChoice: TypeAlias = Literal["auto", "cpu", "cuda"]
PrecisionChoice: TypeAlias = Literal["auto", "32-true", "bf16-mixed"]

Data = Annotated[
    Path | None, typer.Option(help="the folder with the data sets, or one of them", envvar="SPIRALAGE_DATA")
]
CropsFolder = Annotated[Path | None, typer.Option("--crops", help="the folder of aligned crops; cache/NAME by default")]
RunFolder = Annotated[Path | None, typer.Option("--run", help="the run's folder; runs/NAME by default")]
Recipe = Annotated[Path, typer.Argument(help="a recipe file, recipes/NAME.toml")]
DeviceOption = Annotated[DeviceChoice, typer.Option(help="where to compute")]
PrecisionOption = Annotated[
    PrecisionChoice, typer.Option(help="of the computation; auto is bfloat16 where the hardware computes in it")
]
Minutes = Annotated[float | None, typer.Option(min=0, help="stop with a checkpoint after this time")]

CACHE = Path("cache")

MOST_A_CORE = 4
"""More threads or processes than this for each of the machine's cores only take memory and time."""


def at_most_some_a_core(context: typer.Context, option: typer.CallbackParam, number: int | None) -> int | None:
    """An option's number of threads or processes, no more than the machine has use for; says so."""
    cores = os.cpu_count() or 1
    most = MOST_A_CORE * cores
    if number is None or number <= most:
        return number
    if not context.resilient_parsing:
        note(f"--{option.name} {number}: this machine has {cores} cores; taking {most}")
    return most


Threads = Annotated[
    int | None, typer.Option(min=1, callback=at_most_some_a_core, help="threads of the networks; all cores by default")
]


def need_train_extra() -> None:
    for package in ("torch", "kornia", "lightning_fabric", "imagehash", "onnxscript", "tensorboard", "matplotlib"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("research", "train")


def set_threads(threads: int | None) -> None:
    """Set PyTorch's number of threads, if one is given."""
    from spiralage.training.threads import set_threads as set_them

    set_them(threads)
