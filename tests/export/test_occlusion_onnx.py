"""The network that finds occlusions as ONNX: the same answers, the threshold beside them, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from occlusion_faces import occlusion_recipe
from synthetic import drawn_crop

from spiralage import weights
from spiralage.errors import CheckpointError, ModelFileError
from spiralage.export.import_weights import import_weights
from spiralage.export.onnx import export_run, occlusion_onnx
from spiralage.networks.occlusion import OcclusionNetwork
from spiralage.occlusion.network import NetworkFinder
from spiralage.runtime import Session, check_signature
from spiralage.training.run import Run
from spiralage.training.tasks.occlusion import build_occlusion_network, load_occlusion_network
from spiralage.types import Pixels

FACTS = {"data": ["aaf"], "pretrained": "", "kept_out": ["scarf"], "threshold": 0.6, "steps": 1}


def lively(network: OcclusionNetwork) -> OcclusionNetwork:
    """An untrained network whose answers differ between pixels, and whose batch norms are no identities."""
    torch.manual_seed(0)
    torch.nn.init.normal_(network.logits4.weight)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.bias)
    return network


def crops(count: int) -> Pixels:
    rng = np.random.default_rng(count)
    return np.stack([drawn_crop(30 + 20 * index, rng) for index in range(count)])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, of weights that nobody trained."""
    folder = tmp_path_factory.mktemp("occlusion") / "tiny-occlusion"
    network = lively(build_occlusion_network(occlusion_recipe()))
    network.threshold.fill_(0.6)
    Run(folder, occlusion_recipe(), "cpu").finish(network, FACTS, step=1)
    return folder


@pytest.mark.parametrize("count", [1, 3])
def test_onnx_runtime_answers_as_pytorch(count: int) -> None:
    network = lively(OcclusionNetwork((8, 16, 16, 16), (1, 1, 1), threshold=0.7)).eval()
    session = Session(occlusion_onnx(network), threads=1)
    check_signature(session, "occlusion", "mine")
    assert float(session.metadata["threshold"]) == pytest.approx(0.7)
    found = session.run(crops=crops(count))
    with torch.no_grad():
        expected = network(torch.from_numpy(crops(count))).numpy()
    assert found.shape == (count, 256, 256)
    assert np.abs(found - expected).max() < 1e-3
    assert expected.std() > 0.01


def test_a_run_is_exported_and_found(run: Path, tmp_path: Path) -> None:
    (path,) = export_run(run, tmp_path / "weights", "occlusion", "occlusion")
    entry = weights.manifest(path.parent)["occlusion"]
    assert (entry.kind, entry.recipe, entry.data) == ("occlusion", "tiny-occlusion", "AAF")
    assert NetworkFinder(path).threshold == pytest.approx(0.6)


def test_a_run_of_another_kind_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        export_run(run, tmp_path, "occlusion", "age")


def test_a_shipped_network_becomes_a_run_again(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_run(run, tmp_path / "weights", "occlusion", "occlusion")
    monkeypatch.setattr(weights, "folder", lambda: tmp_path / "weights")
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    lines = [
        'name = "tiny-occlusion"',
        "seed = 3",
        "epochs = 2",
        "batch = 4",
        "occluders = { surgical-mask = 0.5 }",
        "[network]",
        "widths = [4, 8, 8, 8]",
        "blocks = [0, 0, 1]",
        "[optimiser]",
        "learning_rate = 1e-2",
    ]
    (recipes / "tiny-occlusion.toml").write_text("\n".join(lines) + "\n")
    import_weights("occlusion", recipes, tmp_path / "run")
    first, second = (load_occlusion_network(folder)[1].state_dict() for folder in (run, tmp_path / "run"))
    assert all(torch.equal(first[name], second[name]) for name in first if "num_batches" not in name)
    (recipes / "tiny-occlusion.toml").write_text("\n".join(lines).replace("8, 8, 8]", "8, 8, 16]") + "\n")
    with pytest.raises(ModelFileError, match="not this network's recipe"):
        import_weights("occlusion", recipes, tmp_path / "run2")
