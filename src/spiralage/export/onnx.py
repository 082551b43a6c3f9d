"""``spiralage export``: a finished run → an ONNX file in ``weights/`` and its entry in the manifest."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from spiralage.errors import CheckpointError, ModelFileError
from spiralage.export.manifest import check_name, make_entry, put, read_entries
from spiralage.networks.age import AgeNetwork
from spiralage.networks.landmarks import LandmarkNetwork
from spiralage.networks.occlusion import OcclusionNetwork
from spiralage.networks.restorers.imagine import CropImaginer, ImagineGenerator
from spiralage.networks.restorers.slices import SliceGAN, StyledSlice, WindowContext
from spiralage.occlusion.network import THRESHOLD, TRAINED_WITH
from spiralage.occlusion.occluders import OCCLUDERS
from spiralage.runtime import Session
from spiralage.store import Kind
from spiralage.training.pretrained import learned_from
from spiralage.training.run import RECORD, read_record
from spiralage.training.tasks.age import load_age_network
from spiralage.training.tasks.imagine import load_imaginer
from spiralage.training.tasks.landmarks import load_landmark_network
from spiralage.training.tasks.mean_face import read_mean_face
from spiralage.training.tasks.occlusion import load_occlusion_network
from spiralage.training.tasks.slices import load_slice_gan

LICENCE = "non-commercial research (as the data)"
STYLE_LICENCES = {
    "imagenet-vgg16": "its VGG16, of stlpips-pytorch: BSD-2-Clause",
    "vgg19": "its VGG19, of torchvision: BSD-3-Clause",
}
"""What is said beside, of the features that a SliceGAN's context network holds."""


MIRROR = "mirror"
"""The metadata of a file that looks at mirror images too."""


def is_mirrored(data: bytes) -> bool:
    """Whether an exported age network looks at mirror images too."""
    return any(prop.key == MIRROR for prop in onnx.load_model_from_string(data).metadata_props)


def age_onnx(network: AgeNetwork) -> bytes:
    """An age network as ONNX: ``crops`` (N, 256, 256, 3) uint8 → ``probabilities`` (N, 101) float32.

    One that answers with the mean over a crop and its mirror image does so inside the file, which says it. One that is
    told what is hidden takes ``hidden`` (N, 256, 256) uint8, 1 = hidden, besides.
    """
    metadata = {MIRROR: "true"} if network.mirror else {}
    example = {"crops": _noise_crops()}
    if network.told_mask:
        example["hidden"] = _noise_crops()[..., 0] // 128
    return _to_onnx(network, example, ["probabilities"], metadata=metadata)


def _noise_crops() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 256, 256, 3), dtype=torch.uint8, generator=generator)


def imagine_onnx(imaginer: CropImaginer) -> bytes:
    """An ImagineGAN as ONNX: ``crops``, ``hidden``, ``noise`` → ``pictures`` (N, 256, 256, 3) uint8."""
    example = {
        "crops": _noise_crops(),
        "hidden": torch.zeros(2, 256, 256, dtype=torch.uint8),
        "noise": torch.rand(2, ImagineGenerator.NOISE_CHANNELS, imaginer.size, imaginer.size),
    }
    return _to_onnx(imaginer, example, ["pictures"])


def landmarks_onnx(network: LandmarkNetwork) -> bytes:
    """A landmark network as ONNX: ``crops`` (N, 256, 256, 3) uint8 → ``points`` (N, 68, 2), ``spreads`` (N, 68)."""
    return _to_onnx(network, {"crops": _noise_crops()}, ["points", "spreads"])


def occlusion_onnx(network: OcclusionNetwork, trained_with: Sequence[str] = ()) -> bytes:
    """What finds occlusions as ONNX: ``crops`` (N, 256, 256, 3) uint8 → ``hidden`` (N, 256, 256) float32.

    The threshold that was chosen on validation faces stands in the file's metadata, and the kinds of occluders that it
    was trained with.
    """
    metadata = {THRESHOLD: f"{network.threshold.item():.4f}", TRAINED_WITH: " ".join(trained_with)}
    return _to_onnx(network, {"crops": _noise_crops()}, ["hidden"], metadata=metadata)


def occlusion_weights(data: bytes) -> dict[str, Tensor]:
    """The weights inside an exported file of it, by the names they have in an ``OcclusionNetwork``; its threshold too.

    Raises:
        ModelFileError: it tells no threshold.
    """
    model = onnx.load_model_from_string(data)
    told = [prop.value for prop in model.metadata_props if prop.key == THRESHOLD]
    if not told:
        raise ModelFileError(f"no network that finds occlusions: its metadata has no {THRESHOLD}")
    named = {name: value for name, value in torch_weights(data).items() if "." in name}  # others are constants
    return named | {THRESHOLD: torch.tensor(float(told[0]))}


def slices_onnx(gan: SliceGAN, frame: int) -> dict[str, bytes]:
    """A SliceGAN as two ONNX files: what is computed once per picture, and what is once per slice.

    ``context``: ``visible`` (N, 3, 4h, 4w) → ``style`` (N, 2·width); ``paint``: ``imaginary`` (N, 3, 4h, 4w),
    ``beside`` (N, 3, 4i, 4j) and ``style`` → ``slice`` (N, 3, 4h, 4w); pictures are float32 in [0, 1], of 12 pixels
    at least.
    """
    metadata = {"frame": str(frame), "thickness": str(gan.thickness)}
    height, width, short, long = (torch.export.Dim(name, min=3, max=4096) for name in ("h", "w", "i", "j"))
    visible = torch.rand(2, 3, frame // 2, frame // 2 + 8)
    with torch.no_grad():
        style = WindowContext(gan).eval()(visible)
    sides = {2: 4 * height, 3: 4 * width}
    context = _to_onnx(WindowContext(gan), {"visible": visible}, ["style"], {"visible": sides}, metadata)
    example = {"imaginary": torch.rand(2, 3, 16, 64), "beside": torch.rand(2, 3, 12, 48), "style": style}
    free = {"imaginary": sides, "beside": {2: 4 * short, 3: 4 * long}}
    return {"context": context, "paint": _to_onnx(StyledSlice(gan), example, ["slice"], free, metadata)}


Dimensions: TypeAlias = Mapping[str, Mapping[int, Any]]


def _to_onnx(
    network: nn.Module,
    example: dict[str, Tensor],
    outputs: list[str],
    free: Dimensions = MappingProxyType({}),
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """A network as ONNX: the batch is free, and what ``free`` names; ``metadata`` go into its metadata."""
    network = network.eval()
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            network,
            tuple(example.values()),
            input_names=list(example),
            output_names=outputs,
            dynamic_shapes=tuple({0: batch, **free.get(name, {})} for name in example),
            dynamo=True,
            # ONNX Runtime optimises when it loads. Unoptimised, every weight keeps its PyTorch name, so that
            # the shipped file can be compared with the PyTorch network.
            optimize=False,
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    _strip(model)
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    data: bytes = model.SerializeToString()
    check_same(data, network, example)
    return data


@torch.no_grad()
def check_same(data: bytes, network: nn.Module, example: Mapping[str, Tensor]) -> None:
    """Refuse a file that answers with NaN or infinity, or otherwise than the network that it was made of.

    Args:
        data: the ONNX file.
        network: in evaluation mode; its answer is a tensor or several.
        example: what both are asked, by input name.

    Raises:
        CheckpointError: it does.
    """
    answers = network(*example.values())
    expected = [answers] if isinstance(answers, Tensor) else list(answers)
    found = Session(data, threads=1).outputs(**{name: value.numpy() for name, value in example.items()})
    for ours, theirs in zip((answer.numpy() for answer in expected), found, strict=True):
        if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
            raise CheckpointError("the network answers with NaN or infinity and isn't exported; train it again")
        tolerance = 1 if ours.dtype == np.uint8 else 1e-3 * max(1.0, float(np.abs(ours).max()))
        difference = float(np.abs(ours.astype(np.float64) - theirs).max())
        if not difference <= tolerance:
            raise CheckpointError(
                f"PyTorch and ONNX Runtime differ by {difference:g}; nothing is exported, report this"
            )


def _strip(model: onnx.ModelProto) -> None:
    """Drop the exporter's metadata: source paths of the machine and stack traces."""
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


def age_weights(data: bytes) -> dict[str, Tensor]:
    """The weights inside an exported age network, by the names they have in an ``AgeNetwork``."""
    named = {
        name.removeprefix("network."): value for name, value in torch_weights(data).items()
    }  # as old files call it
    return {name: value for name, value in named.items() if "." in name}  # the others are the exporter's constants


def export_run(run: Path, weights: Path, name: str, kind: Kind) -> list[Path]:
    """Put a finished run's network into a weights folder and write it into the manifest.

    An int8 variant of what had its name goes, since it is another network's: ``spiralage quantise`` makes a new one.

    Args:
        run: the run's folder.
        weights: the folder with ``manifest.toml``, made if need be.
        name: the network's name: its file and its section in the manifest. A SliceGAN has two of both,
            ``NAME-context`` and ``NAME-paint``.
        kind: what was trained.

    Returns:
        The files written.

    Raises:
        OptionError: what can't be a name; see ``check_name``.
        CheckpointError: the run isn't finished or is damaged, or its network answers with NaN.
        ModelFileError: the folder's manifest is damaged.
        OutputError: the folder can't be written.
    """
    check_name(name)
    facts = read_record(run)
    missing = {"recipe", "seed", "commit", "hardware", "minutes"} - facts.keys()
    if missing:
        raise CheckpointError(f"{run}: its run.json doesn't tell {', '.join(sorted(missing))}; train it again")
    origin = facts | {"licence": licence_of(kind, facts), "data": " → ".join(learned_from(facts))}
    try:
        make_entry(f"{name}.onnx", b"", kind, origin)
    except ValueError as error:
        raise CheckpointError(f"{run / RECORD}: damaged ({error}); train it again") from error
    read_entries(weights)
    ending = "safetensors" if kind == "mean-face" else "onnx"
    files = {f"{name}-{part}" if part else name: data for part, data in _files(run, kind).items()}
    return put(weights, {f"{full}.{ending}": data for full, data in files.items()}, kind, origin)


def licence_of(kind: Kind, facts: Mapping[str, Any]) -> str:
    """What is said of a network's licence.

    Args:
        kind: what was trained.
        facts: its run.json.

    Example:
        >>> licence_of("slices", {"features": "imagenet-vgg16"})
        'non-commercial research (as the data); its VGG16, of stlpips-pytorch: BSD-2-Clause'
    """
    held = STYLE_LICENCES.get(facts.get("features", "")) if kind == "slices" else None
    return f"{LICENCE}; {held}" if held else LICENCE


def _files(run: Path, kind: Kind) -> dict[str, bytes]:
    """What a run's network is written as, by the part's name; empty where there is one part."""
    if kind == "slices":
        recipe, gan = load_slice_gan(run)
        return slices_onnx(gan, recipe.network.size)
    if kind == "mean-face":
        return {"": read_mean_face(run)}
    if kind == "landmarks":
        return {"": landmarks_onnx(load_landmark_network(run)[1])}
    if kind == "occlusion":
        occlusion, network = load_occlusion_network(run)
        return {"": occlusion_onnx(network, [name for name in OCCLUDERS if occlusion.occluders.get(name)])}
    return {"": age_onnx(load_age_network(run)[1]) if kind == "age" else imagine_onnx(load_imaginer(run)[1])}
