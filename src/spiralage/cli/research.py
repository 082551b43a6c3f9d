"""Commands for research: data, train, evaluate, export. They import PyTorch only when they run."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from spiralage.cli.console import progress_bar, results
from spiralage.errors import MissingExtraError

DeviceChoice: TypeAlias = Literal["auto", "cpu", "cuda"]
SplitChoice: TypeAlias = Literal["val", "test"]
KindChoice: TypeAlias = Literal["age", "imagine", "mean-face"]

Data = Annotated[Path | None, typer.Option(help="the folder with the data sets", envvar="SPIRALAGE_DATA")]
CropsFolder = Annotated[Path, typer.Option("--crops", help="the folder of aligned crops")]
RunFolder = Annotated[Path | None, typer.Option("--run", help="the run's folder; runs/NAME by default")]
Recipe = Annotated[Path, typer.Argument(help="a recipe file, recipes/NAME.toml")]
DeviceOption = Annotated[DeviceChoice, typer.Option(help="where to compute")]
Minutes = Annotated[float | None, typer.Option(min=0, help="stop with a checkpoint after this time")]
TrainThreads = Annotated[int | None, typer.Option(min=1, help="CPU threads")]

Progress: TypeAlias = Callable[[int, int, dict[str, float]], None]

UTKFACE_CROPS = Path("cache/utkface")


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    data, train, evaluate = (
        typer.Typer(help="Prepare data sets.", no_args_is_help=True),
        typer.Typer(help="Train networks.", no_args_is_help=True),
        typer.Typer(help="Measure networks.", no_args_is_help=True),
    )
    data.command("crops")(data_crops)
    data.command("duplicates")(data_duplicates)
    train.command("age")(train_age)
    train.command("imagine")(train_imagine)
    train.command("mean-face")(train_mean_face)
    evaluate.command("utkface")(evaluate_utkface)
    app.add_typer(data, name="data")
    app.add_typer(train, name="train")
    app.add_typer(evaluate, name="evaluate")
    app.command()(export)


def _need_train_extra() -> None:
    for package in ("torch", "kornia", "lightning_fabric", "imagehash", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("research", "train")


def _set_threads(threads: int | None) -> None:
    import torch

    if threads is not None:
        torch.set_num_threads(threads)


def data_crops(
    data: Data = None,
    crops: CropsFolder = UTKFACE_CROPS,
    detector: Annotated[Literal["auto", "yunet", "dlib"], typer.Option(help="what finds the faces")] = "auto",
) -> None:
    """Align every face of UTKFace once; goes on where a killed run stopped."""
    from spiralage.datasets import utkface
    from spiralage.datasets.crops import build_crops
    from spiralage.datasets.manifest import find_archive
    from spiralage.faces.detect import make_detector
    from spiralage.faces.landmarks import make_landmarker

    archive = find_archive(data, utkface.ARCHIVE)
    left_out = utkface.malformed(archive)
    if left_out:
        results.print(f"left out, no age in the name: {', '.join(left_out)}", soft_wrap=True)
    finder = make_detector(detector)
    with progress_bar("crops") as update:
        build_crops(utkface.read(archive), crops, finder, make_landmarker(), progress=update)


def data_duplicates(
    output: Annotated[Path, typer.Argument(help="the CSV file to write: image,group")], data: Data = None
) -> None:
    """Find UTKFace's duplicates and near-duplicates by perceptual hash."""
    _need_train_extra()
    from spiralage.datasets import utkface
    from spiralage.datasets.duplicates import group_duplicates
    from spiralage.datasets.manifest import find_archive
    from spiralage.files import write_text

    archive = find_archive(data, utkface.ARCHIVE)
    groups = group_duplicates((row.image, encoded) for row, encoded in utkface.read(archive))
    write_text(output, "image,group\n" + "".join(f"{image},{group}\n" for image, group in groups.items()))
    ages: dict[str, set[str]] = {}
    for image, group in groups.items():
        ages.setdefault(group, set()).add(image.split("_")[0])
    differing = sum(len(found) > 1 for found in ages.values())
    results.print(f"{len(groups)} pictures in {len(ages)} groups; in {differing} of them the ages differ")


def train_age(
    recipe: Recipe,
    crops: CropsFolder = UTKFACE_CROPS,
    run: RunFolder = None,
    device: DeviceOption = "auto",
    minutes: Minutes = None,
    threads: TrainThreads = None,
) -> None:
    """Train an age network; called again, it goes on from the last checkpoint."""
    _need_train_extra()
    from spiralage.datasets.crops import Crops
    from spiralage.training import age
    from spiralage.training.config import AgeRecipe, load_recipe

    settings, faces = load_recipe(recipe, AgeRecipe), Crops(crops)
    with _training(settings.name, run, threads) as (folder, progress):
        age.train_age(settings, faces, folder, device=device, minutes=minutes, progress=progress)


def train_imagine(
    recipe: Recipe,
    crops: CropsFolder = UTKFACE_CROPS,
    run: RunFolder = None,
    device: DeviceOption = "auto",
    minutes: Minutes = None,
    threads: TrainThreads = None,
) -> None:
    """Train an ImagineGAN; called again, it goes on from the last checkpoint."""
    _need_train_extra()
    from spiralage.datasets.crops import Crops
    from spiralage.training import imagine
    from spiralage.training.config import ImagineRecipe, load_recipe

    settings, faces = load_recipe(recipe, ImagineRecipe), Crops(crops)
    with _training(settings.name, run, threads) as (folder, progress):
        features = folder.parent / settings.features
        imagine.train_imagine(settings, faces, folder, features, device=device, minutes=minutes, progress=progress)


@contextmanager
def _training(name: str, run: Path | None, threads: int | None) -> Iterator[tuple[Path, Progress]]:
    """The run's folder and a progress bar; says in the end whether the training is complete."""
    _set_threads(threads)
    folder = run or Path("runs") / name
    with progress_bar(name) as update:
        yield folder, _noting(update)
    complete = (folder / "run.json").exists()
    results.print(f"{folder}: {'complete' if complete else 'stopped; the same command goes on'}", soft_wrap=True)


def train_mean_face(crops: CropsFolder = UTKFACE_CROPS, run: RunFolder = None) -> None:
    """Average the training faces and their landmarks."""
    _need_train_extra()
    from spiralage.datasets.crops import Crops
    from spiralage.training.mean_face import train_mean_face as average

    with progress_bar("mean face") as update:
        path = average(Crops(crops), run or Path("runs/mean-face"), progress=_noting(update))
    results.print(str(path), soft_wrap=True)


def evaluate_utkface(
    runs: Annotated[list[Path], typer.Argument(help="folders of finished age runs")],
    crops: CropsFolder = UTKFACE_CROPS,
    output: Annotated[Path, typer.Option("--output", "-o", help="the CSV file to write")] = Path("results/utkface.csv"),
    split: Annotated[SplitChoice, typer.Option(help="which part of UTKFace")] = "test",
    threads: TrainThreads = None,
) -> None:
    """MAE on UTKFace: original, masked by the paper's mask, and restored by every restorer."""
    _need_train_extra()
    from spiralage.datasets.crops import Crops
    from spiralage.evaluation import utkface

    _set_threads(threads)
    with progress_bar("images") as update:
        rows = utkface.evaluate_utkface(runs, Crops(crops), split=split, progress=update)
    utkface.write_results(rows, output)
    for row in rows:
        results.print(f"{row.network:18} {row.condition:22} MAE {row.mae:6.2f} years   CS@5 {row.cs5:.3f}")


def export(
    run: Annotated[Path, typer.Argument(help="the folder of a finished run")],
    name: Annotated[str, typer.Option(help="what the network is called in the manifest")],
    kind: Annotated[KindChoice, typer.Option(help="what was trained")],
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder with manifest.toml")] = Path(
        "src/spiralage/weights"
    ),
) -> None:
    """Put a finished run's network into the weights folder, pinned by its SHA-256."""
    _need_train_extra()
    from spiralage.training.export import export_run

    results.print(str(export_run(run, output, name, kind)), soft_wrap=True)


def _noting(update: Callable[..., None]) -> Progress:
    """Turn a training's (step, steps, losses) into a progress bar's (done, total, note)."""
    return lambda step, steps, values: update(step, steps, "  ".join(f"{k} {v:.3f}" for k, v in values.items()))
