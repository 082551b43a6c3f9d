"""The manifest of a weights folder: names, facts and what is there already are checked before anything is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from spiralage import weights
from spiralage.cli import main
from spiralage.errors import CheckpointError, ModelFileError, OptionError, OutputError
from spiralage.export.manifest import put
from spiralage.export.onnx import export_run

FACE: dict[str, Any] = {"pixels": np.zeros((256, 256, 3), np.uint8), "landmarks": np.zeros((68, 2), np.float32)}
FACTS: dict[str, Any] = {"recipe": "r", "seed": 1, "commit": "0" * 12, "hardware": "", "minutes": 0.5}
RECORD = FACTS | {"data": ["utkface"], "pretrained": ""}
ENTRY = FACTS | {"data": "", "licence": ""}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run that is quick to export."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "mean-face.safetensors").write_bytes(save(FACE))
    (folder / "run.json").write_text(json.dumps(RECORD))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "name",
    ["../esc", "a/b", "", "a b", "a]b", "a\nb", "a\n", "=x", ".h", "-x", "\x1b[1m", "a.b", "A", "é", "a_b", "a" * 101],
)
def test_what_can_not_be_a_name_is_refused(run: Path, tmp_path: Path, name: str) -> None:
    before = files(tmp_path)
    with pytest.raises(OptionError, match="a name is of a to z, 0 to 9 and -"):
        export_run(run, tmp_path / "weights", name, "mean-face")
    assert files(tmp_path) == before


def test_the_command_says_so_in_one_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["export", str(run), "--kind", "mean-face", "--output", str(tmp_path / "weights")]
    assert main([*command, "--name", "../esc"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main([*command, "--name", "0-face"]) == 0
    assert list(weights.manifest(tmp_path / "weights")) == ["0-face"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": "x"},
        {"seed": 1.5},
        {"seed": True},
        {"seed": None},
        {"recipe": 3},
        {"recipe": "\ud800"},
        {"commit": []},
        {"hardware": {}},
        {"minutes": "long"},
        {"minutes": float("nan")},
        {"minutes": float("inf")},
        {"data": ["\ud800"]},
        {"data": [3]},
    ],
    ids=str,
)
def test_a_record_of_wrong_facts_is_refused(run: Path, tmp_path: Path, wrong: dict[str, Any]) -> None:
    (run / "run.json").write_text(json.dumps(RECORD | wrong))
    with pytest.raises(CheckpointError, match=r"run\.json: damaged"):
        export_run(run, tmp_path / "weights", "face", "mean-face")
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize(
    "manifest", [b"\xff\xfe", b"hello", b"a=" + b"[" * 5000, b"[a]\nfile = 3\n", b"[a]\n", b"\0", b"[a]\n[a]\n", None]
)
def test_a_damaged_manifest_stays_as_it_is(run: Path, tmp_path: Path, manifest: bytes | None) -> None:
    path = tmp_path / "weights" / "manifest.toml"
    path.parent.mkdir()
    if manifest is None:
        path.mkdir()
    else:
        path.write_bytes(manifest)
    before = files(tmp_path)
    with pytest.raises(ModelFileError, match=r"no usable manifest .*; mend it, or remove it and export"):
        export_run(run, path.parent, "face", "mean-face")
    assert files(tmp_path) == before


def test_nothing_is_written_where_one_file_can_not_be(run: Path, tmp_path: Path) -> None:
    (tmp_path / "weights" / "face.safetensors").mkdir(parents=True)
    before = files(tmp_path)
    with pytest.raises(OutputError, match="it is a folder"):
        export_run(run, tmp_path / "weights", "face", "mean-face")
    assert files(tmp_path) == before


def test_other_entries_are_kept_however_they_are_written(tmp_path: Path) -> None:
    put(tmp_path, {"b.onnx": b"b"}, "age", ENTRY | {"hardware": 'a "\x7f\n\n] \\ →', "minutes": 1e-9})
    path = tmp_path / "manifest.toml"
    path.write_text("# by hand\n" + path.read_text().replace("\n", "\n\n").replace("[b]", '["b.c ]"]'))
    before = weights.manifest(tmp_path)
    put(tmp_path, {"a.onnx": b"a"}, "age", ENTRY)
    after = weights.manifest(tmp_path)
    assert list(after) == ["a", "b.c ]"]
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    "data",
    [
        b"junk",
        b"",
        save(FACE)[:-1],
        save({"pixels": FACE["pixels"]}),
        save(FACE | {"more": FACE["landmarks"]}),
        save(FACE | {"pixels": FACE["pixels"][:-1]}),
        save(FACE | {"pixels": FACE["pixels"].astype(np.float32)}),
        save(FACE | {"landmarks": FACE["landmarks"][:5]}),
        save(FACE | {"landmarks": FACE["landmarks"] + np.float32(np.nan)}),
        save(FACE | {"landmarks": FACE["landmarks"] + np.float32(np.inf)}),
    ],
    ids=range(10),
)
def test_what_is_no_mean_face_is_not_exported(run: Path, tmp_path: Path, data: bytes) -> None:
    (run / "mean-face.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match="train it again"):
        export_run(run, tmp_path / "weights", "face", "mean-face")
    assert not (tmp_path / "weights").exists()
