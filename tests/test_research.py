"""The way of research, through its commands: archive → crops → training → evaluation → export."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic import drawn_crop, use_tiny_backbones

from spiralage import weights
from spiralage.cli import main
from spiralage.faces.dlib_faces import DlibDetector

RECIPE = """
name = "tiny"
seed = 3
epochs = 2
batch = 4
[network]
backbone = "compact"
crop = 256
pool = 8
[optimiser]
learning_rate = 1e-3
[[stages]]
share = 1.0
size = 32
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A tar of 40 drawn pictures with UTKFace's names."""
    rng = np.random.default_rng(0)
    path = tmp_path / "data" / "UTKFace.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as tar:
        for index in range(40):
            age = int(rng.integers(1, 90))
            buffer = io.BytesIO()
            Image.fromarray(drawn_crop(age, rng)[:200, :200]).save(buffer, format="JPEG")
            info = tarfile.TarInfo(f"UTKFace/{age}_{index % 2}_{index % 5}_{20170100000000000 + index}.jpg.chip.jpg")
            info.size = buffer.tell()
            buffer.seek(0)
            tar.addfile(info, buffer)
    return path


def test_from_the_archive_to_the_shipped_file(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_tiny_backbones(monkeypatch)
    monkeypatch.setattr(DlibDetector, "SMALLEST_CNN", 10_000)  # no face is drawn: spare the slow search
    monkeypatch.chdir(tmp_path)
    Path("tiny.toml").write_text(RECIPE)
    assert main(["data", "crops", "--data", str(archive.parent), "--detector", "dlib"]) == 0
    assert main(["train", "age", "tiny.toml", "--threads", "1", "--device", "cpu", "--precision", "32-true"]) == 0
    assert "complete" in capsys.readouterr().out
    assert main(["evaluate", "holdout", "runs/tiny", "--set", "utkface"]) == 0

    with Path("results/holdout.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:5] == ["data", "network", "condition", "occluder", "restorer"]
    masked = [f"masked {name}" for name in ("none", "mean-colour")]
    restored = [f"restored {name}" for name in ("inpaint", "mean-face", "imagine", "spiral")]
    labels = [f"{row['condition']} {row['restorer']}".strip() for row in rows]
    assert labels == ["any", "original", *masked, *restored]
    assert rows[0]["network"].startswith("constant ")
    assert {row["recipe"] for row in rows[1:]} == {"tiny"}
    table = Path("cache/utkface/shard-0000.csv").read_text().splitlines()
    test_images = sum(row["split"] == "test" for row in csv.DictReader(table))
    assert {int(row["images"]) for row in rows} == {test_images}
    assert len({row["mae"] for row in rows[1:]}) > 1  # the conditions are different pictures

    assert main(["export", "runs/tiny", "--name", "tiny", "--kind", "age", "-o", "w"]) == 0
    assert set(weights.manifest(Path("w"))) == {"tiny"}
    assert json.loads(Path("runs/tiny/run.json").read_text())["seed"] == 3


def test_clear_errors_without_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPIRALAGE_DATA", raising=False)
    Path("tiny.toml").write_text(RECIPE)
    for arguments, message in (
        (["data", "crops"], "--data FOLDER or set SPIRALAGE_DATA"),
        (["data", "crops", "--data", "."], "holds neither UTKFace.tar nor a folder UTKFace"),
        (["train", "age", "missing.toml"], "missing.toml: can't be read"),
        (["train", "age", "tiny.toml"], "no finished crops here; run: spiralage data crops"),
        (["evaluate", "holdout", "runs/tiny", "--cache", "x"], "no finished crops"),
        (["export", "runs/tiny", "--name", "x", "--kind", "age"], "no finished run"),
    ):
        assert main(arguments) == 1
        errors = capsys.readouterr().err.strip().splitlines()
        assert len(errors) == 1
        assert message in errors[0]
