"""What ``spiralage estimate`` takes, and what it says of it."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pngs import encode_png

from spiralage import weights
from spiralage.cli import estimate as command
from spiralage.cli import main
from spiralage.faces.find import FaceFinder
from spiralage.image_io import save_picture
from spiralage.types import Photo, PhotoReport

RUN = [sys.executable, "-c", "from spiralage.cli import entry_point; entry_point()"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portrait: Photo) -> Path:
    monkeypatch.chdir(tmp_path)
    save_picture(Path("a.png"), portrait.pixels)
    return tmp_path


def answers(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    main(["estimate", *arguments, "--json", "--detector", "none"])
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("how", ["file", "pipe"])
def test_a_dash_is_standard_input(capsys: pytest.CaptureFixture[str], portrait: Photo, how: str) -> None:
    (usual,) = answers(capsys, "a.png")
    run = [*RUN, "estimate", "-", "a.png", "--json", "--detector", "none"]
    if how == "pipe":
        done = subprocess.run(run, input=encode_png(portrait.pixels), capture_output=True, check=True)
    else:
        with Path("a.png").open("rb") as file:
            done = subprocess.run(run, stdin=file, capture_output=True, check=True)
    assert [photo["image"] for photo in json.loads(done.stdout)] == ["-", "a.png"]
    assert all(photo["faces"] == usual["faces"] for photo in json.loads(done.stdout))


@pytest.mark.parametrize("given", [b"", b"no picture"])
def test_what_is_no_picture_on_standard_input_is_a_row(given: bytes) -> None:
    run = [*RUN, "estimate", "-", "a.png", "--json", "--detector", "none"]
    done = subprocess.run(run, input=given, capture_output=True, check=False)
    bad, good = json.loads(done.stdout)
    assert done.returncode == 1
    assert bad["error"].startswith("-: ")
    assert good["error"] is None


def test_occlude_and_restore_take_standard_input_too(portrait: Photo) -> None:
    for name in ("occlude", "restore"):
        run = [*RUN, name, "-", "-o", f"{name}.png", "--detector", "none"]
        subprocess.run(run, input=encode_png(portrait.pixels), capture_output=True, check=True)
        assert Path(f"{name}.png").exists()


def test_an_unforeseen_error_is_a_row_that_says_how_to_report_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = FaceFinder.find

    def fail(self: FaceFinder, photo: Photo, *, most: int) -> object:
        if photo.name == "b.png":
            raise ZeroDivisionError("so")
        return find(self, photo, most=most)

    monkeypatch.setattr(FaceFinder, "find", fail)
    Path("b.png").write_bytes(Path("a.png").read_bytes())
    assert main(["estimate", "b.png", "a.png", "--detector", "none", "--csv", "ages.csv"]) == 1
    answer = capsys.readouterr()
    assert "ZeroDivisionError: so; please report it" in answer.err
    assert re.search(r"a\.png +1 +\d+\.\d", answer.out)
    assert "ZeroDivisionError: so" in Path("ages.csv").read_text()


def test_a_turned_photo_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from reports import face_report

    class Turned:
        def __init__(self, **options: object) -> None:
            pass

        def estimate_each(self, photos: list[Path], *, keep_photos: bool, workers: int) -> list[PhotoReport]:
            return [PhotoReport(str(path), (face_report(), face_report())) for path in photos]

    monkeypatch.setattr(command, "AgePipeline", Turned)
    assert main(["estimate", "a.png"]) == 0
    assert capsys.readouterr().err == "a.png: turned by 90° clockwise to find its faces\n"


def test_a_network_is_taken_by_name_or_path(capsys: pytest.CaptureFixture[str]) -> None:
    (usual,) = answers(capsys, "a.png")
    Path("own").mkdir()
    Path("own/mine.onnx").write_bytes(weights.read("best"))
    for network in ("best", "own/mine.onnx", "own"):
        (found,) = answers(capsys, "a.png", "--network", network)
        assert found["faces"] == usual["faces"]


@pytest.mark.parametrize("option", ["--network", "--restorer"])
@pytest.mark.parametrize("name", ["nonsense", "none.onnx", "a.png", "slices-paint"])
def test_what_is_no_network_is_one_line(capsys: pytest.CaptureFixture[str], option: str, name: str) -> None:
    assert main(["estimate", "a.png", option, name, "--detector", "none"]) == 1
    answer = capsys.readouterr()
    assert answer.out == ""
    assert len(answer.err.splitlines()) == 1


def test_a_network_of_the_user_is_an_input(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.onnx").write_bytes(weights.read("best"))
    assert main(["estimate", "a.png", "--network", "mine.onnx", "--csv", "mine.onnx", "--detector", "none"]) == 1
    assert "mine.onnx: this is the input" in capsys.readouterr().err
    assert Path("mine.onnx").read_bytes() == weights.read("best")


@pytest.mark.parametrize("command", [["estimate", "a.png", "--csv"], ["restore", "a.png", "-o"]])
@pytest.mark.parametrize("given", ["nd", "nd/n", "n", "nd/n.onnx"])
@pytest.mark.parametrize("file", ["nd/n.onnx", "nd/n.png", "nd/manifest.toml", "link.png"])
def test_every_file_of_a_network_is_an_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[str], given: str, file: str
) -> None:
    monkeypatch.setenv("SPIRALAGE_NETWORKS", "nd")
    Path("nd").mkdir()
    kind, shipped = ("age", "best") if command[0] == "estimate" else ("imagine", "imagine")
    Path("nd/n.onnx").write_bytes(weights.read(shipped))
    entry = dataclasses.replace(weights.manifest()[shipped], file="n.onnx")
    Path("nd/manifest.toml").write_text(
        "\n".join(["[n]", *(f"{key} = {json.dumps(value)}" for key, value in vars(entry).items())])
    )
    for link in ("nd/n.png", "link.png"):
        Path(link).hardlink_to("nd/n.onnx")
    if command[0] == "restore" and not file.endswith(".png"):
        pytest.skip("no picture's ending")
    before = [path.read_bytes() for path in sorted(Path("nd").iterdir())]
    option = "--network" if kind == "age" else "--restorer"
    assert main([*command, file, option, given, "--detector", "none"]) == 1
    assert f"{file}: this is the input" in capsys.readouterr().err
    assert [path.read_bytes() for path in sorted(Path("nd").iterdir())] == before


@pytest.mark.parametrize("command", ["occlude", "restore"])
def test_the_detectors_file_is_an_input(capsys: pytest.CaptureFixture[str], command: str) -> None:
    Path("yunet.png").write_bytes(b"a network")
    assert main([command, "a.png", "--yunet", "yunet.png", "-o", "yunet.png", "--detector", "none"]) == 1
    assert "yunet.png: this is the input" in capsys.readouterr().err


def test_a_face_tells_who_found_it(capsys: pytest.CaptureFixture[str]) -> None:
    (photo,) = answers(capsys, "a.png", "--box", "179,83,88,88")
    (face,) = photo["faces"]
    assert face["turn"] == 0
    assert isinstance(face["detector"], str)
    assert np.asarray(face["landmarks"]).shape == (68, 2)
