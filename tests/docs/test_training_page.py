"""The page on training with one's own data leads from pictures to an age, with its own recipe and commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT, commands
from synthetic import drawn_crop, use_tiny_backbones

from spiralage.cli import main
from spiralage.faces.dlib_faces import DlibDetector, DlibLandmarker
from spiralage.faces.landmarks import LANDMARKERS
from spiralage.image_io import save_picture
from spiralage.types import Photo

PAGE = "docs/training.md"
SPLITS = ("train",) * 16 + ("val",) * 4 + ("test",) * 2
DLIB = ["--detector", "dlib"]
QUICKLY = {
    "train": ["--device", "cpu", "--precision", "32-true", "--threads", "1"],
    "data": DLIB,
    "estimate": DLIB,
}


def test_from_a_folder_of_pictures_to_an_age(
    tmp_path: Path,
    portrait: Photo,
    dlib_landmarker: DlibLandmarker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(LANDMARKERS, "dlib", lambda threads: dlib_landmarker)  # its large file is read once
    use_tiny_backbones(monkeypatch)
    monkeypatch.setattr(DlibDetector, "SMALLEST_CNN", 10_000)  # no face is drawn: spare the slow search
    monkeypatch.chdir(tmp_path)
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^```toml\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    Path("mine.toml").write_text(recipe.replace("epochs = 10", "epochs = 2"))
    save_picture(Path("photo.jpg"), portrait.pixels)
    _write_faces(Path("faces"))
    run = []
    for command in commands("spiralage"):
        words = list(command.words[1:])
        if command.page == PAGE and {"folder", "mine.toml", "runs/mine"} & {*words} and words[0] != "calibrate":
            if words[:2] == ["evaluate", "coverage"]:
                continue  # it asks what calibrate found, for which these are too few faces
            assert main([*words, *QUICKLY.get(words[0], [])]) == 0, (words, capsys.readouterr().err)
            run.append(words[0])
    assert run == ["data", "train", "evaluate", "export", "estimate"]
    capsys.readouterr()
    assert main(["estimate", "photo.jpg", "--network", "runs/mine", "--detector", "dlib", "--json"]) == 0
    assert 0 < json.loads(capsys.readouterr().out)[0]["faces"][0]["age"] < 100


def _write_faces(folder: Path) -> None:
    """Drawn pictures, young and old, with the page's columns."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    lines = ["image,age,subject,split"]
    for index, split in enumerate(SPLITS):
        years = 10 + 80 * (index % 2) + index % 5
        save_picture(folder / f"{index}.png", drawn_crop(years, rng))
        lines.append(f"{index}.png,{years},person {index},{split}")
    (folder / "faces.csv").write_text("\n".join(lines) + "\n")
