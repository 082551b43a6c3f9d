"""The command estimate: the age of every face in photos and folders."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spiralage.age.estimate import DEFAULT_NETWORK
from spiralage.age.quality import QualityName
from spiralage.cli.console import is_terminal, progress_bar, write_out
from spiralage.cli.one_photo import Detector, Overwrite, RestorerOption, YuNet
from spiralage.cli.options import Threads, not_too_many
from spiralage.cli.outlets import Outlets
from spiralage.errors import FolderError, OptionError
from spiralage.faces.landmarks import DEFAULT_LANDMARKER, LandmarkerName
from spiralage.files import check_outputs
from spiralage.image_io import STDIN, list_pictures
from spiralage.occlusion.find import FINDERS
from spiralage.pipeline import DEFAULT_RESTORER, AgePipeline
from spiralage.restoration.restore import LOADERS
from spiralage.store import files_of
from spiralage.threads import available_cores
from spiralage.types import Box

if TYPE_CHECKING:
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
) -> None:
    """The age of every face in photos and folders.

    Every result is written as it comes; Ctrl-C ends with what is done.
    """
    listed = list(list_pictures(paths))
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
    check_outputs(filter(None, (csv, page)), inputs, overwrite=overwrite)
    pipeline = AgePipeline(
        detector=detector,
        box=given,
        landmarks=landmarks,
        occlusion=occlusion,
        restorer=restorer,
        network=network,
        min_quality=min_quality,
        threads=threads,
        yunet=yunet,
    )
    sinks = _sinks(csv, page, as_json=as_json, at_least=sorted(set(at_least or [])))
    bar = len(listed) > 1 and not (as_json and is_terminal(sys.stdout))
    with Outlets(sinks) as outlets, progress_bar("photos", shown=bar) as update:
        count = _workers(workers, threads, listed)
        reports = pipeline.estimate_each(listed, keep_photos=page is not None, workers=count)
        for done, photo in enumerate(reports, 1):
            outlets.add(photo)
            update(done, len(listed))
    if outlets.exit_code:
        raise typer.Exit(outlets.exit_code)


def _workers(asked: int | None, threads: int | None, listed: Sequence[Path | FolderError]) -> int:
    """How many processes read the photos: as asked for; else one a core, if there are many and threads weren't set."""
    if STDIN in listed:
        return 1  # others don't have it
    if asked is not None:
        return asked
    limited = threads is not None or "SPIRALAGE_THREADS" in os.environ
    return 1 if limited or len(listed) <= MANY_PHOTOS else available_cores()


def _sinks(csv: Path | None, page: Path | None, *, as_json: bool, at_least: Sequence[int]) -> list[Sink]:
    """Where results go: files first, so that nothing on the terminal's side can keep them from it."""
    sinks: list[Sink] = []
    if csv is not None:
        from spiralage.report.csv_file import CsvFile

        sinks.append(CsvFile(csv, at_least))
    if page is not None:
        from spiralage.report.page import PageFile

        sinks.append(PageFile(page, "spiralage"))
    if as_json:
        from spiralage.report.records import JsonList

        sinks.append(JsonList(write_out, at_least))
    else:
        from spiralage.report.table import TerminalTable

        sinks.append(TerminalTable(write_out, at_least))
    return sinks


def _parse_box(text: str) -> Box:
    try:
        x, y, width, height = (float(part) for part in text.split(","))
        return Box(x, y, width, height)
    except ValueError as error:
        raise OptionError(f"--box {text}: give x,y,w,h in photo pixels, as in --box 40,30,120,150") from error
