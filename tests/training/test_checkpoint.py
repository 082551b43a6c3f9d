"""Checkpoints: exact, whole or not there, and without pickle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from spiralage.errors import CheckpointError
from spiralage.training import checkpoint
from spiralage.training.checkpoint import load_checkpoint, load_tensors, save_checkpoint, save_tensors


def make(width: int = 4, *, channels_last: bool = False) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width * 36, 2))
    if channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    groups = [{"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": 0.1}]
    groups.append({"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0})
    return network, torch.optim.AdamW(groups, lr=1e-2, betas=(0.8, 0.9), fused=True)


def take_steps(network: nn.Module, optimiser: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        torch.manual_seed(step)
        optimiser.zero_grad()
        network(torch.randn(4, 3, 8, 8)).square().sum().backward()
        optimiser.step()


def save(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, step: int = 0) -> None:
    save_checkpoint(path, {"network": network}, {"optimiser": optimiser}, {"step": step, "note": "ä"})


@pytest.mark.parametrize("channels_last", [False, True])
def test_going_on_from_a_checkpoint_changes_nothing(tmp_path: Path, channels_last: bool) -> None:
    path = tmp_path / "run" / "checkpoint.safetensors"
    network, optimiser = make(channels_last=channels_last)
    take_steps(network, optimiser, range(5))
    save(path, network, optimiser, 5)
    take_steps(network, optimiser, range(5, 10))

    resumed, resumed_optimiser = make(channels_last=channels_last)
    meta = load_checkpoint(path, {"network": resumed}, {"optimiser": resumed_optimiser})
    assert (meta["step"], meta["note"]) == (5, "ä")
    take_steps(resumed, resumed_optimiser, range(5, 10))
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    groups = [json.dumps(o.state_dict()["param_groups"]) for o in (optimiser, resumed_optimiser)]
    assert groups[0] == groups[1]
    states = optimiser.state_dict()["state"], resumed_optimiser.state_dict()["state"]
    assert states[0].keys() == states[1].keys()
    for index, values in states[0].items():
        for key, value in values.items():
            assert torch.equal(value, states[1][index][key]), (index, key)


def test_it_is_safetensors_with_json_and_no_pickle(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    network, optimiser = make()
    take_steps(network, optimiser, range(1))
    save(path, network, optimiser)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert {"network/0.weight", "network/1.running_mean", "optimiser/0/exp_avg", "optimiser/0/step"} <= header.keys()
    assert json.loads(header["__metadata__"]["spiralage"])["param_groups"]["optimiser"][0]["betas"] == [0.8, 0.9]
    # Nothing lies outside the header and the tensors that it lists.
    assert max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__") == len(
        data[8 + length :]
    )


def test_tensors_come_back_with_their_types(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    tensors: dict[str, Tensor] = {
        "bytes": torch.arange(5, dtype=torch.uint8),
        "half": torch.randn(3, dtype=torch.bfloat16),
        "turned": torch.randn(2, 3).T,
        "scalar": torch.tensor(7),
    }
    save_tensors(path, tensors, {"a": [1, None]})
    found, meta = load_tensors(path)
    assert meta == {"a": [1, None]}
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) and found[name].dtype == tensors[name].dtype for name in found)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    network, optimiser = make()
    take_steps(network, optimiser, range(1))
    save(path, network, optimiser)
    wider, wider_optimiser = make(width=5)
    with pytest.raises(CheckpointError, match="another network"):
        load_checkpoint(path, {"network": wider}, {"optimiser": wider_optimiser})
    with pytest.raises(CheckpointError, match="another network"):
        load_checkpoint(path, {"generator": network}, {"optimiser": optimiser})
    with pytest.raises(CheckpointError, match="another network"):
        load_checkpoint(path, {"network": network}, {"critic_optimiser": optimiser})
    one_group = torch.optim.AdamW(network.parameters())
    with pytest.raises(CheckpointError, match="another network"):
        load_checkpoint(path, {"network": network}, {"optimiser": one_group})


def test_missing_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole.safetensors"
    save_tensors(whole, {"a": torch.zeros(100)}, {})
    short = tmp_path / "short.safetensors"
    short.write_bytes(whole.read_bytes()[:-8])
    empty = tmp_path / "empty.safetensors"
    empty.touch()
    pickled = tmp_path / "pickled.safetensors"
    torch.save({"a": torch.zeros(1)}, pickled)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, foreign)
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, other, metadata={"format": "pt"})
    for path in (tmp_path / "missing.safetensors", short, empty, pickled, foreign, other):
        with pytest.raises(CheckpointError, match=path.name):
            load_tensors(path)


@pytest.mark.parametrize("death", [KeyboardInterrupt, MemoryError])
def test_dying_while_writing_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, death: type[BaseException]
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    network, optimiser = make()
    take_steps(network, optimiser, range(1))
    save(path, network, optimiser, 1)
    before = path.read_bytes()

    def half_written(tensors: dict[str, Tensor], file: Path, metadata: dict[str, str]) -> None:
        file.write_bytes(before[: len(before) // 2])
        raise death

    monkeypatch.setattr(checkpoint, "save_file", half_written)
    take_steps(network, optimiser, range(1, 2))
    with pytest.raises(death):
        save(path, network, optimiser, 2)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    assert load_checkpoint(path, {"network": network}, {"optimiser": optimiser})["step"] == 1
