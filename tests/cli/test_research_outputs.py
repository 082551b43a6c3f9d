"""Research commands overwrite none of their inputs, and say before the work what can't be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from spiralage.cli import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (
        Path("data/UTKFace/1_0_0_2017.jpg.chip.jpg"),
        Path("other/UTKFace.tar"),
        Path("runs/a/weights.safetensors"),
    ):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"input")


@pytest.mark.parametrize(
    "command",
    [
        ["data", "duplicates", "other/UTKFace.tar", "--data", "other"],
        ["data", "duplicates", "data/UTKFace/1_0_0_2017.jpg.chip.jpg", "--data", "data"],
        ["evaluate", "holdout", "runs/a", "-o", "runs/a/weights.safetensors"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_an_input_stays(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    assert main(command) == 1
    assert "this is the input" in capsys.readouterr().err
    files = [path for path in Path().rglob("*") if path.is_file()]
    assert len(files) == 3
    assert all(path.read_bytes() == b"input" for path in files)


@pytest.mark.parametrize(
    "command",
    [
        ["data", "duplicates", "runs", "--data", "other"],
        ["data", "same-faces", "runs"],
        ["evaluate", "holdout", "runs/a", "-o", "runs"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_folder_in_the_way_is_said_at_once(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    assert main(command) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "runs: can't be written (it is a folder)" in line
