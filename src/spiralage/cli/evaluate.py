"""``spiralage evaluate``: commands that measure networks. They import PyTorch only when they run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from spiralage.cli import evaluate_sureness, finding
from spiralage.cli.console import note, progress_bar, say
from spiralage.cli.options import (
    CACHE,
    Data,
    DeviceOption,
    PrecisionOption,
    Recipe,
    RunFolder,
    SplitChoice,
    Threads,
    need_train_extra,
    not_too_many,
    set_threads,
)
from spiralage.datasets.sources import DatasetName
from spiralage.errors import OptionError
from spiralage.faces.detect import DetectorName
from spiralage.occlusion.occluders import OCCLUDERS, OccluderName, occluder_named

FacesChoice: TypeAlias = Literal["unmasked", "masked"]


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    evaluate = typer.Typer(help="Measure networks.", no_args_is_help=True)
    evaluate.command("holdout")(evaluate_holdout)
    evaluate.command("lopo")(evaluate_lopo)
    evaluate.command("restore")(evaluate_restore)
    evaluate.command("landmarks")(evaluate_landmarks)
    evaluate.command("sheet")(evaluate_sheet)
    evaluate.command("training")(evaluate_training)
    evaluate.command("goals")(evaluate_goals)
    finding.register(evaluate)
    evaluate_sureness.register(evaluate)
    app.add_typer(evaluate, name="evaluate")


def _occluder(name: str) -> OccluderName:
    known = occluder_named(name)
    if known is None:
        raise OptionError(f"--occluder {name}: no such occluder; give one of {', '.join(OCCLUDERS)}")
    return known


Occluders = Annotated[
    list[str] | None,  # typer knows no lists of choices
    typer.Option(help=f"what hides: {', '.join(OCCLUDERS)}; repeatable"),
]


def evaluate_holdout(
    runs: Annotated[list[Path], typer.Argument(help="folders of finished age runs")],
    data: Annotated[
        list[str] | None, typer.Option("--set", help="a data set with ages; repeatable; utkface and aaf if none")
    ] = None,
    cache: Annotated[Path, typer.Option(help="the folder that holds the sets' aligned crops, each in its own")] = CACHE,
    output: Annotated[Path, typer.Option("--output", "-o", help="the CSV file to write")] = Path("results/holdout.csv"),
    split: Annotated[SplitChoice, typer.Option(help="which part of the sets")] = "test",
    occluder: Occluders = None,
    originals: Annotated[bool, typer.Option("--originals", help="only faces as they are, under no occluder")] = False,
    threads: Threads = None,
) -> None:
    """MAE on faces kept back: original, under the paper's mask or other occluders, and restored by every restorer.

    Rows that the file has of other sets and recipes stay.
    """
    need_train_extra()
    from spiralage.datasets.crops import Crops
    from spiralage.evaluation.protocols import holdout
    from spiralage.evaluation.results import HoldoutRow, read_rows, write_rows
    from spiralage.files import check_outputs

    check_outputs([output], [file for run in runs for file in run.glob("*")])
    set_threads(threads)
    sets = {name: Crops(cache / name) for name in data or ("utkface", "aaf")}
    for name, crops in sets.items():
        crops.check_data(name)
    occluders = [] if originals else list(map(_occluder, occluder or ("paper",)))
    former = list(read_rows(output, HoldoutRow)) if output.exists() else []
    with progress_bar("images") as update:
        rows = holdout.evaluate_holdout(runs, list(sets.values()), split=split, occluders=occluders, progress=update)
    write_rows(output, HoldoutRow, holdout.renewed(former, rows))
    for row in rows:
        say(f"{row.data:8} {row.network:18} {row.key.label:22} MAE {row.mae:6.2f} years   CS@5 {row.cs5:.3f}")


def evaluate_lopo(
    recipe: Recipe,
    data: Data = None,
    crops: Annotated[Path, typer.Option(help="FG-NET's aligned crops, made if they aren't there")] = CACHE / "fgnet",
    starts: Annotated[Path, typer.Option(help="the folder of the runs that the blocks start from")] = Path("runs"),
    run: RunFolder = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder of the tables")] = Path("results"),
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    workers: Annotated[
        int, typer.Option(min=1, callback=not_too_many, help="processes that share the folds, one thread each")
    ] = 1,
    threads: Threads = None,
    partial: Annotated[bool, typer.Option("--partial", help="take a part of FG-NET")] = False,
    faces: Annotated[FacesChoice | None, typer.Option(help="only the block that was trained on such faces")] = None,
) -> None:
    """Table 1: leave one person out on FG-NET; called again, it goes on at the first missing fold."""
    need_train_extra()
    from spiralage.cli.data import data_crops
    from spiralage.datasets.crops import Crops, is_complete
    from spiralage.evaluation.paired import write_paired
    from spiralage.evaluation.protocols import lopo, lopo_answers
    from spiralage.training.recipes import LopoRecipe, load_recipe

    set_threads(threads)
    settings = load_recipe(recipe, LopoRecipe)
    if faces is not None:
        settings = settings.only(faces)
    if not is_complete(crops):
        data_crops("fgnet", data, crops, partial=partial)
    plan = lopo.Plan(settings, crops, starts, run or Path("runs") / settings.name, device, partial, precision)
    with progress_bar(settings.name) as update:
        lopo.run_lopo(plan, workers=workers, progress=update)
    for row in lopo_answers.write_all(plan, Crops(crops), output):
        say(
            f"{row.estimator:24} {row.trained_on:44} {row.key.label:22} "
            f"MAE {row.mae:6.2f} ({row.mae_low:.2f} to {row.mae_high:.2f}) years   CS@5 {row.cs5:.3f}"
        )
    for pair in write_paired(output):
        if pair.recipe == settings.name:
            say(
                f"{pair.faces:9} {pair.condition} {pair.restorer:14} less "
                f"{pair.against_condition} {pair.against_restorer:9} "
                f"{pair.difference:+6.2f} ({pair.low:+.2f} to {pair.high:+.2f}) years"
            )


def evaluate_restore(
    utkface: Annotated[Path | None, typer.Option(help="UTKFace's aligned crops; cache/utkface if there")] = None,
    fgnet: Annotated[Path | None, typer.Option(help="FG-NET's aligned crops; cache/fgnet if there")] = None,
    aaf: Annotated[Path | None, typer.Option(help="AAF's aligned crops; cache/aaf if there")] = None,
    celeba_hq: Annotated[Path | None, typer.Option(help="CelebA-HQ's aligned crops; cache/celeba-hq if there")] = None,
    runs: Annotated[Path, typer.Option(help="the folder of the runs")] = Path("runs"),
    features: Annotated[str, typer.Option(help="the run whose activations compare sets of pictures")] = "alexnet",
    ablation: Annotated[list[str] | None, typer.Option(help="a SliceGAN's run to measure too; repeatable")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder of the tables")] = Path("results"),
    most: Annotated[
        int | None, typer.Option(min=2, help="take so many pictures of each set, evenly spread; all by default")
    ] = None,
    occluder: Occluders = None,
    seed: Annotated[int, typer.Option(min=0, help="of the occluders")] = 0,
    threads: Threads = None,
) -> None:
    """How near restored faces are to the originals: PSNR, SSIM, L1, LPIPS and Fréchet distances, restorer by restorer.

    UTKFace's, AAF's and CelebA-HQ's test splits and all of FG-NET, as far as their crops are there.
    """
    need_train_extra()
    from spiralage.evaluation.perception import load_perception
    from spiralage.evaluation.protocols import restoration
    from spiralage.evaluation.restore_paired import LpipsPairs
    from spiralage.files import check_writable
    from spiralage.training.restorers import RunRestorer

    set_threads(threads)
    check_writable(output / "restore.csv")
    sets = restoration.faces_to_restore(
        _there({"utkface": utkface, "fgnet": fgnet, "aaf": aaf, "celeba-hq": celeba_hq}), most
    )
    further = [RunRestorer(runs / name, runs) for name in ablation or ()]
    restorers = [*restoration.shipped_restorers(threads), *further]
    pairs = LpipsPairs(seed)
    with progress_bar("images") as update:
        rows = restoration.evaluate_restore(
            sets,
            restorers,
            features,
            runs,
            perception=load_perception(note),
            occluders=list(map(_occluder, occluder or restoration.OCCLUDED_BY)),
            seed=seed,
            progress=update,
            tell=note,
            pairs=pairs,
        )
    restoration.write_all(rows, output)
    pairs.write(output)
    for row in rows:
        say(
            f"{row.data:14} {row.occluder:13} {row.restorer:16} PSNR {row.psnr:6.2f} dB   SSIM {row.ssim:.4f}   "
            f"L1 {row.l1:.4f}   feature FID {row.feature_fid:.4g}"
        )


def _there(given: Mapping[DatasetName, Path | None]) -> dict[DatasetName, Path]:
    """The folders of crops that were given, and of the other sets those that are in the cache; says which aren't."""
    from spiralage.datasets.crops import is_complete

    folders: dict[DatasetName, Path] = {}
    for name, folder in given.items():
        if folder is not None or is_complete(CACHE / name):
            folders[name] = folder or CACHE / name
        else:
            note(f"no crops in {CACHE / name}: going without {name}; run: spiralage data crops {name}")
    return folders


def evaluate_landmarks(
    network: Annotated[
        str, typer.Option(help="the heat-map network's name, file or run folder (see: spiralage models)")
    ] = "landmarks",
    recipe: Annotated[Path, typer.Option(help="its recipe: says which occluders it was trained with")] = Path(
        "recipes/landmarks.toml"
    ),
    data: Data = None,
    detector: Annotated[DetectorName, typer.Option(help="what finds the faces")] = "auto",
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder of the tables")] = Path("results"),
    most: Annotated[int, typer.Option(min=2, help="take so many photos of each set, evenly spread")] = 200,
    occluder: Occluders = None,
    seed: Annotated[int, typer.Option(min=0, help="of the occluders")] = 0,
    threads: Threads = None,
) -> None:
    """Where landmarkers put the points of hidden faces: AAF's and CelebA-HQ's test photos and FG-NET's.

    The truth is what dlib says of the clean photo.
    """
    need_train_extra()
    from spiralage.evaluation.protocols import landmarks
    from spiralage.faces.detect import make_detector
    from spiralage.faces.dlib_faces import DlibLandmarker
    from spiralage.faces.heatmap import HeatmapLandmarker
    from spiralage.files import check_writable
    from spiralage.training.recipes import LandmarkRecipe, load_recipe

    set_threads(threads)
    check_writable(output / "landmarks.csv")
    settings = load_recipe(recipe, LandmarkRecipe)
    heatmap = HeatmapLandmarker(network, threads=threads)
    sets = [landmarks.photos_of(name, data, most, note) for name in landmarks.MEASURED]
    with progress_bar("photos") as update:
        rows = landmarks.evaluate_landmarks(
            sets,
            [heatmap],
            make_detector(detector),
            dlib=DlibLandmarker(),
            trained=list(settings.occluders),
            network=settings.name,
            occluders=list(map(_occluder, occluder or OCCLUDERS)),
            seed=seed,
            progress=update,
            tell=note,
        )
    landmarks.write_all(rows, output)
    for row in rows:
        mouth = row.five_mouth if row.mouth is None else row.mouth
        eyes = row.five_eyes if row.eyes is None else row.eyes
        say(
            f"{row.data:14} {row.occluder or 'clean':13} {row.landmarker:8} eyes {eyes:5.2f} %  mouth {mouth:5.2f} %  "
            f"crop moves {row.crop_moves:4.1f} px"
        )


def evaluate_sheet(
    folder: Annotated[Path, typer.Argument(help="where the sheets go, outside any repository")],
    utkface: Annotated[Path | None, typer.Option(help="UTKFace's aligned crops; cache/utkface if there")] = None,
    fgnet: Annotated[Path | None, typer.Option(help="FG-NET's aligned crops; cache/fgnet if there")] = None,
    aaf: Annotated[Path | None, typer.Option(help="AAF's aligned crops; cache/aaf if there")] = None,
    celeba_hq: Annotated[Path | None, typer.Option(help="CelebA-HQ's aligned crops; cache/celeba-hq if there")] = None,
    restorer: Annotated[
        list[str] | None, typer.Option(help="who fills: a name, or a network's path; repeatable")
    ] = None,
    occluder: Occluders = None,
    faces: Annotated[int, typer.Option(min=1, max=1000, help="how many, of all sets together")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="of the occluders")] = 0,
    threads: Threads = None,
) -> None:
    """Contact sheets, to look at restorations: original, hidden, and what each restorer makes. Not to be published."""
    need_train_extra()
    from spiralage.evaluation.protocols.restoration import faces_to_restore
    from spiralage.evaluation.sheets import SHEET_BY, write_sheets
    from spiralage.restoration.restore import make_restorer

    set_threads(threads)
    sets = faces_to_restore(_there({"utkface": utkface, "fgnet": fgnet, "aaf": aaf, "celeba-hq": celeba_hq}))
    restorers = [make_restorer(name, threads=threads) for name in restorer or ("inpaint", "imagine", "spiral")]
    occluders = list(map(_occluder, occluder or SHEET_BY))
    for path in write_sheets(sets, restorers, folder, count=faces, occluders=occluders, seed=seed):
        say(str(path))
    note(f"from left to right: original, hidden, {', '.join(one.name for one in restorers)}")
    note("these are pictures of data sets: look at them, but don't commit, publish or send them")


def evaluate_training(
    runs: Annotated[list[Path], typer.Argument(help="folders of restorers' runs, finished or not")],
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder of the tables")] = Path("results"),
) -> None:
    """How restorers did on validation faces while they were trained: a table and a plot for each."""
    need_train_extra()
    from spiralage.evaluation.curves import write_training

    for run in runs:
        last = write_training(run, output)[-1]
        lpips = "" if last.lpips is None else f"   LPIPS {last.lpips:.4f}"
        say(
            f"{last.recipe:16} step {last.step}, {last.minutes / 60:.1f} h   PSNR {last.psnr:.2f} dB   "
            f"SSIM {last.ssim:.4f}{lpips}   feature FID {last.feature_fid:.4g}"
        )


def evaluate_goals(
    folder: Annotated[Path, typer.Option("--results", help="the folder of the tables")] = Path("results"),
) -> None:
    """What the tables say of the project's goals: met, or missed by how much."""
    need_train_extra()
    from spiralage.evaluation.goals import write_goals

    for line in write_goals(folder).splitlines():
        say(line)
