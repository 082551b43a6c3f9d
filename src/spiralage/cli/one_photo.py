"""What the commands on photos share: their options, and the way from one photo to its surest face."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spiralage.errors import PhotoError
from spiralage.faces.detect import DetectorName
from spiralage.faces.find import make_finder
from spiralage.image_io import load_photo
from spiralage.types import AlignedFace, Photo

Detector = Annotated[
    DetectorName, typer.Option(help="auto: YuNet if it can be had, else dlib; none: the picture is a face")
]
YuNet = Annotated[Path | None, typer.Option("--yunet", help="YuNet's ONNX file", envvar="SPIRALAGE_YUNET")]
Threads = Annotated[int | None, typer.Option(min=1, help="threads of the networks; all cores by default")]
PhotoPath = Annotated[Path, typer.Argument(help="a photo")]
Output = Annotated[Path, typer.Option("--output", "-o", help="the PNG file to write")]


def one_face(path: Path, detector: DetectorName, yunet: Path | None) -> tuple[Photo, AlignedFace]:
    """A photo and its surest face, aligned; raises PhotoError where there is none."""
    photo = load_photo(path)
    found = make_finder(detector, yunet=yunet).find_one(photo)
    if found is None:
        raise PhotoError(f"{path}: no face found; try another --detector")
    return photo, found.aligned
