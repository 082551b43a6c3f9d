"""Three persons, as FG-NET names their pictures, for tests of leaving one out."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from synthetic import drawn_crop, write_shard

from spiralage.datasets.crops import Crops
from spiralage.datasets.manifest import Row

AGES = {"001": (2, 8, 25, 43, 43), "002": (5, 5, 18, 30), "003": (12, 33, 50)}


def people() -> list[Row]:
    """Twelve rows, sorted by name; the second picture of a person at one age has a letter."""
    rows = []
    for person, ages in AGES.items():
        for index, years in enumerate(ages):
            letter = "b" if years in ages[:index] else ""
            rows.append(Row(f"{person}A{years:02}{letter}.JPG", person, years, None, None, "train"))
    return rows


def write_people(folder: Path) -> Crops:
    """Their finished crops."""
    rng = np.random.default_rng(1)
    return write_shard(folder, people(), [drawn_crop(row.age or 0, rng) for row in people()], "fgnet")


def write_archive(path: Path) -> None:
    """Their photos in a zip like FG-NET's; none shows a face."""
    rng = np.random.default_rng(1)
    with zipfile.ZipFile(path, "w") as packed:
        for row in people():
            buffer = io.BytesIO()
            Image.fromarray(drawn_crop(row.age or 0, rng)[:200, :200]).save(buffer, format="JPEG")
            packed.writestr(f"FGNET/images/{row.image}", buffer.getvalue())
