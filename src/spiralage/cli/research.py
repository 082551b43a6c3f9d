"""Commands for research: data, train, evaluate, export. They import PyTorch only when they run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from spiralage.cli import measure
from spiralage.cli.console import messages, progress_bar, results
from spiralage.cli.options import (
    CACHE,
    CropsFolder,
    Data,
    DeviceOption,
    Minutes,
    Recipe,
    RunFolder,
    Threads,
    need_train_extra,
    set_threads,
)
from spiralage.datasets.sources import SOURCES, DatasetName
from spiralage.errors import OptionError
from spiralage.files import printable

if TYPE_CHECKING:
    from spiralage.datasets.crops import Crops
    from spiralage.training.config import AgeRecipe

KindChoice: TypeAlias = Literal["age", "imagine", "slices", "mean-face"]

WEIGHTS_FOLDER = Path("src/spiralage/weights")

Progress: TypeAlias = Callable[[int, int, dict[str, float]], None]


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    data, train, evaluate = (
        typer.Typer(help="Prepare data sets.", no_args_is_help=True),
        typer.Typer(help="Train networks.", no_args_is_help=True),
        typer.Typer(help="Measure networks.", no_args_is_help=True),
    )
    data.command("crops")(data_crops)
    data.command("duplicates")(data_duplicates)
    data.command("same-faces")(data_same_faces)
    train.command("age")(train_age)
    train.command("imagine")(train_imagine)
    train.command("slices")(train_slices)
    train.command("mean-face")(train_mean_face)
    evaluate.command("utkface")(measure.evaluate_utkface)
    evaluate.command("lopo")(measure.evaluate_lopo)
    evaluate.command("restore")(measure.evaluate_restore)
    evaluate.command("goals")(measure.evaluate_goals)
    app.add_typer(data, name="data")
    app.add_typer(train, name="train")
    app.add_typer(evaluate, name="evaluate")
    app.command()(export)
    app.command()(quantise)
    app.command()(unpack)


def data_crops(
    name: Annotated[DatasetName, typer.Argument(help="which data set")] = "utkface",
    data: Data = None,
    crops: Annotated[Path | None, typer.Option(help="the folder to write; cache/NAME by default")] = None,
    detector: Annotated[Literal["auto", "yunet", "dlib"], typer.Option(help="what finds the faces")] = "auto",
    partial: Annotated[bool, typer.Option("--partial", help="take a part of a set whose pictures are counted")] = False,
) -> None:
    """Align every face of a data set once; goes on where a killed run stopped."""
    from spiralage.datasets.crops import Crops, build_crops
    from spiralage.faces.detect import make_detector
    from spiralage.faces.landmarks import make_landmarker

    source = SOURCES[name]
    read = source.read_part if partial else source.read
    if read is None:
        counted = ", ".join(other for other, known in SOURCES.items() if known.read_part)
        raise OptionError(f"--partial is for {counted}; {name} may have any number of pictures, leave it away")
    pictures = read(source.find(data), _note)
    folder, finder = crops or CACHE / name, make_detector(detector)
    with progress_bar("crops") as update:
        left_out = build_crops(pictures, folder, finder, make_landmarker(), data=name, progress=update)
    results.print(f"{folder}: {len(Crops(folder))} crops of {name}", soft_wrap=True)
    if left_out:
        first = left_out[0]
        _note(
            f"left out, can't be decoded: {len(left_out)} pictures, the first is {first.image} ({first.reason}); "
            f"all are in {folder / 'left-out.csv'}"
        )


def _note(line: str) -> None:
    """A line on stderr, above the progress bar if there is one."""
    messages.out(printable(line))


def data_duplicates(
    output: Annotated[Path, typer.Argument(help="the CSV file to write: image,group")], data: Data = None
) -> None:
    """Find UTKFace's duplicates and near-duplicates by perceptual hash."""
    need_train_extra()
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


def data_same_faces(
    output: Annotated[Path, typer.Argument(help="the CSV file to write: data,image,subject")],
    cache: Annotated[Path, typer.Option(help="the folder of all sets' aligned crops")] = CACHE,
) -> None:
    """Find the pictures that FG-NET, UTKFace, AAF and CelebA-HQ share, by perceptual hash of aligned crops."""
    need_train_extra()
    from spiralage.datasets.crops import Crops
    from spiralage.datasets.duplicates import find_same_faces
    from spiralage.files import write_text

    found = find_same_faces({name: Crops(cache / name) for name in ("fgnet", "utkface", "aaf", "celeba-hq")})
    write_text(output, "data,image,subject\n" + "".join(",".join(line) + "\n" for line in found))
    results.print(f"{len(found)} pictures are in another set, too")


def train_age(
    recipe: Recipe,
    crops: CropsFolder = None,
    run: RunFolder = None,
    device: DeviceOption = "auto",
    devices: Annotated[int, typer.Option(min=1, help="GPUs, or CPU processes, that share each batch")] = 1,
    minutes: Minutes = None,
    threads: Threads = None,
) -> None:
    """Train an age network; called again, it goes on from the last checkpoint.

    A recipe's pre-training uses the crops of its data sets beside --crops, where they are.
    """
    need_train_extra()
    from spiralage.datasets.joined import open_crops
    from spiralage.training import age
    from spiralage.training.config import AgeRecipe, load_recipe

    settings = load_recipe(recipe, AgeRecipe)
    first = crops or CACHE / settings.data
    faces = open_crops(settings.sets, [first, *(first.parent / name for name in settings.also)])
    with _training(settings.name, run, threads) as (folder, progress):
        age.train_age(
            settings,
            faces,
            folder,
            pretraining=_pretraining(settings, faces.folder.parent),
            device=device,
            devices=devices,
            minutes=minutes,
            progress=progress,
        )


def _pretraining(recipe: AgeRecipe, cache: Path) -> dict[str, Crops]:
    """The data sets of a recipe's pre-training that are there; says which are not."""
    from spiralage.datasets.crops import Crops, is_complete

    there: dict[str, Crops] = {}
    for part in recipe.pretraining:
        if is_complete(cache / part.data):
            there[part.data] = Crops(cache / part.data)
            there[part.data].check_data(part.data)
        else:
            _note(f"no crops in {cache / part.data}: going without pre-training on {part.data}")
    return there


def train_imagine(
    recipe: Recipe,
    crops: CropsFolder = None,
    run: RunFolder = None,
    device: DeviceOption = "auto",
    minutes: Minutes = None,
    threads: Threads = None,
) -> None:
    """Train an ImagineGAN; called again, it goes on from the last checkpoint."""
    need_train_extra()
    from spiralage.datasets.crops import Crops
    from spiralage.training import imagine
    from spiralage.training.config import ImagineRecipe, load_recipe

    settings = load_recipe(recipe, ImagineRecipe)
    faces = Crops(crops or CACHE / settings.data)
    with _training(settings.name, run, threads) as (folder, progress):
        imagine.train_imagine(settings, faces, folder, folder.parent, device=device, minutes=minutes, progress=progress)


def train_slices(
    recipe: Recipe,
    crops: CropsFolder = None,
    run: RunFolder = None,
    device: DeviceOption = "auto",
    minutes: Minutes = None,
    threads: Threads = None,
) -> None:
    """Train a SliceGAN; called again, it goes on from the last checkpoint."""
    need_train_extra()
    from spiralage.datasets.crops import Crops
    from spiralage.training import slices
    from spiralage.training.config import SliceRecipe, load_recipe

    settings = load_recipe(recipe, SliceRecipe)
    faces = Crops(crops or CACHE / settings.data)
    with _training(settings.name, run, threads) as (folder, progress):
        slices.train_slices(settings, faces, folder, folder.parent, device=device, minutes=minutes, progress=progress)


@contextmanager
def _training(name: str, run: Path | None, threads: int | None) -> Iterator[tuple[Path, Progress]]:
    """The run's folder and a progress bar; says in the end whether the training is complete."""
    set_threads(threads)
    folder = run or Path("runs") / name
    speaks = os.environ.get("LOCAL_RANK", "0") == "0"  # one of the processes that share a training
    with progress_bar(name, shown=speaks) as update:
        yield folder, _noting(update)
    complete = (folder / "run.json").exists()
    if speaks:
        results.print(f"{folder}: {'complete' if complete else 'stopped; the same command goes on'}", soft_wrap=True)


def train_mean_face(crops: CropsFolder = None, run: RunFolder = None) -> None:
    """Average the training faces and their landmarks."""
    need_train_extra()
    from spiralage.datasets.crops import Crops
    from spiralage.training.mean_face import train_mean_face as average

    with progress_bar("mean face") as update:
        path = average(Crops(crops or CACHE / "utkface"), run or Path("runs/mean-face"), progress=_noting(update))
    results.print(str(path), soft_wrap=True)


def export(
    run: Annotated[Path, typer.Argument(help="the folder of a finished run")],
    name: Annotated[str, typer.Option(help="what the network is called in the manifest")],
    kind: Annotated[KindChoice, typer.Option(help="what was trained")],
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder with manifest.toml")] = WEIGHTS_FOLDER,
) -> None:
    """Put a finished run's network into the weights folder, pinned by its SHA-256.

    The int8 twin of what it replaces is deleted.
    """
    need_train_extra()
    from spiralage.training.export import export_run

    for path in export_run(run, output, name, kind):
        results.print(str(path), soft_wrap=True)


def quantise(
    crops: CropsFolder = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder with manifest.toml")] = WEIGHTS_FOLDER,
) -> None:
    """Put int8 twins of the shipped networks that restore into the weights folder, for the engine openvino-int8."""
    need_train_extra()
    from spiralage.datasets.crops import Crops
    from spiralage.training.quantise import quantise as write_twins

    for path in write_twins(Crops(crops or CACHE / "utkface"), output):
        results.print(str(path), soft_wrap=True)


def unpack(
    name: Annotated[str, typer.Argument(help="a shipped network, see: spiralage models")],
    recipes: Annotated[Path, typer.Option(help="the folder with its recipe")] = Path("recipes"),
    run: RunFolder = None,
) -> None:
    """Put a shipped network back into a run's folder, to train on from or to build on."""
    need_train_extra()
    from spiralage.training.unpack import unpack as write_run

    folder = run or Path("runs") / name
    write_run(name, recipes, folder)
    results.print(str(folder), soft_wrap=True)


def _noting(update: Callable[..., None]) -> Progress:
    """Turn a training's (step, steps, losses) into a progress bar's (done, total, note)."""
    return lambda step, steps, values: update(step, steps, "  ".join(f"{k} {v:.3f}" for k, v in values.items()))
