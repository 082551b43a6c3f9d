"""``spiralage quantise``: the shipped networks that restore → int8 variants, beside them in ``weights/``.

Weights and activations are rounded to 8 bits by scales that are found on faces whose restoration is watched (static
quantisation). What touches a picture isn't rounded: its few channels cost little, and its rounding shows most.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from spiralage import weights
from spiralage.datasets.crops import Crops
from spiralage.errors import DatasetError, OptionError
from spiralage.export.manifest import put
from spiralage.occlusion.window import PAPER_WINDOW, margin_mask, random_window
from spiralage.restoration.restore import Imaginer, Spiral, fill_hidden
from spiralage.restoration.slice_generator import OnnxSliceGenerator, Style
from spiralage.runtime import Inputs
from spiralage.store import INT8
from spiralage.training.pretrained import TITLES
from spiralage.types import Floats, Mask, Pixels

NETWORKS = ("imagine", "slices-paint")
"""The shipped networks that get an int8 variant."""
CONVOLUTIONS = ["Conv", "ConvTranspose"]
FEW = 8
"""A convolution with fewer channels on either side touches a picture."""
FACES = 24
"""From as many training faces scales are found; half of them under the paper's mask."""


class _Seen(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, inputs: Sequence[Inputs]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> Inputs | None:
        return next(self._inputs, None)


def to_int8(model: bytes, inputs: Sequence[Inputs]) -> bytes:
    """An ONNX model with its wide convolutions in int8; inputs, outputs and metadata stay as they are.

    Args:
        model: the bytes of a float32 ONNX file.
        inputs: what it is asked in practice, by input name; scales are found on them.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, rounded = (Path(folder) / f"{name}.onnx" for name in ("plain", "prepared", "rounded"))
        plain.write_bytes(model)
        with _quiet():
            quant_pre_process(plain, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                rounded,
                _Seen(inputs),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=CONVOLUTIONS,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                nodes_to_exclude=at_pictures(onnx.load(prepared).graph),
            )
        result = onnx.load(rounded)
    del result.metadata_props[:]
    result.metadata_props.extend(onnx.load_model_from_string(model).metadata_props)
    data: bytes = result.SerializeToString()
    return data


@contextmanager
def _quiet() -> Iterator[None]:
    """onnxruntime's advice goes to the root logger; it is followed already."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def at_pictures(graph: onnx.GraphProto) -> list[str]:
    """The convolutions of a graph that take or make few channels; grouped ones, of few a group, count as such."""
    shapes = {value.name: value.dims for value in graph.initializer}
    nodes = (node for node in graph.node if node.op_type in CONVOLUTIONS)
    return [node.name for node in nodes if min(shapes[node.input[1]][:2]) < FEW]


class _WatchedImaginer(Imaginer):
    def __init__(self, network: str | Path) -> None:
        super().__init__(network, engine="onnxruntime")
        self.seen: list[Inputs] = []

    def inputs(self, crops: Pixels, masks: Mask) -> Inputs:
        self.seen.append(super().inputs(crops, masks))
        return self.seen[-1]


class _WatchedSliceGenerator(OnnxSliceGenerator):
    def __init__(self, network: str | Path) -> None:
        super().__init__(network, engine="onnxruntime")
        self.seen: list[Inputs] = []

    def inputs(self, imaginary: Floats, beside: Floats, style: Style) -> Inputs:
        self.seen.append(super().inputs(imaginary, beside, style))
        return self.seen[-1]


def watch(
    faces: Pixels, seed: int = 0, *, imaginer: str | Path = "imagine", slices: str | Path = "slices"
) -> dict[str, list[Inputs]]:
    """What networks are asked while they restore faces, by network.

    Args:
        faces: (N, 256, 256, 3) uint8 RGB.
        seed: of every other face's window; the rest show the paper's.
        imaginer, slices: the ImagineGAN and the SliceGAN, see ``store``; the shipped ones by default.
    """
    imagines, generates, rng = _WatchedImaginer(imaginer), _WatchedSliceGenerator(slices), np.random.default_rng(seed)
    for index, face in enumerate(faces):
        window = random_window(rng) if index % 2 else PAPER_WINDOW
        fill_hidden(Spiral(imagines, generates), face[None], margin_mask(window)[None])
    return {imagines.networks[0]: imagines.seen, generates.networks[1]: generates.seen}


def quantise(crops: Crops, folder: Path, seed: int = 0) -> Iterator[Path]:
    """Write int8 variants of the shipped ImagineGAN and slice network, ``NAME-int8``, and enter them in the manifest.

    A variant's entry tells where the network itself comes from.

    Args:
        crops: aligned crops; training faces, evenly spread, are taken.
        folder: the weights folder.
        seed: of the windows.

    Yields:
        Every file, when it is written.

    Raises:
        DatasetError: too few training faces, or other ones than the networks learned from.
        OptionError: the folder holds other networks than this installation.
    """
    shipped = weights.manifest()
    for name in NETWORKS:
        if TITLES.get(crops.data, crops.data) not in re.split(r" \+ | → ", shipped[name].data):
            raise DatasetError(f"{crops.folder} holds crops of {crops.data}, not of what {name} has learned from")
    training = crops.indices("train")
    if len(training) < FACES:
        raise DatasetError(f"{crops.folder} has {len(training)} training faces, {FACES} are needed; take other crops")
    there = weights.manifest(folder)
    for name in NETWORKS:
        if there.get(name) != shipped[name]:
            raise OptionError(f"{folder} holds another {name} than this installation's; choose its weights folder")
    faces = crops.take(training[np.linspace(0, len(training) - 1, FACES).astype(int)])
    for name, seen in watch(faces, seed).items():
        entry, data = shipped[name], to_int8(weights.read(name), seen)
        yield from put(folder, {f"{name}{INT8}.onnx": data}, f"{entry.kind} int8", asdict(entry))
