"""The command occlude: put something on a face."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spiralage.cli.console import write_out
from spiralage.cli.one_photo import Detector, Output, Overwrite, YuNet, check_pictures, one_face, surest_face
from spiralage.demo import portrait
from spiralage.errors import OptionError
from spiralage.image_io import save_picture
from spiralage.occlusion.occluders import OccluderName, cover_face
from spiralage.report.occluders import contact_sheet, hidden_table


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(occlude)


def occlude(
    output: Output,
    photo: Annotated[
        Path | None, typer.Argument(help="a photo; - is standard input; without one --sheet takes the demo's portrait")
    ] = None,
    kind: Annotated[OccluderName, typer.Option(help="what to put on")] = "surgical-mask",
    seed: Annotated[int, typer.Option(min=0, help="of the drawing")] = 0,
    sheet: Annotated[
        bool, typer.Option("--sheet", help="draw every kind, twice, and print what each hides as Markdown")
    ] = False,
    detector: Detector = "auto",
    yunet: YuNet = None,
    overwrite: Overwrite = False,
) -> None:
    """Put an occluder on the face of a photo and write the aligned crop."""
    check_pictures([output], [path for path in (photo, yunet) if path is not None], overwrite=overwrite)
    if photo is not None:
        _, face = one_face(photo, detector, yunet)
    elif sheet:
        face = surest_face(portrait(), detector, yunet)
    else:
        raise OptionError("occlude needs a photo; give its path, or --sheet for a portrait with every occluder")
    if sheet:
        save_picture(output, contact_sheet(face, seed=seed))
        write_out(hidden_table() + "\n")
    else:
        save_picture(output, cover_face(face, kind, seed=seed).over(face.pixels))
