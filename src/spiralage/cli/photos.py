"""Commands that take photos: estimate, occlude, restore, demo, models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import cv2
import numpy as np
import typer

from spiralage import demo as demo_steps
from spiralage import model_files, weights
from spiralage.cli.console import complain, messages, progress_bar, results
from spiralage.errors import ModelFileError, OptionError, PhotoError
from spiralage.faces.align import align, invert
from spiralage.faces.detect import DetectorName, make_detector
from spiralage.faces.landmarks import LandmarkerName, make_landmarker, with_landmarks
from spiralage.files import check_writable, write_text
from spiralage.image_io import list_pictures, load_photo, save_picture
from spiralage.occlusion.draw import OCCLUDERS, OccluderName, full_landmarks
from spiralage.occlusion.find import find_occlusion, nothing_hidden
from spiralage.occlusion.window import paper_mask
from spiralage.pipeline import DEFAULT_RESTORER, AgePipeline, FindOcclusion
from spiralage.report import page, records
from spiralage.restoration.restore import RestorerName, make_restorer
from spiralage.restoration.restore import restore as restore_faces
from spiralage.types import CROP_SIZE, AlignedFace, Box, Occlusion, Photo, PhotoReport, Pixels

OcclusionChoice: TypeAlias = Literal["auto", "none", "paper"]
OccluderChoice: TypeAlias = Literal["paper", OccluderName]

FIND_OCCLUSION: dict[OcclusionChoice, FindOcclusion] = {
    "auto": find_occlusion,
    "none": nothing_hidden,
    "paper": lambda face: paper_mask(),
}

Detector = Annotated[
    DetectorName, typer.Option(help="auto: YuNet if it can be had, else dlib; none: the picture is a face")
]
YuNet = Annotated[Path | None, typer.Option("--yunet", help="YuNet's ONNX file", envvar="SPIRALAGE_YUNET")]
Threads = Annotated[int | None, typer.Option(min=1, help="threads of the networks; all cores by default")]
PhotoPath = Annotated[Path, typer.Argument(help="a photo")]
Output = Annotated[Path, typer.Option("--output", "-o", help="the PNG file to write")]
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
    kind: Annotated[OccluderChoice, typer.Option(help="what to put on")] = "surgical-mask",
    seed: Annotated[int, typer.Option(min=0, help="of the drawing")] = 0,
    detector: Detector = "auto",
    yunet: YuNet = None,
) -> None:
    """Put an occluder on the face of a photo and write the aligned crop."""
    _, face = _one_face(photo, detector, yunet)
    if kind == "paper":
        pixels = paper_mask().cover(face.pixels)
    else:
        pixels = OCCLUDERS[kind](full_landmarks(face), np.random.default_rng(seed)).over(face.pixels)
    save_picture(output, pixels)


def restore(
    photo: PhotoPath,
    output: Output,
    occlusion: Annotated[
        str, typer.Option(help='"paper", or a 256×256 mask picture: white = hidden in the aligned crop')
    ] = "paper",
    restorer: Annotated[RestorerName, typer.Option(help="what fills it")] = DEFAULT_RESTORER,
    into_photo: Annotated[bool, typer.Option("--into-photo", help="put the face back into the photo")] = False,
    detector: Detector = "auto",
    yunet: YuNet = None,
    threads: Threads = None,
) -> None:
    """Hide a part of the face in a photo, restore it, and write the aligned crop."""
    hidden = paper_mask() if occlusion == "paper" else _read_mask(Path(occlusion))
    whole, face = _one_face(photo, detector, yunet)
    (restored,) = restore_faces(make_restorer(restorer, threads=threads), [face], [hidden])
    if into_photo:
        save_picture(output, _put_back(whole, face, restored.pixels))
    else:
        save_picture(output, restored.pixels)


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


def _read_mask(path: Path) -> Occlusion:
    mask = load_photo(path)
    if mask.size != (CROP_SIZE, CROP_SIZE):
        width, height = mask.size
        raise OptionError(f"{path}: {width}×{height} pixels; a mask must have {CROP_SIZE}×{CROP_SIZE}, as a crop")
    return Occlusion(mask.pixels.mean(axis=2) >= 128, "given")


def _one_face(path: Path, detector: DetectorName, yunet: Path | None) -> tuple[Photo, AlignedFace]:
    """A photo and its surest face, aligned."""
    photo = load_photo(path)
    faces = make_detector(detector, yunet=yunet).detect(photo)
    if not faces:
        raise PhotoError(f"{path}: no face found; try another --detector")
    landmarker = make_landmarker("detector" if detector == "none" else "dlib")
    return photo, align(photo, with_landmarks(landmarker, photo, faces[0]))


def _put_back(photo: Photo, face: AlignedFace, pixels: Pixels) -> Pixels:
    """The photo with a crop's changed pixels drawn back through the inverse of its alignment."""
    changed = (pixels != face.pixels).any(axis=2).astype(np.uint8)
    back, size = invert(face.matrix), photo.size
    moved = cv2.warpAffine(pixels, back, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    where = cv2.warpAffine(changed, back, size, flags=cv2.INTER_NEAREST).astype(bool)
    return np.where(where[..., None], moved, photo.pixels)
