"""int8 variants of networks: what is rounded, how much it changes, and where they are written."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from synthetic import drawn_crop, write_crops, write_shard
from torch import nn

from spiralage import weights
from spiralage.cli import main
from spiralage.datasets.crops import Crops
from spiralage.datasets.manifest import Row
from spiralage.errors import DatasetError, OptionError
from spiralage.export.onnx import _to_onnx
from spiralage.export.quantise import FACES, at_pictures, quantise, to_int8, watch
from spiralage.occlusion.window import PAPER_WINDOW, paper_mask
from spiralage.restoration.restore import fill_hidden, make_spiral
from spiralage.restoration.slice_generator import OnnxSliceGenerator
from spiralage.restoration.spiral import spiral
from spiralage.runtime import Inputs, Session
from spiralage.store import INT8
from spiralage.types import AlignedFace, Pixels

VARIANTS = ["imagine", "slices-paint"]


@pytest.fixture(scope="module")
def model() -> bytes:
    """Picture → 16 channels → 16 channels → 16 channels, twice as large → picture."""
    torch.manual_seed(0)
    wide = nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(16, 16, 4, 2, 1), nn.ReLU()
    network = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), *wide, nn.Conv2d(16, 3, 3, padding=1))
    return _to_onnx(network, {"picture": torch.zeros(2, 3, 8, 8)}, ["larger"], metadata={"frame": "8"})


def some_inputs(count: int, seed: int) -> list[Inputs]:
    rng = np.random.default_rng(seed)
    return [{"picture": rng.random((1, 3, 8, 8), np.float32)} for _ in range(count)]


def test_wide_convolutions_are_rounded(model: bytes) -> None:
    variant = onnx.load_model_from_string(to_int8(model, some_inputs(8, 0)))
    rounded = [len(value.dims) for value in variant.graph.initializer if value.data_type == TensorProto.INT8]
    assert rounded.count(4) == 2
    assert len(at_pictures(onnx.load_model_from_string(model).graph)) == 2
    assert not any(value.name.startswith("/") for value in variant.graph.initializer)


def test_answers_stay_near_and_notes_stay(model: bytes) -> None:
    usual, variant = Session(model, 1), Session(to_int8(model, some_inputs(32, 0)), 1)
    assert (variant.input_shapes, variant.metadata) == (usual.input_shapes, {"frame": "8"})
    expected, found = (np.concatenate([s.run(**i) for i in some_inputs(8, 1)]) for s in (usual, variant))
    assert 0 < np.abs(found - expected).max() < 0.05 * np.ptp(expected)


def test_both_networks_are_watched(portrait_crop: AlignedFace) -> None:
    seen = watch(np.stack([portrait_crop.pixels] * 2))
    assert list(seen) == VARIANTS
    assert [sorted(inputs) for inputs in seen["imagine"]] == [["crops", "hidden", "noise"]] * 2
    steps = [inputs["imaginary"].shape for inputs in seen["slices-paint"]]
    shipped = OnnxSliceGenerator(threads=1)
    small = PAPER_WINDOW.in_frame(shipped.frame)
    assert len(steps) > len(spiral(small, shipped.thickness))  # the second face shows another window
    assert not np.array_equal(seen["imagine"][0]["hidden"], seen["imagine"][1]["hidden"])


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Crops:
    rng = np.random.default_rng(0)
    rows = [Row(f"{i}.jpg", f"{i}.jpg", i, None, None, "train") for i in range(FACES)]
    return write_shard(
        tmp_path_factory.mktemp("crops") / "many", rows, [drawn_crop(i, rng) for i in range(FACES)], "aaf"
    )


def test_int8_variants_are_written_beside_the_networks(
    faces: Crops, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(str(weights.folder() / "manifest.toml"), tmp_path)
    assert main(["quantise", "--crops", str(faces.folder), "-o", str(tmp_path)]) == 0
    paths = [Path(line) for line in capsys.readouterr().out.split()]
    assert paths == [tmp_path / f"{name}{INT8}.onnx" for name in VARIANTS]
    shipped, manifest = weights.manifest(), weights.manifest(tmp_path)
    for name, path in zip(VARIANTS, paths, strict=True):
        entry, usual = manifest[path.stem], shipped[name]
        assert (entry.kind, entry.commit, entry.data) == (f"{usual.kind} int8", usual.commit, usual.data)
        assert len(weights.read(path.stem, tmp_path)) < 0.4 * len(weights.read(name))
    assert manifest.keys() == shipped.keys() | {path.stem for path in paths}


def test_too_few_faces_are_refused(tmp_path: Path) -> None:
    crops = write_crops(tmp_path / "crops", "aaf")
    with pytest.raises(DatasetError, match=f"16 training faces, {FACES} are needed"):
        next(quantise(crops, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["crops"]


def test_faces_of_another_set_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds crops of fgnet, not of what imagine has learned from"):
        next(quantise(write_crops(tmp_path / "crops", "fgnet"), tmp_path))


def test_a_folder_of_other_networks_is_refused(faces: Crops, tmp_path: Path) -> None:
    text = (weights.folder() / "manifest.toml").read_text(encoding="utf-8")
    (tmp_path / "manifest.toml").write_text(text.replace(weights.manifest()["imagine"].sha256, "0" * 64))
    with pytest.raises(OptionError, match="holds another imagine"):
        next(quantise(faces, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.toml"]


def restored(engine: str, crops: Pixels) -> Pixels:
    hidden = np.broadcast_to(paper_mask().mask, crops.shape[:3])
    return fill_hidden(make_spiral(1, engine), crops, hidden)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_shipped_variant_is_of_the_shipped_network(name: str) -> None:
    manifest = weights.manifest()
    variant, usual = (
        {**asdict(manifest[each]), "file": "", "sha256": "", "kind": ""} for each in (f"{name}{INT8}", name)
    )
    assert variant == usual


def test_shipped_int8_variants_lose_little(portrait_crop: AlignedFace) -> None:
    pytest.importorskip("openvino")
    crops, hidden = portrait_crop.pixels[None], paper_mask().mask[None]
    expected, found = (restored(engine, crops)[hidden].astype(float) for engine in ("openvino", "openvino-int8"))
    assert 0 < ((found - expected) ** 2).mean() < 255**2 / 10**4  # PSNR of 40 dB
