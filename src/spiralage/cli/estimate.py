"""The command estimate: the age of every face in photos and folders."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from spiralage.age.estimate import DEFAULT_NETWORK
from spiralage.age.quality import QualityName
from spiralage.cli.console import is_terminal, note, progress_bar, write_out
from spiralage.cli.one_photo import Detector, Overwrite, RestorerOption, YuNet
from spiralage.cli.options import Threads, not_too_many
from spiralage.cli.outlets import Outlets
from spiralage.errors import FolderError, OptionError
from spiralage.faces.landmarks import DEFAULT_LANDMARKER, LandmarkerName
from spiralage.files import check_outputs
from spiralage.image_io import STDIN, list_pictures
from spiralage.occlusion.find import FINDERS
from spiralage.pipeline import DEFAULT_RESTORER, AgePipeline
from spiralage.report.records import JsonList
from spiralage.restoration.restore import LOADERS
from spiralage.store import files_of
from spiralage.threads import available_cores
from spiralage.types import Box
from spiralage.version import __version__

if TYPE_CHECKING:
    from spiralage.batch.job import Job
    from spiralage.report.sinks import Sink


MANY_PHOTOS = 32
"""For more photos than these, starting a process for each core pays."""

Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        callback=not_too_many,
        help=f"processes that read photos, one thread each; one a core for over {MANY_PHOTOS} photos, unless --threads",
    ),
]
Settings: TypeAlias = dict[str, Any]
"""Arguments of ``AgePipeline``."""
BoxOption = Annotated[str | None, typer.Option(help="x,y,w,h of the one face, in photo pixels")]

_TOLD = ("auto", "network", "frame")
"""Ways of finding what is hidden that the help explains."""


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(estimate)


def estimate(
    paths: Annotated[list[Path], typer.Argument(help="photos and folders; - is standard input")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    csv: Annotated[Path | None, typer.Option(help="write a CSV file, one line per face, as they come")] = None,
    report: Annotated[Path | None, typer.Option(help="write DIR/index.html, with the steps pictured")] = None,
    detector: Detector = "auto",
    landmarks: Annotated[LandmarkerName, typer.Option(help="what marks the face")] = DEFAULT_LANDMARKER,
    box: BoxOption = None,
    at_least: Annotated[list[int] | None, typer.Option(min=0, max=100, help="add P(age ≥ this); repeatable")] = None,
    occlusion: Annotated[
        str,
        typer.Option(
            help="what counts as hidden; auto: what lies beyond the photo's edge, and what a network finds; "
            f"frame: the first alone; {', '.join(name for name in FINDERS if name not in _TOLD)}; "
            "or a network's name or file"
        ),
    ] = "auto",
    restorer: RestorerOption = DEFAULT_RESTORER,
    network: Annotated[
        str, typer.Option(help="what tells the age: a network's name (see: spiralage models), file or run folder")
    ] = DEFAULT_NETWORK,
    min_quality: Annotated[
        QualityName,
        typer.Option(
            help="what a face must have; any: nothing; face: be one; check: what a check of an age should ask"
        ),
    ] = "face",
    yunet: YuNet = None,
    threads: Threads = None,
    workers: Workers = None,
    overwrite: Overwrite = False,
    out: Annotated[
        Path | None, typer.Option(help="write a table of many photos (.parquet, .csv, .jsonl) that a kill can't spoil")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with an --out that was killed")] = False,
    sample: Annotated[int | None, typer.Option(min=1, help="read so many photos, the same ones every time")] = None,
    save_crops: Annotated[Path | None, typer.Option(help="write every aligned face into DIR as PNG")] = None,
) -> None:
    """The age of every face in photos and folders.

    Every result is written as it comes; Ctrl-C ends with what is done.
    """
    if resume and (out is None or csv is not None or report is not None):
        raise OptionError("--resume goes on with an --out alone; --csv and --report are of one run")
    found = list(list_pictures(paths))
    listed = found if sample is None else _sampled(found, sample)
    given = None if box is None else _parse_box(box)
    if given is not None and len(listed) != 1:
        raise OptionError(f"--box says where the face is in one photo, but {len(listed)} were given")
    if csv == STDIN:
        raise OptionError("--csv -: name a file; for standard output give /dev/stdout")
    page = None if report is None else report / "index.html"
    inputs = [
        *(path for path in listed if isinstance(path, Path)),
        *filter(None, [yunet]),
        *files_of(restorer, *LOADERS),
        *files_of(network, "age"),
        *files_of(occlusion, "occlusion"),
    ]
    check_outputs(filter(None, (csv, page, out)), inputs, overwrite=overwrite)
    if out is not None and resume and _is_complete(out):
        note(f"{out}: all is done; leave --resume out to begin anew")
        return
    ages = sorted(set(at_least or []))
    settings: Settings = {
        "detector": detector,
        "box": given,
        "landmarks": landmarks,
        "occlusion": occlusion,
        "restorer": restorer,
        "network": network,
        "min_quality": min_quality,
        "yunet": yunet,
    }
    with ExitStack() as stack:
        job = None
        sinks = _sinks(csv, page, as_json=as_json, table=out is None, at_least=ages)
        if save_crops is not None:
            from spiralage.batch.crops import CropsFolder

            sinks.insert(0, CropsFolder(save_crops, (path for path in found if isinstance(path, Path))))
        if out is not None:
            from spiralage.batch.job import Job

            known = {name: None if value is None else str(value) for name, value in settings.items()}
            known |= {"sample": str(sample), "version": __version__}
            job = stack.enter_context(Job(out, known, ages, resume=resume))
            sinks.append(job)  # after the crops: a photo whose rows are there has them
            listed = _once(listed)
        pipeline = AgePipeline(**settings, threads=threads)
        exit_code = _read(pipeline, listed, sinks, job, keep_photos=page is not None, asked=(workers, threads))
    if exit_code:
        raise typer.Exit(exit_code)


def _read(
    pipeline: AgePipeline,
    listed: Sequence[Path | FolderError],
    sinks: Sequence[Sink],
    job: Job | None,
    *,
    keep_photos: bool,
    asked: tuple[int | None, int | None],
) -> int:
    """Read the photos that aren't done yet; the exit code."""
    to_do = listed if job is None else [photo for photo in listed if _name(photo) not in job.done]
    before, start = len(listed) - len(to_do), time.monotonic()
    bar = len(listed) > 1 and not (any(isinstance(sink, JsonList) for sink in sinks) and is_terminal(sys.stdout))
    with Outlets(sinks) as outlets, progress_bar("photos", shown=bar) as update:
        update(before, len(listed))
        reports = pipeline.estimate_each(to_do, keep_photos=keep_photos, workers=_workers(*asked, to_do))
        for done, photo in enumerate(reports, 1):
            outlets.add(photo)
            update(before + done, len(listed), f"{done / (time.monotonic() - start):.1f} a second")
    if job is None or outlets.exit_code not in (0, 1):
        return outlets.exit_code
    errors = job.finish(len(listed))
    return outlets.exit_code or int(bool(errors))


def _is_complete(out: Path) -> bool:
    from spiralage.batch.job import is_complete

    return is_complete(out)


def _name(photo: Path | FolderError) -> str:
    """What a photo's report will call it."""
    return str(photo.path if isinstance(photo, FolderError) else photo)


def _once(listed: Sequence[Path | FolderError]) -> list[Path | FolderError]:
    """Each photo once: in a table that can be gone on with, its path is what tells it from others."""
    return list({_name(photo): photo for photo in listed}.values())


def _sampled(found: Sequence[Path | FolderError], size: int) -> list[Path | FolderError]:
    """So many of them, in their order; the same ones every time."""
    chosen = random.Random(0).sample(range(len(found)), min(size, len(found)))
    return [found[index] for index in sorted(chosen)]


def _workers(asked: int | None, threads: int | None, listed: Sequence[Path | FolderError]) -> int:
    """How many processes read the photos: as asked for; else one a core, if there are many and threads weren't set."""
    if STDIN in listed:
        return 1  # others don't have it
    if asked is not None:
        return asked
    limited = threads is not None or "SPIRALAGE_THREADS" in os.environ
    return 1 if limited or len(listed) <= MANY_PHOTOS else available_cores()


def _sinks(csv: Path | None, page: Path | None, *, as_json: bool, table: bool, at_least: Sequence[int]) -> list[Sink]:
    """Where results go: files first, so that nothing on the terminal's side can keep them from it."""
    sinks: list[Sink] = []
    if csv is not None:
        from spiralage.report.csv_file import CsvFile

        sinks.append(CsvFile(csv, at_least))
    if page is not None:
        from spiralage.report.page import PageFile

        sinks.append(PageFile(page, "spiralage"))
    if as_json:
        sinks.append(JsonList(write_out, at_least))
    elif table:
        from spiralage.report.table import TerminalTable

        sinks.append(TerminalTable(write_out, at_least))
    return sinks


def _parse_box(text: str) -> Box:
    try:
        x, y, width, height = (float(part) for part in text.split(","))
        return Box(x, y, width, height)
    except ValueError as error:
        raise OptionError(f"--box {text}: give x,y,w,h in photo pixels, as in --box 40,30,120,150") from error
