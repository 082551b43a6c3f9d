"""``spiralage train``: commands that train networks. They import PyTorch only when they run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from spiralage.cli.console import note, progress_bar, say
from spiralage.cli.options import (
    CACHE,
    CropsFolder,
    DeviceChoice,
    DeviceOption,
    Minutes,
    PrecisionChoice,
    PrecisionOption,
    Recipe,
    RunFolder,
    Threads,
    need_train_extra,
    not_too_many,
    set_threads,
)
from spiralage.errors import DatasetError, ModelFileError

if TYPE_CHECKING:
    from spiralage.datasets.crops import Crops
    from spiralage.datasets.joined import AnyCrops
    from spiralage.training.adversarial import Watch
    from spiralage.training.recipes import AgeRecipe, ImagineRecipe, SliceRecipe, TrainingRecipe

Finish = Annotated[
    bool,
    typer.Option(
        "--finish", help="after --minutes, earlier sittings included, the training is complete with what it has learned"
    ),
]
Progress: TypeAlias = Callable[[int, int, dict[str, float]], None]


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    train = typer.Typer(help="Train networks.", no_args_is_help=True)
    train.command("age")(train_age)
    train.command("imagine")(train_imagine)
    train.command("slices")(train_slices)
    train.command("landmarks")(train_landmarks)
    train.command("mean-face")(train_mean_face)
    train.command("occlusion")(train_occlusion)
    train.command("queue")(train_queue)
    app.add_typer(train, name="train")


def train_age(
    recipe: Recipe,
    crops: CropsFolder = None,
    run: RunFolder = None,
    device: DeviceOption = "auto",
    devices: Annotated[
        int, typer.Option(min=1, callback=not_too_many, help="GPUs, or CPU processes, that share each batch")
    ] = 1,
    precision: PrecisionOption = "auto",
    minutes: Minutes = None,
    threads: Threads = None,
) -> None:
    """Train an age network; called again, it goes on from the last checkpoint.

    A recipe's pre-training uses the crops of its data sets beside --crops, where they are.
    """
    need_train_extra()
    from spiralage.training.recipes import AgeRecipe, load_recipe
    from spiralage.training.tasks import age

    settings = load_recipe(recipe, AgeRecipe)
    faces = _crops_of(settings, crops)
    with _training(settings.name, run, threads) as (folder, progress):
        age.train_age(
            settings,
            faces,
            folder,
            pretraining=_pretraining(settings, faces.folder.parent),
            device=device,
            devices=devices,
            precision=precision,
            minutes=minutes,
            progress=progress,
        )


def _crops_of(recipe: TrainingRecipe, crops: Path | None) -> AnyCrops:
    """The crops of a recipe's sets; of the further ones beside those of the first."""
    from spiralage.datasets.joined import open_crops

    first = crops or CACHE / recipe.data
    return open_crops(recipe.sets, [first, *(first.parent / name for name in recipe.also)])


def _pretraining(recipe: AgeRecipe, cache: Path) -> dict[str, Crops]:
    """The data sets of a recipe's pre-training that are there; says which are not."""
    from spiralage.datasets.crops import Crops, is_complete

    there: dict[str, Crops] = {}
    for part in recipe.pretraining:
        if is_complete(cache / part.data):
            there[part.data] = Crops(cache / part.data)
            there[part.data].check_data(part.data)
        else:
            note(f"no crops in {cache / part.data}: going without pre-training on {part.data}")
    return there


def train_imagine(
    recipe: Recipe,
    crops: CropsFolder = None,
    run: RunFolder = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    minutes: Minutes = None,
    finish: Finish = False,
    threads: Threads = None,
) -> None:
    """Train an ImagineGAN; called again, it goes on from the last checkpoint."""
    need_train_extra()
    from spiralage.training.recipes import ImagineRecipe, load_recipe
    from spiralage.training.tasks.imagine import train_imagine as train

    _train_restorer(train, load_recipe(recipe, ImagineRecipe), crops, run, device, precision, minutes, finish, threads)


def train_slices(
    recipe: Recipe,
    crops: CropsFolder = None,
    run: RunFolder = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    minutes: Minutes = None,
    finish: Finish = False,
    threads: Threads = None,
) -> None:
    """Train a SliceGAN; called again, it goes on from the last checkpoint."""
    need_train_extra()
    from spiralage.training.recipes import SliceRecipe, load_recipe
    from spiralage.training.tasks.slices import train_slices as train

    _train_restorer(train, load_recipe(recipe, SliceRecipe), crops, run, device, precision, minutes, finish, threads)


def train_landmarks(
    recipe: Recipe,
    crops: CropsFolder = None,
    run: RunFolder = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    minutes: Minutes = None,
    finish: Finish = False,
    threads: Threads = None,
) -> None:
    """Train a landmark network; called again, it goes on from the last checkpoint."""
    need_train_extra()
    from spiralage.training.recipes import LandmarkRecipe, load_recipe
    from spiralage.training.tasks.landmarks import train_landmarks as train

    settings = load_recipe(recipe, LandmarkRecipe)
    how = {"device": device, "precision": precision, "minutes": minutes, "finish": finish}
    _train_on(train, settings, _crops_of(settings, crops), run, threads, how)


def _train_on(
    train: Callable[..., object],
    settings: TrainingRecipe,
    faces: AnyCrops,
    run: Path | None,
    threads: int | None,
    how: Mapping[str, object],
) -> None:
    """What trainings share that need crops alone: the run's folder and the progress bar."""
    with _training(settings.name, run, threads) as (folder, progress):
        train(settings, faces, folder, progress=progress, **how)


def _train_restorer(
    train: Callable[..., object],
    settings: ImagineRecipe | SliceRecipe,
    crops: Path | None,
    run: Path | None,
    device: DeviceChoice,
    precision: PrecisionChoice,
    minutes: float | None,
    finish: bool,
    threads: int | None,
) -> None:
    """What the trainings of restorers share: the crops, the run's folder, the progress bar."""
    from spiralage.training.adversarial import no_watch

    faces = _crops_of(settings, crops)
    with _training(settings.name, run, threads) as (folder, progress):
        watch = _watch(settings, faces.folder.parent, folder, device) or no_watch
        train(
            settings,
            faces,
            folder,
            folder.parent,
            device=device,
            precision=precision,
            minutes=minutes,
            finish=finish,
            progress=progress,
            watch=watch,
        )


def _watch(settings: ImagineRecipe | SliceRecipe, cache: Path, folder: Path, device: DeviceChoice) -> Watch | None:
    """Looks how a restorer does on validation faces; says why where it can't."""
    from spiralage.evaluation.watching import watch

    try:
        return watch(settings, cache, folder, device)
    except (DatasetError, ModelFileError) as error:
        note(f"going without validation: {error}")
        return None


@contextmanager
def _training(name: str, run: Path | None, threads: int | None) -> Iterator[tuple[Path, Progress]]:
    """The run's folder and a progress bar; says in the end whether the training is complete."""
    set_threads(threads)
    folder = run or Path("runs") / name
    speaks = os.environ.get("LOCAL_RANK", "0") == "0"  # one of the processes that share a training
    with progress_bar(name, shown=speaks) as update:
        yield folder, _noting(update)
    if speaks:
        from spiralage.training.run import is_finished

        say(f"{folder}: {'complete' if is_finished(folder) else 'stopped; the same command goes on'}")


def train_mean_face(crops: CropsFolder = None, run: RunFolder = None) -> None:
    """Average the training faces and their landmarks."""
    need_train_extra()
    from spiralage.datasets.crops import Crops
    from spiralage.training.tasks.mean_face import train_mean_face as average

    with progress_bar("mean face") as update:
        path = average(Crops(crops or CACHE / "utkface"), run or Path("runs/mean-face"), progress=_noting(update))
    say(str(path))


def train_occlusion(
    recipe: Recipe,
    crops: CropsFolder = None,
    run: RunFolder = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    minutes: Minutes = None,
    finish: Finish = False,
    threads: Threads = None,
) -> None:
    """Train the network that finds what hides a face; called again, it goes on from the last checkpoint.

    What a set says of its pixels is learned from where its crops were built with it.
    """
    need_train_extra()
    from spiralage.training.recipes import OcclusionRecipe, load_recipe
    from spiralage.training.tasks.occlusion import train_occlusion as train

    settings = load_recipe(recipe, OcclusionRecipe)
    faces = _crops_of(settings, crops)
    for part in faces.parts:
        if part.data in ("celeba-hq", "maskedface") and not part.has_classes:
            note(f"{part.folder}: built without what its pixels show; nothing is learned of that")
    how = {"device": device, "precision": precision, "minutes": minutes, "finish": finish}
    _train_on(train, settings, faces, run, threads, how)


def train_queue(
    queue: Annotated[Path, typer.Argument(help="a queue's file, recipes/queue.toml")] = Path("recipes/queue.toml"),
    log: Annotated[Path, typer.Option(help="the CSV file that says what ran how long")] = Path("runs/queue.csv"),
    threads: Threads = 1,
) -> None:
    """Train one recipe after the other; called again, it goes on where it stopped."""
    need_train_extra()
    from spiralage.training.queue import run_queue

    if not run_queue(queue, log, threads=threads or 1, tell=say):
        raise typer.Exit(1)


def _noting(update: Callable[..., None]) -> Progress:
    """Turn a training's (step, steps, losses) into a progress bar's (done, total, note)."""
    return lambda step, steps, values: update(step, steps, "  ".join(f"{k} {v:.3f}" for k, v in values.items()))
