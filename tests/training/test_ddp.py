"""Two CPU processes share a training, as GPUs would: one run comes out of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import FLOAT32, write_crops
from torch import Tensor, nn

from spiralage.datasets.crops import Crops
from spiralage.networks.backbones.mobilenet import MobileNet
from spiralage.training.recipes import AgeRecipe, load_recipe
from spiralage.training.run import WEIGHTS
from spiralage.training.tasks.age import load_age_network, train_age

# What the console script does; the launcher starts it once more, with the same arguments.
SCRIPT = """
import sys
from spiralage.cli import main
sys.exit(main(sys.argv[1:]))
"""

# Three steps at 32 pixels, in which nothing is random but the order and the mirroring. The processes know nothing of a
# test's patches, so the network is a real one.
RECIPE = """
name = "shared"
seed = 3
epochs = 0.75
batch = {batch}
ema = 0.5
[network]
backbone = "mobilenet"
crop = 256
pool = 8
dropout = 0
[optimiser]
name = "sgd"
learning_rate = 1e-2
clip_norm = 5.0
[[stages]]
share = 1.0
size = 32
[augmentation]
rotation_degrees = 0
shift = 0
scale = 0
colour = 0
gray = 0
blur = 0
"""


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Crops:
    """Pictures that are their own mirror images: then flips, which each process draws for itself, change nothing."""
    crops = write_crops(tmp_path_factory.mktemp("ddp") / "crops")
    path = crops.folder / "shard-0000.npy"
    pictures = np.load(path)
    np.save(path, np.concatenate([pictures[:, :, :128], pictures[:, :, :128][:, :, ::-1]], axis=2))
    return Crops(crops.folder)


def vector(network: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(network.parameters()).detach()


def train(folder: Path, crops: Crops, batch: int) -> subprocess.CompletedProcess[str]:
    """Train in ``folder``, in two processes; both are gone afterwards."""
    (folder / "train.py").write_text(SCRIPT)
    (folder / "shared.toml").write_text(RECIPE.format(batch=batch))
    command = [sys.executable, "train.py", "train", "age", "shared.toml", "--crops", str(crops.folder)]
    with subprocess.Popen(
        [*command, "--devices", "2", "--device", "cpu", "--precision", "32-true", "--threads", "1"],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=240)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def test_two_processes_end_with_one_run(tmp_path: Path, crops: Crops) -> None:
    done = train(tmp_path, crops, batch=4)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "runs/shared: complete"
    run = tmp_path / "runs" / "shared"
    names = {path.name for path in run.iterdir()}
    assert names == {WEIGHTS, "log.csv", "recipe.json", "run.json", "tensorboard"}
    assert len(list((run / "tensorboard").iterdir())) == 1
    facts = json.loads((run / "run.json").read_text())
    assert facts.items() >= {"recipe": "shared", "steps": 3, "data": ["utkface"], "train_images": 16}.items()
    assert len((run / "log.csv").read_text().splitlines()) == 2
    _, network = load_age_network(run)
    assert all(bool(parameter.isfinite().all()) for parameter in network.parameters())
    alone = tmp_path / "alone"
    train_age(load_recipe(tmp_path / "shared.toml", AgeRecipe), crops, alone, **FLOAT32)
    torch.manual_seed(3)
    untrained = vector(MobileNet(dropout=0))
    shared_way, lone_way = (vector(load_age_network(r)[1].get_submodule("backbone")) - untrained for r in (run, alone))
    assert lone_way.norm() > 0
    # As one process with the whole batch: with half of it, or with gradients that aren't shared, it would go elsewhere.
    assert (shared_way - lone_way).norm() < 0.1 * lone_way.norm()
