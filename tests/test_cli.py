"""The commands, run as a user runs them."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from onnx_models import occlusion_model

from spiralage.cli import main
from spiralage.image_io import load_photo, save_picture
from spiralage.occlusion.occluders import OCCLUDERS, OccluderName, cover_face
from spiralage.occlusion.window import paper_mask
from spiralage.types import AlignedFace, Photo, Pixels


@pytest.fixture
def portrait_file(tmp_path: Path, portrait: Photo) -> Path:
    path = tmp_path / "portrait.png"
    save_picture(path, portrait.pixels)
    return path


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, list[dict[str, object]]]:
    code = main(["estimate", *map(str, arguments), "--json", "--detector", "dlib"])
    answer: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return code, answer


def test_estimate_json_has_the_promised_form(capsys: pytest.CaptureFixture[str], portrait_file: Path) -> None:
    code, answer = run_json(capsys, portrait_file, "--at-least", "18", "--at-least", "65")
    assert code == 0
    assert [set(photo) for photo in answer] == [{"image", "faces", "error"}]
    assert answer[0]["image"] == str(portrait_file)
    assert answer[0]["error"] is None
    faces = answer[0]["faces"]
    assert isinstance(faces, list)
    (face,) = faces
    assert set(face) == {
        "box",
        "detector",
        "score",
        "turn",
        "landmarks",
        "age",
        "std",
        "interval",
        "hidden",
        "hidden_by",
        "restored_by",
        "restored_why",
        "p_at_least",
        "calibrated",
        "cant_tell",
        "quality",
    }
    x, y, width, height = face["box"]
    assert 150 < x < 210
    assert 60 < y < 120
    assert 60 < width < 140
    assert 60 < height < 140
    low, high = face["interval"]
    assert 0 <= low < face["age"] < high <= 100
    assert face["p_at_least"].keys() == {"18", "65"}
    assert face["p_at_least"]["18"] > face["p_at_least"]["65"]
    # Eileen Collins was in her thirties: an adult to any network that learned something.
    assert face["p_at_least"]["18"] > 0.9


def test_one_bad_photo_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], portrait_file: Path) -> None:
    empty_folder, not_a_picture = tmp_path / "empty", tmp_path / "a.jpg"
    empty_folder.mkdir()
    not_a_picture.write_text("not a picture")
    code, answer = run_json(capsys, "missing.jpg", not_a_picture, empty_folder, portrait_file)
    assert code == 1
    errors = [str(photo["error"]) for photo in answer[:3]]
    assert ["no such file" in errors[0], "not a picture" in errors[1], "no pictures" in errors[2]] == [True] * 3
    assert answer[2]["image"] == str(empty_folder)
    assert all("\n" not in error for error in errors)
    assert answer[3]["error"] is None
    assert len(answer[3]["faces"]) == 1  # type: ignore[arg-type]


def test_no_face_is_an_empty_list_and_said_in_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blank = tmp_path / "blank.png"
    save_picture(blank, np.full((80, 80, 3), 200, np.uint8))
    code, answer = run_json(capsys, blank)
    assert code == 0
    assert answer[0]["faces"] == []
    assert main(["estimate", str(blank), "--detector", "dlib"]) == 0
    assert "no face" in capsys.readouterr().out


def test_csv_and_report(tmp_path: Path, portrait_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd_name = tmp_path / "<b>.png"
    odd_name.write_bytes(portrait_file.read_bytes())
    table, folder = tmp_path / "ages.csv", tmp_path / "report"
    arguments = ["estimate", str(odd_name), "missing.jpg", "--detector", "dlib", "--at-least", "18"]
    assert main([*arguments, "--csv", str(table), "--report", str(folder)]) == 1
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [str(odd_name), "missing.jpg"]
    assert 0 < float(rows[0]["age"]) < 100
    assert 0.9 < float(rows[0]["p_at_least_18"]) <= 1
    assert rows[1]["age"] == ""
    assert "no such file" in rows[1]["error"]
    page = (folder / "index.html").read_text()
    assert "&lt;b&gt;.png" in page
    assert "<b>.png" not in page
    assert page.count("data:image/jpeg;base64,") >= 2
    assert "http" not in page.replace("http-equiv", "")  # nothing comes from outside
    assert "missing.jpg" in page


def test_unwritable_output_is_one_line(tmp_path: Path, portrait_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "ages.csv"  # its folder is a file
    assert main(["estimate", str(portrait_file), "--detector", "dlib", "--csv", str(target)]) == 1
    answer = capsys.readouterr()
    assert answer.out == ""  # said before the work, not after it
    errors = answer.err.strip().splitlines()
    assert len(errors) == 1
    assert "can't be written" in errors[0]


def test_a_name_that_is_not_utf_8_is_no_obstacle(
    tmp_path: Path, portrait_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9 [bold].png")
    try:
        odd.write_bytes(portrait_file.read_bytes())
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    code, answer = run_json(capsys, odd)
    assert code == 0
    assert answer[0]["image"] == str(odd)
    outputs = ["--csv", str(tmp_path / "ages.csv"), "--report", str(tmp_path / "report")]
    assert main(["estimate", str(odd), "missing [/x].jpg", "--detector", "dlib", *outputs]) == 1
    assert "[bold]" in capsys.readouterr().out.replace("\n", "")
    assert b"caf\xe9" in (tmp_path / "ages.csv").read_bytes()


def test_given_box_and_picture_that_is_a_face(portrait_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", str(portrait_file), "--box", "179,83,88,88", "--json"]) == 0
    boxed = json.loads(capsys.readouterr().out)
    assert boxed[0]["faces"][0]["box"] == [179, 83, 88, 88]
    assert main(["estimate", str(portrait_file), "--detector", "none", "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert whole[0]["faces"][0]["box"] == [0, 0, 512, 512]
    for box in ("1,2,3", "a,b,c,d", "0,0,-5,5", "0,0,nan,5"):
        assert main(["estimate", str(portrait_file), "--box", box]) == 1
        assert "--box" in capsys.readouterr().err


def test_occlusion_option_hides_and_restorers_differ(portrait_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ages = {}
    for restorer in ("none", "inpaint", "mean-face", "imagine", "spiral"):
        code, answer = run_json(capsys, portrait_file, "--occlusion", "paper", "--restorer", restorer)
        assert code == 0
        face = answer[0]["faces"][0]  # type: ignore[index]
        assert face["hidden"] == 0.75
        ages[restorer] = face["age"]
    assert len(set(ages.values())) == 5


def test_occlude_writes_a_crop(tmp_path: Path, portrait_file: Path, portrait_crop: AlignedFace) -> None:
    def occluded(*arguments: str) -> Pixels:
        out = tmp_path / "out.png"
        assert main(["occlude", str(portrait_file), "-o", str(out), "--detector", "dlib", *arguments]) == 0
        return load_photo(out).pixels

    np.testing.assert_array_equal(occluded("--kind", "paper"), paper_mask().cover(portrait_crop.pixels))
    masked = occluded("--kind", "surgical-mask", "--seed", "3")
    assert masked.shape == (256, 256, 3)
    assert (masked != portrait_crop.pixels).any()


@pytest.mark.parametrize("name", OCCLUDERS)
def test_every_occluder_is_known_to_all_commands(
    name: OccluderName,
    tmp_path: Path,
    portrait_file: Path,
    portrait_crop: AlignedFace,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cover, out = cover_face(portrait_crop, name), tmp_path / "out.png"
    assert main(["occlude", str(portrait_file), "-o", str(out), "--detector", "dlib", "--kind", name]) == 0
    np.testing.assert_array_equal(load_photo(out).pixels, cover.over(portrait_crop.pixels))
    arguments = (str(portrait_file), "-o", str(out), "--detector", "dlib", "--restorer", "none", "--occlusion", name)
    assert main(["restore", *arguments]) == 0
    np.testing.assert_array_equal(load_photo(out).pixels, np.where(cover.mask[..., None], 0, portrait_crop.pixels))
    _, answer = run_json(capsys, portrait_file, "--detector", "dlib", "--occlusion", name, "--restorer", "none")
    assert answer[0]["faces"][0]["hidden"] == pytest.approx(cover.mask.mean(), abs=1e-4)  # type: ignore[index]


def test_mistakes_on_the_command_line_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate"]) == 2
    assert main(["estimate", "x.jpg", "--detector", "nonsense"]) == 2
    assert main(["no-such-command"]) == 2


def test_models_lists_every_shipped_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    files = ("best:", "imagine:", "occlusion:", "slices-context:", "slices-paint:", "mean-face:", "yunet:")
    assert all(name in out for name in files)


def test_a_network_finds_what_hides(
    portrait_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPIRALAGE_NETWORKS", str(tmp_path / "networks"))
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "reds.onnx").write_bytes(occlusion_model(threshold="0.9"))  # takes red for hidden
    code, answer = run_json(capsys, portrait_file, "--occlusion", "reds", "--restorer", "auto")
    assert code == 0
    faces = answer[0]["faces"]
    assert isinstance(faces, list)
    assert faces[0]["hidden"] > 0
    assert faces[0]["hidden_by"] == "found"
    assert faces[0]["restored_by"] in ("imagine", "spiral")
    assert faces[0]["restored_why"]
