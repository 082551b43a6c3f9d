"""``spiralage evaluate``: commands that measure how well what hides a face is found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spiralage.cli.console import note, progress_bar, say
from spiralage.cli.one_photo import Detector, YuNet
from spiralage.cli.options import CACHE, Threads, need_train_extra
from spiralage.datasets.sources import DatasetName
from spiralage.threads import use_threads

Network = Annotated[str, typer.Option(help="what finds: a network's name, file or run folder")]


def register(evaluate: typer.Typer) -> None:
    """Add these commands to ``spiralage evaluate``."""
    evaluate.command("occlusion")(evaluate_occlusion)
    evaluate.command("real-masks")(evaluate_real_masks)
    evaluate.command("real-masks-table")(evaluate_real_masks_table)


def evaluate_occlusion(
    network: Network = "occlusion",
    cache: Annotated[Path, typer.Option(help="the folder of all sets' aligned crops")] = CACHE,
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder of the tables")] = Path("results"),
    most: Annotated[
        int | None, typer.Option(min=2, help="take so many pictures for each row, evenly spread; all by default")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="of the occluders")] = 0,
    threads: Threads = None,
) -> None:
    """How well masks, hands and things are found, kind by kind, and how much of clean faces is falsely found.

    Sets whose crops aren't in the cache are left out: fgnet, aaf, celeba-hq, utkface, maskedface.
    """
    need_train_extra()
    from spiralage.datasets.crops import is_complete
    from spiralage.evaluation.protocols import occlusion
    from spiralage.files import check_writable
    from spiralage.occlusion.network import NetworkFinder

    threads = use_threads(threads)
    check_writable(output / "occlusion-masks.csv")
    finder = NetworkFinder(network, threads=threads)
    finder.open()
    folders: dict[DatasetName, Path] = {}
    for name in occlusion.SETS:
        if is_complete(cache / name):
            folders[name] = cache / name
        else:
            note(f"no crops in {cache / name}: going without {name}; run: spiralage data crops {name}")
    tasks = occlusion.occlusion_tasks(folders, finder.trained_with, most=most, seed=seed)
    with progress_bar("images") as update:
        rows = occlusion.evaluate_occlusion(finder, tasks, progress=update)
    occlusion.write_all(rows, output)
    for row in rows:
        iou = "          " if row.iou is None else f"IoU {row.iou:.3f} "
        false = "" if row.falsely_hidden is None else f"falsely hidden {row.falsely_hidden:.2%}"
        say(f"{row.data:19} {row.occluder:14} {row.role:10} {iou} {false}")


def evaluate_real_masks(
    photos: Annotated[Path, typer.Argument(help="a folder or archive of photos")],
    folder: Annotated[Path, typer.Argument(help="where the sheets go, outside any repository")],
    occlusion: Annotated[str, typer.Option(help="what counts as hidden; see: spiralage estimate")] = "network",
    detector: Detector = "auto",
    yunet: YuNet = None,
    threads: Threads = None,
) -> None:
    """Sheets of every face in photos, what is found on it in red, and a table to count in. Not to be published."""
    need_train_extra()
    from spiralage.evaluation.real_masks import COUNTS, look_at_photos
    from spiralage.faces.find import make_finder
    from spiralage.files import check_writable
    from spiralage.occlusion.find import occlusion_finder

    threads = use_threads(threads)
    check_writable(folder / COUNTS)
    finder, found = make_finder(detector, yunet=yunet, threads=threads), occlusion_finder(occlusion, threads=threads)
    with progress_bar("photos") as update:
        for done, total in look_at_photos(photos, folder, finder, found):
            update(done, total)
    say(str(folder / COUNTS))
    note("fill in the table's empty columns with 0 and 1, then: spiralage evaluate real-masks-table")
    note("these are pictures of people: look at them, but don't commit, publish or send them")


def evaluate_real_masks_table(
    counts: Annotated[Path, typer.Argument(help="counts.csv, filled in")],
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder of the tables")] = Path("results"),
) -> None:
    """What was counted on the sheets of real masks, as a table for readers; the counts go beside it."""
    need_train_extra()
    from spiralage.evaluation.real_masks import write_counted

    write_counted(counts, output)
    for line in (output / "real-masks.md").read_text(encoding="utf-8").splitlines():
        say(line)
