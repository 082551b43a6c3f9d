"""The command restore: hide a part of a face, fill it in, and write the pictures that come of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from spiralage.cli.one_photo import (
    Detector,
    Output,
    Overwrite,
    PhotoPath,
    RestorerOption,
    YuNet,
    check_pictures,
    one_face,
)
from spiralage.cli.options import Threads
from spiralage.errors import OptionError
from spiralage.faces.align import invert
from spiralage.files import write_bytes
from spiralage.image_io import encode_picture, load_mask
from spiralage.occlusion.find import FindOcclusion, occlusion_finder
from spiralage.occlusion.occluders import OCCLUDERS, hidden_by, occluder_named
from spiralage.occlusion.window import Window, margin_mask
from spiralage.pipeline import DEFAULT_RESTORER
from spiralage.restoration.restore import LOADERS, Restorer, TurnByTurn, make_restorer
from spiralage.restoration.restore import restore as restore_faces
from spiralage.store import files_of
from spiralage.types import CROP_SIZE, AlignedFace, Occlusion, Photo, Pixels

GAP = 8
"""White pixels between two pictures of a strip."""


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(restore)


def restore(
    photo: PhotoPath,
    output: Output,
    window: Annotated[
        str | None, typer.Option(help="x,y,w,h of what stays visible, in pixels of the 256×256 aligned crop")
    ] = None,
    occlusion: Annotated[
        str | None,
        typer.Option(
            help=f"network: what it finds; {', '.join(OCCLUDERS)}, or a 256×256 mask picture of the aligned crop: "
            "white = hidden, transparent = not",
            show_default="paper",
        ),
    ] = None,
    restorer: RestorerOption = DEFAULT_RESTORER,
    whole: Annotated[Path | None, typer.Option("--photo", help="write the photo with the restored face in it")] = None,
    strip: Annotated[Path | None, typer.Option(help="write the crop, what was visible and the restored crop")] = None,
    turns: Annotated[bool, typer.Option("--turns", help="write OUTPUT-turn-1 …, the spiral's turns")] = False,
    detector: Detector = "auto",
    yunet: YuNet = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
) -> None:
    """Hide a part of the face in a photo, restore it, and write the aligned crop."""
    find_occlusion = _what_is_hidden(window, occlusion, threads)
    mask = None if occlusion is None else Path(occlusion)  # one that names an occluder is no file, and no harm
    inputs = [*(path for path in (photo, mask, yunet) if path is not None), *files_of(restorer, *LOADERS)]
    firsts = (output, whole, strip, _turn_path(output, 1) if turns else None)
    check_pictures([path for path in firsts if path is not None], inputs, overwrite=overwrite)
    filler = make_restorer(restorer, threads=threads)
    by_turns = _turn_by_turn(filler, restorer) if turns else None
    loaded, face = one_face(photo, detector, yunet)
    found = find_occlusion(face)
    (restored,) = restore_faces(filler, [face], [found])
    pictures = {output: restored.pixels}
    if whole is not None:
        pictures[whole] = _put_back(loaded, face, restored.pixels)
    if strip is not None:
        pictures[strip] = _side_by_side([face.pixels, found.cover(face.pixels), restored.pixels])
    if by_turns is not None:
        for number, pixels in enumerate(_turns(by_turns, face, found), 1):
            path = _turn_path(output, number)
            if path in pictures:
                raise OptionError(f"{path} is the picture of turn {number}; choose another name for the other picture")
            pictures[path] = pixels
    check_pictures(pictures, inputs, overwrite=overwrite)
    encoded = {path: encode_picture(pixels, path) for path, pixels in pictures.items()}
    for path, data in encoded.items():  # only now: an error above leaves no picture behind
        write_bytes(path, data)


def _what_is_hidden(window: str | None, occlusion: str | None, threads: int | None) -> FindOcclusion:
    if window is not None and occlusion is not None:
        raise OptionError("--window and --occlusion both say what is hidden; leave one of them away")
    if window is not None:
        given = Occlusion(margin_mask(_parse_window(window)))
        return lambda face: given
    if occlusion == "network":
        return occlusion_finder(occlusion, threads=threads)
    name, path = occluder_named(occlusion or "paper"), Path(occlusion or "")
    if name is not None:
        return hidden_by(name)
    if not path.suffix and not path.exists():
        raise OptionError(f"--occlusion {path}: no such occluder; give {', '.join(OCCLUDERS)}, or a mask picture")
    mask = Occlusion(load_mask(path), "given")
    return lambda face: mask


def _parse_window(text: str) -> Window:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
        return Window(x, y, width, height)
    except ValueError as error:
        raise OptionError(
            f"--window {text}: give x,y,w,h, whole pixels inside the {CROP_SIZE}×{CROP_SIZE} aligned crop and "
            "w and h at least 1, as in --window 64,16,128,128"
        ) from error


def _turn_by_turn(restorer: Restorer, name: str) -> TurnByTurn:
    if not isinstance(restorer, TurnByTurn):
        raise OptionError(f"--turns shows the turns of the spiral, {name} has none; add --restorer spiral")
    return restorer


def _turns(restorer: TurnByTurn, face: AlignedFace, found: Occlusion) -> Iterator[Pixels]:
    """The crop after each turn: the restorer is shown nothing hidden, and visible pixels are the face's own."""
    for pixels in restorer.turns(found.cover(face.pixels), found.mask):
        yield np.where(found.mask[..., None], pixels, face.pixels)


def _turn_path(output: Path, number: int) -> Path:
    return output.parent / f"{output.stem}-turn-{number}{output.suffix or '.png'}"


def _side_by_side(pictures: Sequence[Pixels]) -> Pixels:
    """Pictures of the same height, (height, width, 3) uint8, in a row with white between them."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [part for pixels in pictures for part in (gap, pixels)]
    return np.concatenate(parts[1:], axis=1)


def _put_back(photo: Photo, face: AlignedFace, pixels: Pixels) -> Pixels:
    """The photo with a crop's changed pixels drawn back through the inverse of its alignment."""
    changed = (pixels != face.pixels).any(axis=2).astype(np.uint8)
    back, size = invert(face.matrix), photo.size
    moved = cv2.warpAffine(pixels, back, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    where = cv2.warpAffine(changed, back, size, flags=cv2.INTER_NEAREST).astype(bool)
    return np.where(where[..., None], moved, photo.pixels)
