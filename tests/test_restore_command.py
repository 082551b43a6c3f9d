"""``spiralage restore``, run as a user runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spiralage.cli import main, restoring
from spiralage.image_io import load_photo, save_picture
from spiralage.occlusion.window import PAPER_WINDOW, Window, margin_mask, paper_mask
from spiralage.restoration.baselines import MeanFace
from spiralage.restoration.restore import RESTORERS, fill_hidden
from spiralage.types import AlignedFace, Mask, Photo, Pixels

SIZE = 256
WINDOW = Window(40, 30, 150, 90)


class InTurns:
    """Paints the hidden part gray; its picture gets lighter turn by turn."""

    name = "in-turns"

    def fill(self, crops: Pixels, hidden: Mask) -> Pixels:
        return np.full_like(crops, 90)

    def turns(self, crop: Pixels, hidden: Mask) -> list[Pixels]:
        assert crop.shape == (SIZE, SIZE, 3)
        assert not crop[hidden].any()  # it sees nothing that is hidden
        return [np.full_like(crop, level) for level in (30, 60, 90)]


@pytest.fixture
def face_file(tmp_path: Path, portrait_crop: AlignedFace) -> Path:
    """A picture that is a face and as large as a crop: aligned with ``--detector none`` it stays as it is."""
    path = tmp_path / "face.png"
    save_picture(path, portrait_crop.pixels)
    return path


@pytest.fixture
def in_turns(monkeypatch: pytest.MonkeyPatch) -> str:
    """A name under which ``InTurns`` can be asked for."""
    monkeypatch.setitem(RESTORERS, "mean-face", lambda threads: InTurns())
    return "mean-face"


def run(photo: Path, output: Path, *arguments: str | Path) -> int:
    return main(["restore", str(photo), "-o", str(output), "--detector", "none", *map(str, arguments)])


def restored(photo: Path, *arguments: str | Path) -> Pixels:
    """The crop that the command writes."""
    output = photo.parent / "out.png"
    assert run(photo, output, *arguments) == 0
    return load_photo(output).pixels


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that was said."""
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def filled(face: Pixels, hidden: Mask) -> Pixels:
    """What the mean face makes of it without the command."""
    pixels: Pixels = fill_hidden(MeanFace(), face[None], hidden[None])[0]
    return pixels


def test_the_window_stays_and_the_rest_is_restored(face_file: Path, portrait_crop: AlignedFace) -> None:
    face = portrait_crop.pixels
    pixels = restored(face_file, "--window", "40,30,150,90", "--restorer", "mean-face")
    np.testing.assert_array_equal(pixels[30:120, 40:190], face[30:120, 40:190])
    np.testing.assert_array_equal(pixels, filled(face, margin_mask(WINDOW)))
    blank = restored(face_file, "--window", "40,30,150,90", "--restorer", "none")
    np.testing.assert_array_equal(blank, np.where(margin_mask(WINDOW)[..., None], 0, face))


def test_the_papers_mask_is_the_default(face_file: Path, portrait_crop: AlignedFace) -> None:
    pixels = restored(face_file, "--restorer", "mean-face")
    np.testing.assert_array_equal(pixels, filled(portrait_crop.pixels, paper_mask().mask))
    assert not np.array_equal(pixels, portrait_crop.pixels)
    as_named = restored(face_file, "--restorer", "mean-face", "--occlusion", "paper")
    as_window = restored(face_file, "--restorer", "mean-face", "--window", "64,16,128,128")
    np.testing.assert_array_equal(as_named, pixels)
    np.testing.assert_array_equal(as_window, pixels)


def test_a_window_over_all_hides_nothing(face_file: Path, portrait_crop: AlignedFace) -> None:
    np.testing.assert_array_equal(restored(face_file, "--window", "0,0,256,256"), portrait_crop.pixels)


def test_white_in_a_mask_is_hidden(tmp_path: Path, face_file: Path, portrait_crop: AlignedFace) -> None:
    mask, face = np.zeros((SIZE, SIZE, 3), np.uint8), portrait_crop.pixels
    mask[150:220, 60:190] = 255
    mask[10:20, 10:20] = 127  # dark rather than white
    save_picture(tmp_path / "mask.png", mask)
    pixels = restored(face_file, "--occlusion", tmp_path / "mask.png", "--restorer", "none")
    np.testing.assert_array_equal(pixels, np.where(mask >= 128, 0, face))


def test_a_mask_of_another_size_is_refused(tmp_path: Path, face_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_picture(tmp_path / "mask.png", np.zeros((100, 100, 3), np.uint8))
    assert run(face_file, tmp_path / "out.png", "--occlusion", tmp_path / "mask.png") == 1
    assert "100×100 pixels; a mask must have 256×256" in complaint(capsys)
    assert run(face_file, tmp_path / "out.png", "--occlusion", tmp_path / "missing.png") == 1
    assert "missing.png: no such file" in complaint(capsys)
    assert run(face_file, tmp_path / "out.png", "--occlusion", "scraf") == 1
    assert "--occlusion scraf: no such occluder; give random-window, paper, " in complaint(capsys)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("occlusion", ["paper", "mask.png"])
def test_window_and_occlusion_exclude_each_other(
    tmp_path: Path, face_file: Path, capsys: pytest.CaptureFixture[str], occlusion: str
) -> None:
    assert run(face_file, tmp_path / "out.png", "--window", "64,16,128,128", "--occlusion", occlusion) == 1
    assert "--window and --occlusion both say what is hidden; leave one of them away" in complaint(capsys)


@pytest.mark.parametrize(
    "window",
    [
        "64,16,128",
        "64,16,128,128,1",
        "a,b,c,d",
        "",
        "1.5,16,128,128",
        "64,16,nan,128",
        "64,16,0,128",
        "64,16,128,0",
        "64,16,-8,128",
        "-1,16,128,128",
        "64,-1,128,128",
        "129,16,128,128",
        "64,129,128,128",
        "256,0,1,1",
    ],
)
def test_a_bad_window_names_the_remedy(
    tmp_path: Path, face_file: Path, capsys: pytest.CaptureFixture[str], window: str
) -> None:
    assert run(face_file, tmp_path / "out.png", "--window", window) == 1
    line = complaint(capsys)
    assert f"--window {window}: give x,y,w,h" in line
    assert "--window 64,16,128,128" in line
    assert "256×256" in line
    assert not (tmp_path / "out.png").exists()


def test_the_strip_shows_the_crop_what_was_visible_and_the_restored(
    tmp_path: Path, face_file: Path, portrait_crop: AlignedFace
) -> None:
    face, hidden = portrait_crop.pixels, margin_mask(WINDOW)
    pixels = restored(
        face_file, "--window", "40,30,150,90", "--restorer", "mean-face", "--strip", tmp_path / "strip.png"
    )
    strip = load_photo(tmp_path / "strip.png").pixels
    assert strip.shape == (256, 3 * 256 + 2 * 8, 3)
    first, gap, second, other_gap, third = np.split(strip, [256, 264, 520, 528], axis=1)
    np.testing.assert_array_equal(first, face)
    np.testing.assert_array_equal(second, np.where(hidden[..., None], 0, face))
    np.testing.assert_array_equal(third, pixels)
    assert (gap == 255).all()
    assert (other_gap == 255).all()


def test_the_photo_changes_only_where_the_face_was_hidden(
    tmp_path: Path, portrait: Photo, portrait_crop: AlignedFace
) -> None:
    save_picture(tmp_path / "portrait.png", portrait.pixels)
    output, whole = tmp_path / "out.png", tmp_path / "whole.png"
    arguments = ["--detector", "dlib", "--restorer", "mean-face", "--photo", str(whole)]
    assert main(["restore", str(tmp_path / "portrait.png"), "-o", str(output), *arguments]) == 0
    crop, photo = load_photo(output).pixels, load_photo(whole).pixels
    np.testing.assert_array_equal(crop, filled(portrait_crop.pixels, paper_mask().mask))
    assert photo.shape == portrait.pixels.shape
    x, y = in_crop(portrait_crop, portrait.size)
    outside = (x < -1) | (x > SIZE) | (y < -1) | (y > SIZE)
    window = PAPER_WINDOW
    visible = (window.x < x) & (x < window.right - 1) & (window.y < y) & (y < window.bottom - 1)
    for same in (outside, visible):
        assert same.sum() > 500
        np.testing.assert_array_equal(photo[same], portrait.pixels[same])
    mouth = (np.abs(x - 128) < 30) & (np.abs(y - 190) < 20)
    assert (photo[mouth] != portrait.pixels[mouth]).any(axis=1).mean() > 0.9
    nearest = crop[np.rint(y[mouth]).astype(int), np.rint(x[mouth]).astype(int)].astype(int)
    assert np.abs(photo[mouth] - nearest).mean() < 4  # the restored mouth lies where the mouth was


def in_crop(face: AlignedFace, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Where every photo pixel lies in the crop: x and y, (height, width) float64 each."""
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    x, y = np.tensordot(face.matrix, np.stack([columns, rows, np.ones_like(rows)]), axes=1)
    return x, y


def test_turns_are_written_beside_the_output(
    tmp_path: Path, face_file: Path, portrait_crop: AlignedFace, in_turns: str
) -> None:
    output, hidden = tmp_path / "some.face.png", margin_mask(WINDOW)[..., None]
    assert run(face_file, output, "--window", "40,30,150,90", "--restorer", in_turns, "--turns") == 0
    written = sorted(path.name for path in tmp_path.glob("some*"))
    assert written == ["some.face-turn-1.png", "some.face-turn-2.png", "some.face-turn-3.png", "some.face.png"]
    for number, level in enumerate((30, 60, 90), 1):
        pixels = load_photo(tmp_path / f"some.face-turn-{number}.png").pixels
        np.testing.assert_array_equal(pixels, np.where(hidden, level, portrait_crop.pixels))
    np.testing.assert_array_equal(load_photo(output).pixels, pixels)  # the last turn is the restoration


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_turn_does_not_overwrite_another_picture(
    tmp_path: Path, face_file: Path, in_turns: str, capsys: pytest.CaptureFixture[str], turn: int
) -> None:
    strip = tmp_path / f"out-turn-{turn}.png"
    assert run(face_file, tmp_path / "out.png", "--restorer", in_turns, "--turns", "--strip", strip) == 1
    assert ("the same file" if turn == 1 else f"out-turn-{turn}.png is the picture of turn") in complaint(capsys)
    assert not list(tmp_path.glob("out*"))


def test_no_turns_unless_asked_for(tmp_path: Path, face_file: Path, in_turns: str) -> None:
    restored(face_file, "--restorer", in_turns)
    assert not list(tmp_path.glob("*-turn-*"))


def test_turns_need_a_restorer_that_paints_in_turns(
    tmp_path: Path, face_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(face_file, tmp_path / "out.png", "--restorer", "inpaint", "--turns") == 1
    line = complaint(capsys)
    assert "inpaint has none" in line
    assert "--restorer spiral" in line
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("option", ["--output", "--photo", "--strip"])
def test_an_unwritable_output_is_said_before_the_work(
    tmp_path: Path,
    face_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    option: str,
) -> None:
    monkeypatch.delattr(restoring, "make_restorer")  # whoever works meets this
    monkeypatch.delattr(restoring, "one_face")
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.png").mkdir()
    for target, reason in (("file/out.png", "choose another place"), ("folder.png", "name a file")):
        assert run(face_file, tmp_path / "out.png", option, tmp_path / target) == 1
        line = complaint(capsys)
        assert f"{target}: can't be written" in line
        assert reason in line
    assert not list(tmp_path.glob("*out*"))


def test_a_turn_that_can_not_be_written_is_said_before_the_work(
    tmp_path: Path, face_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(restoring, "make_restorer")
    (tmp_path / "out-turn-1.png").mkdir()
    assert run(face_file, tmp_path / "out.png", "--turns") == 1
    assert "out-turn-1.png: can't be written" in complaint(capsys)


def test_two_pictures_do_not_share_a_file(tmp_path: Path, face_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(face_file, tmp_path / "out.png", "--strip", tmp_path / "out.png") == 1
    assert "same file; give each a name of its own" in complaint(capsys)
    assert not (tmp_path / "out.png").exists()


def test_a_picture_without_a_face_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blank = tmp_path / "blank.png"
    save_picture(blank, np.full((80, 80, 3), 200, np.uint8))
    assert main(["restore", str(blank), "-o", str(tmp_path / "out.png"), "--detector", "dlib"]) == 1
    assert "no face found; try another --detector" in complaint(capsys)
    assert not (tmp_path / "out.png").exists()
