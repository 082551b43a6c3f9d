"""Checkpoints without pickle: tensors as safetensors, all else as JSON in the same file's header."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from spiralage.errors import CheckpointError, OutputError
from spiralage.files import replacing

_META = "spiralage"
FORMER = {
    "painter": "generator",
    "critic": "discriminator",
    "painter_optimiser": "generator_optimiser",
    "critic_optimiser": "discriminator_optimiser",
}
"""What parts were called in old files → what they are called now."""


def save_tensors(path: Path, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
    """Write named tensors and a JSON-able header as one file, whole or not at all.

    Raises:
        OutputError: the folder can't be written, or the disk is full.
    """
    with replacing(path) as temporary:
        try:
            save_file(
                {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
                temporary,
                metadata={_META: json.dumps(meta)},
            )
        except SafetensorError as error:  # what the system says comes as text
            raise OutputError(f"{path}: can't be written ({error}); make room or choose another place") from error


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what ``save_tensors`` wrote.

    Raises:
        CheckpointError: missing, damaged, or not written by this package.
    """
    with _opened(path) as (file, meta):
        return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118


def check_header(path: Path) -> None:
    """Find out, without reading the tensors, that ``load_tensors`` can't: a file cut short too.

    Raises:
        CheckpointError: missing, damaged, or not written by this package.
    """
    with _opened(path):
        pass


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The file, and the JSON of its header."""
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {})[_META])
            if not isinstance(meta, dict):
                raise TypeError("its header is no table")
            yield file, meta
    except Exception as error:  # a damaged file makes its reader raise this and that
        raise CheckpointError(f"{path}: no checkpoint of spiralage ({error}); train it again") from error


def save_checkpoint(
    path: Path,
    modules: dict[str, nn.Module],
    optimisers: dict[str, torch.optim.Optimizer],
    meta: dict[str, Any],
) -> None:
    """Write all that is needed to go on exactly: modules, optimisers' state and ``meta``."""
    tensors = {f"{name}/{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    groups: dict[str, Any] = {}
    for name, optimiser in optimisers.items():
        state = optimiser.state_dict()
        groups[name] = state["param_groups"]
        for index, values in state["state"].items():
            tensors |= {f"{name}/{index}/{key}": torch.as_tensor(value) for key, value in values.items()}
    save_tensors(path, tensors, {**meta, "param_groups": groups})


def load_checkpoint(
    path: Path, modules: dict[str, nn.Module], optimisers: dict[str, torch.optim.Optimizer]
) -> dict[str, Any]:
    """Put a checkpoint's tensors back where ``save_checkpoint`` took them from; returns its ``meta``.

    Raises:
        CheckpointError: it belongs to another network.
    """
    tensors, meta = load_tensors(path)
    tensors = _renamed(tensors)
    try:
        groups = _renamed(meta["param_groups"])
        for name, module in modules.items():
            module.load_state_dict(_below(tensors, name))
        for name, optimiser in optimisers.items():
            parameters = [p for group in optimiser.param_groups for p in group["params"]]
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in _below(tensors, name).items():
                index, field = key.split("/")
                state.setdefault(int(index), {})[field] = _laid_out_like(value, parameters[int(index)])
            optimiser.load_state_dict({"state": state, "param_groups": groups[name]})
    except Exception as error:  # a damaged file makes PyTorch raise this and that
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{path} is of another network ({reason}); choose another run folder") from error
    return meta


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    """Old files call the parts of an adversarial training otherwise."""
    return {
        FORMER.get(name, name) + slash + rest: value
        for key, value in values.items()
        for name, slash, rest in [key.partition("/")]
    }


def _laid_out_like(value: Tensor, parameter: Tensor) -> Tensor:
    """A moment in its parameter's memory order: fused optimisers pair the two by address, not by index."""
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _below(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key[len(name) + 1 :]: value for key, value in tensors.items() if key.startswith(name + "/")}
