"""Options that several commands share."""

from __future__ import annotations

import importlib.util
import math
import os
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from spiralage.errors import MissingExtraError, OptionError

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
SplitChoice: TypeAlias = Literal["val", "test"]
Told = Annotated[
    bool, typer.Option("--told/--found", help="what is drawn is told to the program, or it must find it by itself")
]
Finder = Annotated[
    str,
    typer.Option("--occlusion", help="what finds what is hidden, as for estimate; in drawn faces only with --found"),
]
CACHE = Path("cache")


def a_number(option: typer.CallbackParam, number: float | None) -> float | None:
    """An option's number; raises OptionError for NaN, which passes every comparison with a limit, and infinity."""
    if number is not None and not math.isfinite(number):
        raise OptionError(f"--{option.name} {number}: not a finite number; give one, or leave the option away")
    return number


Minutes = Annotated[float | None, typer.Option(min=0, callback=a_number, help="stop with a checkpoint after this time")]


def not_too_many(option: typer.CallbackParam, number: int | None) -> int | None:
    """An option's number of threads or processes; raises OptionError for more than the machine has use for."""
    if number is not None and number > 1:
        from spiralage.threads import most_threads

        if number > most_threads():
            raise OptionError(
                f"--{option.name} {number}: this machine has use for {most_threads()} at most; give fewer"
            )
    return number


Threads = Annotated[
    int | None, typer.Option(min=1, callback=not_too_many, help="threads of the networks; all cores by default")
]


def need_train_extra() -> None:
    """What a command of the extra ``train`` calls first, before PyTorch is imported; raises MissingExtraError.

    PyTorch's threads then sleep while they wait for each other, unless the environment says otherwise. By default they
    spin, which beside another job takes the core that the awaited thread would need. Measured with two threads on two
    cores: beside other jobs sleep is five times as fast as spinning, alone it is 5 to 15 % slower.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # GNU's and LLVM's OpenMP
    os.environ.setdefault("KMP_BLOCKTIME", "0")  # Intel's
    for package in ("torch", "kornia", "lightning_fabric", "imagehash", "onnxscript", "tensorboard", "matplotlib"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("research", "train")


def set_threads(threads: int | None) -> None:
    """Set PyTorch's number of threads, if one is given."""
    from spiralage.training.threads import set_threads as set_them

    set_them(threads)
