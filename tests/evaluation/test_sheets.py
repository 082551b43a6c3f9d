"""Contact sheets: every face once, its pictures side by side."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from synthetic import write_crops

from spiralage.cli import main
from spiralage.evaluation.protocols.restoration import faces_to_restore
from spiralage.evaluation.sheets import SIDE, write_sheets
from spiralage.image_io import load_photo
from spiralage.restoration.baselines import Blank, Inpainter
from spiralage.types import Pixels


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    return write_crops(tmp_path / "crops").folder


def cells(path: Path, pictures: int) -> Pixels:
    """(rows, faces beside each other, pictures, side, side, 3)."""
    pixels = load_photo(path).pixels
    return pixels.reshape(len(pixels) // SIDE, SIDE, 2, pictures, SIDE, 3).transpose(0, 2, 3, 1, 4, 5)


def test_original_hidden_and_restored_stand_side_by_side(crops: Path, tmp_path: Path) -> None:
    sets = faces_to_restore({"utkface": crops})
    (path,) = write_sheets(sets, [Blank(), Inpainter()], tmp_path, occluders=["paper", "centre-window"])
    assert path == tmp_path / "utkface.png"
    ((first, second),) = cells(path, 4)
    real = sets[0].crops.take(sets[0].indices)
    for face, picture, top in ((first, real[0], 16), (second, real[1], 64)):
        original, hidden, blank, inpainted = face.astype(int)
        np.testing.assert_array_equal(original, cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
        window = slice(int(top * SIDE / 256) + 1, int((top + 128) * SIDE / 256) - 1), slice(41, 119)
        np.testing.assert_array_equal(hidden[window], original[window])
        assert not hidden[: window[0].start - 2].any()
        np.testing.assert_array_equal(blank, hidden)
        assert inpainted.min() > 0


def test_an_odd_number_of_faces_leaves_white(crops: Path, tmp_path: Path) -> None:
    (path,) = write_sheets(faces_to_restore({"utkface": crops}), [], tmp_path, count=1)
    ((_, empty),) = cells(path, 2)
    assert (empty == 255).all()


def test_the_command_says_what_they_are_for(
    crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["--restorer", "inpaint", "--occluder", "paper", "--faces", "2", "--threads", "1"]
    assert main(["evaluate", "sheet", "look", "--utkface", str(crops), *asked]) == 0
    shown = capsys.readouterr()
    assert shown.out == str(Path("look", "utkface.png")) + "\n"
    assert "original, hidden, inpaint" in shown.err
    assert "don't commit, publish or send" in shown.err
    assert (tmp_path / "look" / "utkface.png").exists()
    assert main(["evaluate", "sheet", "look", "--utkface", str(crops), "--restorer", "nobody"]) == 1
    assert "nobody" in capsys.readouterr().err
