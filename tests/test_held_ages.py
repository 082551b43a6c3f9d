"""Ages that the shipped networks told before the house was rebuilt: whoever rebuilds it must not move them.

``held_ages.csv`` was written by this file run as a program on the commit named in its last column:
``python tests/test_held_ages.py``. New weights need a new table; a change of code must pass with the old one.
"""

from __future__ import annotations

import csv
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

from spiralage import AgePipeline, weights
from spiralage.datasets.archives import base_name, opened
from spiralage.errors import ModelFileError
from spiralage.faces.detect import make_detector
from spiralage.provenance import commit

TABLE = Path(__file__).with_name("held_ages.csv")
PICTURES = {"UTKFace.tar": 70, "AAF.zip": 60, "FGNET.zip": 70}
TOLERANCE = 0.05  # years: engines and processors round differently, a changed pixel moves ages further


def chosen(archive: Path, count: int) -> Iterator[tuple[str, bytes]]:
    """So many pictures of an archive, those whose names have the smallest SHA-256."""
    with opened(archive) as files:
        names = files.named(".jpg", ".webp")
        names.sort(key=lambda name: hashlib.sha256(base_name(name).encode()).digest())
        for name in names[:count]:
            yield base_name(name), files.read(name)


def told(pipeline: AgePipeline, picture: object) -> float | None:
    """The surest face's age in years, None where there is no face."""
    faces = pipeline.estimate(picture)  # type: ignore[arg-type]
    return faces[0].age.mean if faces else None


def held(data: str) -> dict[str, float | None]:
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["data"] == data]
    return {row["image"]: float(row["age"]) if row["age"] else None for row in rows}


@pytest.fixture(scope="module")
def pipeline() -> AgePipeline:
    try:
        make_detector("yunet")
    except ModelFileError as error:
        pytest.skip(f"YuNet's file is not here: {error}")
    return AgePipeline(detector="yunet", threads=1)


def test_the_table_is_of_the_shipped_network() -> None:
    with TABLE.open(newline="", encoding="utf-8") as file:
        hashes = {row["network"] for row in csv.DictReader(file)}
    assert hashes == {weights.manifest()["best"].sha256[:12]}, "new weights: write the table anew"


def test_the_portrait_keeps_its_age(pipeline: AgePipeline) -> None:
    assert told(pipeline, astronaut()) == pytest.approx(held("portrait")["astronaut"], abs=TOLERANCE)


@pytest.mark.parametrize("archive", PICTURES)
def test_data_pictures_keep_their_ages(pipeline: AgePipeline, archive: str) -> None:
    data = Path(os.environ.get("SPIRALAGE_DATA", "no-data"))
    if not (data / archive).exists():
        pytest.skip(f"SPIRALAGE_DATA has no {archive}")
    before = held(archive)
    now = {name: told(pipeline, picture) for name, picture in chosen(data / archive, PICTURES[archive])}
    assert now.keys() == before.keys()
    assert [name for name in now if (now[name] is None) != (before[name] is None)] == []
    moved = {name: (before[name], age) for name, age in now.items() if age is not None and before[name] is not None}
    assert {name: pair for name, pair in moved.items() if not np.isclose(*pair, rtol=0, atol=TOLERANCE)} == {}


def write(data: Path) -> None:
    """Write the table anew."""
    pipeline = AgePipeline(detector="yunet", threads=1)
    network, code = weights.manifest()["best"].sha256[:12], commit()
    rows = [("portrait", "astronaut", told(pipeline, astronaut()))]
    for archive, count in PICTURES.items():
        rows += [(archive, name, told(pipeline, picture)) for name, picture in chosen(data / archive, count)]
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["data", "image", "age", "network", "commit"])
        for name, image, age in rows:
            writer.writerow([name, image, "" if age is None else f"{age:.4f}", network, code])


if __name__ == "__main__":
    write(Path(sys.argv[1] if sys.argv[1:] else os.environ["SPIRALAGE_DATA"]))
