"""A landmark network in ONNX: the same points and spreads, there and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import FLOAT32, drawn_crop, landmark_recipe, write_faces

from spiralage import weights
from spiralage.errors import CheckpointError
from spiralage.export.import_weights import import_weights
from spiralage.export.onnx import export_run
from spiralage.faces.heatmap import HeatmapLandmarker
from spiralage.runtime import Session
from spiralage.training.run import read_record
from spiralage.training.tasks import landmarks
from spiralage.training.tasks.landmarks import load_landmark_network, train_landmarks
from spiralage.types import Box, Face, Photo


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landmarks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landmarks, "VALIDATED", 2)
        train_landmarks(landmark_recipe(epochs=1), write_faces(folder / "crops"), folder / "run", **FLOAT32)
    return folder / "run"


@pytest.fixture(scope="module")
def exported(run: Path) -> Path:
    folder = run.parent / "weights"
    assert export_run(run, folder, "tiny", "landmarks") == [folder / "tiny.onnx"]
    return folder


@torch.no_grad()
def test_points_and_spreads_are_those_of_pytorch(run: Path, exported: Path) -> None:
    _, network = load_landmark_network(run)
    session = Session(weights.read("tiny", exported), threads=1)
    rng = np.random.default_rng(0)
    for count in (1, 3):
        crops = np.stack([drawn_crop(30 * index, rng) for index in range(count)])
        points, spreads = session.outputs(crops=crops)
        expected_points, expected_spreads = network(torch.from_numpy(crops))
        assert (points.shape, spreads.shape) == ((count, 68, 2), (count, 68))
        np.testing.assert_allclose(points, expected_points.numpy(), atol=0.02)  # pixels of 256
        np.testing.assert_allclose(spreads, expected_spreads.numpy(), atol=0.02)
    assert np.ptp(points, axis=0).max() > 0.1  # it looks at what it is shown


def test_the_manifest_and_the_landmarker_know_it(exported: Path) -> None:
    entry = weights.manifest(exported)["tiny"]
    assert (entry.kind, entry.recipe, entry.seed, entry.data) == ("landmarks", "tiny-landmarks", 3, "UTKFace")
    photo = Photo(np.full((300, 300, 3), 99, np.uint8))
    found = HeatmapLandmarker(exported, threads=1).locate(photo, Face(Box(50, 50, 200, 200)))
    assert found is not None
    assert found.points.shape == (68, 2)


def test_it_is_imported_as_the_run(run: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "folder", lambda: exported)
    values = landmark_recipe(epochs=1).model_dump(mode="json", exclude_none=True)
    tables = {key: value for key, value in values.items() if isinstance(value, dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if key not in tables]
    for table, entries in tables.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in entries.items())]
    (tmp_path / "tiny-landmarks.toml").write_text("\n".join(lines))
    import_weights("tiny", tmp_path, tmp_path / "again")
    recipe, network = load_landmark_network(tmp_path / "again")
    assert recipe == landmark_recipe(epochs=1)
    expected = load_landmark_network(run)[1].state_dict()
    different = [name for name, value in network.state_dict().items() if not torch.equal(value, expected[name])]
    assert all(name.endswith("num_batches_tracked") for name in different)
    assert read_record(tmp_path / "again")["imported"] == ["tiny"]


def test_another_run_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        export_run(run, tmp_path, "tiny", "age")
