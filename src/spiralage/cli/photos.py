"""Commands that take photos: estimate, occlude, demo, models; restore has its own file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from spiralage import demo as demo_steps
from spiralage import model_files, weights
from spiralage.cli.console import complain, messages, progress_bar, results
from spiralage.cli.one_photo import Detector, Output, PhotoPath, Threads, YuNet, one_face
from spiralage.cli.restoring import restore
from spiralage.errors import ModelFileError, OptionError
from spiralage.faces.landmarks import LandmarkerName
from spiralage.files import check_writable, write_text
from spiralage.image_io import list_pictures, save_picture
from spiralage.occlusion.occluders import OCCLUDERS, OccluderName, cover_face, hidden_by
from spiralage.occlusion.segment import find_occlusion, nothing_hidden
from spiralage.pipeline import DEFAULT_RESTORER, AgePipeline, FindOcclusion
from spiralage.report import page, records
from spiralage.restoration.restore import RestorerName
from spiralage.types import Box, PhotoReport

OcclusionChoice: TypeAlias = Literal["auto", "none", OccluderName]

FIND_OCCLUSION: dict[OcclusionChoice, FindOcclusion] = {
    "auto": find_occlusion,
    "none": nothing_hidden,
    **{name: hidden_by(name) for name in OCCLUDERS},
}

BoxOption = Annotated[str | None, typer.Option(help="x,y,w,h of the one face, in photo pixels")]


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    for command in (estimate, occlude, restore, demo, models):
        app.command()(command)


def estimate(
    paths: Annotated[list[Path], typer.Argument(help="photos and folders")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    csv: Annotated[Path | None, typer.Option(help="write a CSV file, one line per face")] = None,
    report: Annotated[Path | None, typer.Option(help="write DIR/index.html, with the steps pictured")] = None,
    detector: Detector = "auto",
    landmarks: Annotated[LandmarkerName, typer.Option(help="what marks the face")] = "dlib",
    box: BoxOption = None,
    at_least: Annotated[list[int] | None, typer.Option(min=0, max=100, help="add P(age ≥ this); repeatable")] = None,
    occlusion: Annotated[
        OcclusionChoice, typer.Option(help="what counts as hidden; auto: what lies beyond the photo's edge")
    ] = "auto",
    restorer: Annotated[RestorerName, typer.Option(help="what fills it")] = DEFAULT_RESTORER,
    yunet: YuNet = None,
    threads: Threads = None,
) -> None:
    """The age of every face in photos and folders."""
    listed = list(list_pictures(paths))
    given = None if box is None else _parse_box(box)
    if given is not None and len(listed) != 1:
        raise OptionError(f"--box says where the face is in one photo, but {len(listed)} were given")
    page_path = None if report is None else report / "index.html"
    for path in filter(None, (csv, page_path)):
        check_writable(path)
    ages = sorted(set(at_least or []))
    pipeline = AgePipeline(
        detector=detector,
        box=given,
        landmarks=landmarks,
        occlusion=FIND_OCCLUSION[occlusion],
        restorer=restorer,
        threads=threads,
        yunet=yunet,
    )
    found: list[records.PhotoRecord] = []
    sections: list[page.Section] = []
    with progress_bar("photos", shown=len(listed) > 1 and messages.is_terminal) as update:
        for done, photo in enumerate(pipeline.estimate_each(listed, keep_photos=page_path is not None), 1):
            found.append(records.photo_record(photo, ages))
            if page_path is not None:
                sections.append(page.photo_section(photo))
            if photo.error is not None:
                complain(photo.error)
            update(done, len(listed))
    if as_json:
        print(records.to_json(found))
    else:
        results.print(records.to_table(found, ages))
    if csv is not None:
        write_text(csv, records.to_csv(found, ages))
    if page_path is not None:
        write_text(page_path, page.render("spiralage", sections))
    if any(record["error"] for record in found):
        raise typer.Exit(1)


def occlude(
    photo: PhotoPath,
    output: Output,
    kind: Annotated[OccluderName, typer.Option(help="what to put on")] = "surgical-mask",
    seed: Annotated[int, typer.Option(min=0, help="of the drawing")] = 0,
    detector: Detector = "auto",
    yunet: YuNet = None,
) -> None:
    """Put an occluder on the face of a photo and write the aligned crop."""
    _, face = one_face(photo, detector, yunet)
    save_picture(output, cover_face(face, kind, seed=seed).over(face.pixels))


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder to write")] = Path("demo"),
    detector: Detector = "auto",
    threads: Threads = None,
) -> None:
    """NASA's portrait as it is, masked and restored; writes report.html and figure.png."""
    done = demo_steps.run_demo(output, detector=detector, threads=threads)
    table = [records.photo_record(PhotoReport(caption, (report,)), at_least=[18]) for caption, report in done.steps]
    results.print(records.to_table(table, at_least=[18]))
    results.print(f"{done.page}\n{done.figure}", soft_wrap=True)


def models() -> None:
    """The shipped networks and where the YuNet detector's file is."""
    for name, entry in weights.manifest().items():
        weights.read(name)  # says so if a file isn't the pinned one
        results.print(
            f"{name}: {entry.kind}, recipe {entry.recipe}, seed {entry.seed}, commit {entry.commit}, "
            f"{entry.minutes:g} minutes on {entry.hardware}; {entry.licence}",
            soft_wrap=True,
        )
    try:
        results.print(f"yunet: {model_files.model_path(model_files.YUNET, download=False)}", soft_wrap=True)
    except ModelFileError as error:
        results.print(f"yunet: {error}", soft_wrap=True)


def _parse_box(text: str) -> Box:
    try:
        x, y, width, height = (float(part) for part in text.split(","))
        return Box(x, y, width, height)
    except ValueError as error:
        raise OptionError(f"--box {text}: give x,y,w,h in photo pixels, as in --box 40,30,120,150") from error
