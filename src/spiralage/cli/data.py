"""``spiralage data``: commands that prepare data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spiralage.cli.console import note, progress_bar, say
from spiralage.cli.one_photo import Detector
from spiralage.cli.options import CACHE, Data, need_train_extra
from spiralage.datasets.sources import SOURCES, DatasetName
from spiralage.errors import OptionError


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    data = typer.Typer(help="Prepare data sets.", no_args_is_help=True)
    data.command("crops")(data_crops)
    data.command("duplicates")(data_duplicates)
    data.command("same-faces")(data_same_faces)
    app.add_typer(data, name="data")


def data_crops(
    name: Annotated[DatasetName, typer.Argument(help="which data set")] = "utkface",
    data: Data = None,
    crops: Annotated[Path | None, typer.Option(help="the folder to write; cache/NAME by default")] = None,
    detector: Detector = "auto",
    partial: Annotated[bool, typer.Option("--partial", help="take a part of a set whose pictures are counted")] = False,
) -> None:
    """Align every face of a data set once; goes on where a killed run stopped."""
    from spiralage.datasets.build_crops import build_crops
    from spiralage.datasets.crops import Crops
    from spiralage.faces.find import make_finder

    source = SOURCES[name]
    read = source.read_part if partial else source.read
    if read is None:
        counted = ", ".join(other for other, known in SOURCES.items() if known.read_part)
        raise OptionError(f"--partial is for {counted}; {name} may have any number of pictures, leave it away")
    archive = source.find(data)
    folder, finder = crops or CACHE / name, make_finder(detector, "dlib")
    with source.classes(archive) as classes, progress_bar("crops") as update:
        left_out = build_crops(read(archive, note), folder, finder, data=name, classes=classes, progress=update)
    say(f"{folder}: {len(Crops(folder))} crops of {name}")
    if left_out:
        first = left_out[0]
        note(
            f"left out, can't be decoded: {len(left_out)} pictures, the first is {first.image} ({first.reason}); "
            f"all are in {folder / 'left-out.csv'}"
        )


def data_duplicates(
    output: Annotated[Path, typer.Argument(help="the CSV file to write: image,group")], data: Data = None
) -> None:
    """Find UTKFace's duplicates and near-duplicates by perceptual hash."""
    need_train_extra()
    from spiralage.datasets import utkface
    from spiralage.datasets.duplicates import group_duplicates
    from spiralage.datasets.manifest import find_archive
    from spiralage.files import check_outputs, write_text

    archive = find_archive(data, utkface.ARCHIVE)
    inside = archive.resolve() in output.resolve().parents  # an unpacked folder: all that is in it is read
    check_outputs([output], [archive, *([output] if inside else [])])
    groups = group_duplicates((row.image, encoded) for row, encoded in utkface.read(archive))
    write_text(output, "image,group\n" + "".join(f"{image},{group}\n" for image, group in groups.items()))
    ages: dict[str, set[str]] = {}
    for image, group in groups.items():
        ages.setdefault(group, set()).add(image.split("_")[0])
    differing = sum(len(found) > 1 for found in ages.values())
    say(f"{len(groups)} pictures in {len(ages)} groups; in {differing} of them the ages differ")


def data_same_faces(
    output: Annotated[Path, typer.Argument(help="the CSV file to write: data,image,subject")],
    cache: Annotated[Path, typer.Option(help="the folder of all sets' aligned crops")] = CACHE,
) -> None:
    """Find the pictures that FG-NET, UTKFace, AAF and CelebA-HQ share, by perceptual hash of aligned crops."""
    need_train_extra()
    from spiralage.datasets.crops import Crops
    from spiralage.datasets.duplicates import find_same_faces
    from spiralage.files import check_writable, write_text

    check_writable(output)
    found = find_same_faces({name: Crops(cache / name) for name in ("fgnet", "utkface", "aaf", "celeba-hq")})
    write_text(output, "data,image,subject\n" + "".join(",".join(line) + "\n" for line in found))
    say(f"{len(found)} pictures are in another set, too")
