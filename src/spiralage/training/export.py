"""``spiralage export``: a finished run → an ONNX file in ``weights/`` and its entry in the manifest."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any, Literal, TypeAlias

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from spiralage.age.backbones import AgeNetwork
from spiralage.errors import CheckpointError
from spiralage.files import sha256_of, write_bytes, write_text
from spiralage.restoration.imagine import CropImaginer, ImagineGenerator
from spiralage.training.age import load_age_network
from spiralage.training.imagine import load_imaginer
from spiralage.training.loop import read_record
from spiralage.training.mean_face import MEAN_FACE_FILE
from spiralage.training.pretrained import learned_from

Kind: TypeAlias = Literal["age", "imagine", "mean-face"]

LICENCE = "non-commercial research (as the data)"


class _Probabilities(nn.Module):
    """An age network that ends in probabilities."""

    def __init__(self, network: AgeNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> Tensor:
        logits: Tensor = self.network(crops)
        return logits.softmax(dim=1)


def age_onnx(network: AgeNetwork) -> bytes:
    """An age network as ONNX: ``crops`` (N, 256, 256, 3) uint8 → ``probabilities`` (N, 101) float32."""
    example = torch.zeros(2, 256, 256, 3, dtype=torch.uint8)
    return _to_onnx(_Probabilities(network), {"crops": example}, "probabilities")


def imagine_onnx(imaginer: CropImaginer) -> bytes:
    """An ImagineGAN as ONNX: ``crops``, ``hidden``, ``noise`` → ``pictures`` (N, 256, 256, 3) uint8."""
    example = {
        "crops": torch.zeros(2, 256, 256, 3, dtype=torch.uint8),
        "hidden": torch.zeros(2, 256, 256, dtype=torch.uint8),
        "noise": torch.zeros(2, ImagineGenerator.NOISE_CHANNELS, imaginer.size, imaginer.size),
    }
    return _to_onnx(imaginer, example, "pictures")


def _to_onnx(network: nn.Module, example: dict[str, Tensor], output: str) -> bytes:
    network = network.eval()
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            network,
            tuple(example.values()),
            input_names=list(example),
            output_names=[output],
            dynamic_shapes=tuple({0: batch} for _ in example),
            dynamo=True,
            # ONNX Runtime optimises when it loads. Unoptimised, every weight keeps its PyTorch name, so that
            # the shipped file can be compared with the PyTorch network.
            optimize=False,
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    _strip(model)
    data: bytes = model.SerializeToString()
    return data


def _strip(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes: they hold source paths of the machine and stack traces."""
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.functions):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for function in model.functions:
        for node in function.node:
            node.ClearField("metadata_props")


def torch_weights(data: bytes, prefix: str = "") -> dict[str, Tensor]:
    """The weights inside an exported ONNX file, by the names they have in PyTorch.

    Args:
        data: the file's bytes.
        prefix: dropped from the names; others are left out.
    """
    graph = onnx.load_model_from_string(data).graph
    return {
        value.name.removeprefix(prefix): torch.from_numpy(numpy_helper.to_array(value).copy())
        for value in graph.initializer
        if value.name.startswith(prefix)
    }


def export_run(run: Path, weights: Path, name: str, kind: Kind) -> Path:
    """Put a finished run's network into a weights folder and write it into the manifest.

    Args:
        run: the run's folder.
        weights: the folder with ``manifest.toml``, made if need be.
        name: the network's name: its file and its section in the manifest.
        kind: what was trained.

    Returns:
        The file written.

    Raises:
        CheckpointError: the run isn't finished.
    """
    facts = read_record(run)
    if kind == "mean-face":
        path = weights / f"{name}.safetensors"
        if not (run / MEAN_FACE_FILE).is_file():
            raise CheckpointError(f"{run}: no {MEAN_FACE_FILE} here; choose a run of that kind")
        data = (run / MEAN_FACE_FILE).read_bytes()
    else:
        path = weights / f"{name}.onnx"
        data = age_onnx(load_age_network(run)[1]) if kind == "age" else imagine_onnx(load_imaginer(run)[1])
    write_bytes(path, data)
    _enter(weights / "manifest.toml", name, path, kind, facts)
    return path


def _enter(manifest: Path, name: str, path: Path, kind: Kind, facts: dict[str, Any]) -> None:
    """Replace or add one section of the manifest; sections stay sorted."""
    entry = {
        "file": path.name,
        "sha256": sha256_of(path),
        "kind": kind,
        "recipe": facts["recipe"],
        "data": " → ".join(learned_from(facts)),
        "licence": LICENCE,
        "seed": facts["seed"],
        "commit": facts["commit"],
        "hardware": facts["hardware"],
        "minutes": facts["minutes"],
    }
    lines = [f"[{name}]", *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in entry.items())]
    text = manifest.read_text(encoding="utf-8") if manifest.exists() else ""
    sections = {block.split("]")[0].strip("["): block.strip() for block in text.split("\n\n") if block.strip()}
    sections[name] = "\n".join(lines)
    write_text(manifest, "\n\n".join(sections[key] for key in sorted(sections)) + "\n")
