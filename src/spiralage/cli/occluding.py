"""The command occlude: put something on a face."""

from __future__ import annotations

from typing import Annotated

import typer

from spiralage.cli.one_photo import Detector, Output, Overwrite, PhotoPath, YuNet, check_pictures, one_face
from spiralage.image_io import save_picture
from spiralage.occlusion.occluders import OccluderName, cover_face


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(occlude)


def occlude(
    photo: PhotoPath,
    output: Output,
    kind: Annotated[OccluderName, typer.Option(help="what to put on")] = "surgical-mask",
    seed: Annotated[int, typer.Option(min=0, help="of the drawing")] = 0,
    detector: Detector = "auto",
    yunet: YuNet = None,
    overwrite: Overwrite = False,
) -> None:
    """Put an occluder on the face of a photo and write the aligned crop."""
    check_pictures([output], [photo, *([yunet] if yunet is not None else [])], overwrite=overwrite)
    _, face = one_face(photo, detector, yunet)
    save_picture(output, cover_face(face, kind, seed=seed).over(face.pixels))
