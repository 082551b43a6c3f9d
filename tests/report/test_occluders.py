"""The page on occluders is what the command makes, and its examples run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from spiralage.cli import main
from spiralage.image_io import load_photo
from spiralage.mean_face import mean_landmarks
from spiralage.occlusion.occluders import DISTRACTORS, OCCLUDERS, Cover
from spiralage.report.occluders import contact_sheet, hidden_table
from spiralage.types import AlignedFace

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "occluders.md").read_text(encoding="utf-8")


def rows_of(table: str) -> dict[str, tuple[str, list[int]]]:
    """kind → what it is, and its percentages."""
    found = re.findall(r"^\| `([\w-]+)` \| (.*) \| (\d.*) \|$", table, flags=re.MULTILINE)
    return {kind: (summary, list(map(int, re.findall(r"\d+", hidden)))) for kind, summary, hidden in found}


def test_the_page_tells_what_each_kind_hides() -> None:
    shown, made = rows_of(PAGE), rows_of(hidden_table())
    assert list(shown) == list(made) == [*OCCLUDERS, *DISTRACTORS]
    for kind, (summary, percentages) in made.items():
        assert shown[kind][0] == summary
        np.testing.assert_allclose(shown[kind][1], percentages, atol=1)


def test_the_pages_examples_run() -> None:
    first, own = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(first, names)
    assert names["in_the_wild"].shape == (256, 256, 3)  # type: ignore[attr-defined]
    assert len([line for line in own.splitlines() if line]) <= 30
    exec(own, names)
    cover = names["cover"]
    assert isinstance(cover, Cover)
    assert 0.01 < cover.mask.mean() < 0.06
    assert not cover.mask[np.rint(mean_landmarks()[30])[1].astype(int), 128]


def test_the_sheet_shows_every_kind_twice(portrait_crop: AlignedFace) -> None:
    sheet = contact_sheet(portrait_crop, seed=4)
    kept = load_photo(DOCS / "occluders.jpg").pixels
    assert kept.shape == sheet.shape
    assert (DOCS / "occluders.jpg").stat().st_size <= 250_000
    assert np.abs(kept.astype(int) - sheet).mean() < 8  # JPEG, and another processor's rounding


def test_a_sheet_needs_no_photo_but_a_drawing_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sheet.png"
    assert main(["occlude", "--sheet", "--detector", "dlib", "-o", str(out)]) == 0
    assert out.exists()
    assert list(rows_of(capsys.readouterr().out)) == [*OCCLUDERS, *DISTRACTORS]
    assert main(["occlude", "-o", str(tmp_path / "x.png")]) != 0
    assert "needs a photo" in capsys.readouterr().err
