"""Shipped files: pinned, safe formats, small enough."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from spiralage import weights
from spiralage.errors import ModelFileError

SHIPPED = Path(str(weights.folder()))
MOST_BYTES = 60_000_000


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the weights folder with only the mean face in it."""
    for name in ("manifest.toml", "mean-face.safetensors"):
        shutil.copy(SHIPPED / name, tmp_path)
    return tmp_path


def test_every_shipped_file_is_the_pinned_one() -> None:
    entries = weights.manifest()
    assert {"best", "imagine", "mean-face"} <= entries.keys()
    for name in entries:
        assert weights.read(name)


def test_nothing_ships_outside_the_manifest_and_all_of_it_is_small() -> None:
    files = {path.name for path in SHIPPED.iterdir() if path.suffix in (".onnx", ".safetensors")}
    others = {path.name for path in SHIPPED.iterdir() if path.is_file()} - files
    assert files == {entry.file for entry in weights.manifest().values()}
    assert others <= {"__init__.py", "manifest.toml", "LICENSE-stlpips.txt"}
    assert sum((SHIPPED / name).stat().st_size for name in files) <= MOST_BYTES


def test_a_changed_file_is_refused(copy: Path) -> None:
    path = copy / "mean-face.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelFileError, match=r"SHA-256 is .* export the network again"):
        weights.read("mean-face", copy)


def test_missing_file_name_and_manifest(copy: Path) -> None:
    with pytest.raises(ModelFileError, match="can't be read"):
        weights.read("best", copy)
    with pytest.raises(ModelFileError, match="no shipped network is called 'nonsense'; there are best"):
        weights.read("nonsense", copy)
    (copy / "manifest.toml").unlink()
    with pytest.raises(ModelFileError, match="no usable manifest"):
        weights.read("best", copy)


def test_a_manifest_can_not_name_a_pickle(copy: Path) -> None:
    manifest = copy / "manifest.toml"
    manifest.write_text(manifest.read_text().replace("mean-face.safetensors", "../mean-face.pt"))
    with pytest.raises(ModelFileError, match="no usable manifest"):
        weights.manifest(copy)
