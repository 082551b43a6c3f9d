"""Options that several research commands share."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from spiralage.errors import MissingExtraError

DeviceChoice: TypeAlias = Literal["auto", "cpu", "cuda"]

Data = Annotated[
    Path | None, typer.Option(help="the folder with the data sets, or one of them", envvar="SPIRALAGE_DATA")
]
CropsFolder = Annotated[Path | None, typer.Option("--crops", help="the folder of aligned crops; cache/NAME by default")]
RunFolder = Annotated[Path | None, typer.Option("--run", help="the run's folder; runs/NAME by default")]
Recipe = Annotated[Path, typer.Argument(help="a recipe file, recipes/NAME.toml")]
DeviceOption = Annotated[DeviceChoice, typer.Option(help="where to compute")]
Minutes = Annotated[float | None, typer.Option(min=0, help="stop with a checkpoint after this time")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads")]

CACHE = Path("cache")


def need_train_extra() -> None:
    for package in ("torch", "kornia", "lightning_fabric", "imagehash", "onnxscript", "tensorboard", "matplotlib"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("research", "train")


def set_threads(threads: int | None) -> None:
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
