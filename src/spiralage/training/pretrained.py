"""Weights that others trained and published, brought into this package's networks.

``faceres-deep`` is Savchenko's MobileNet (PeerJ Computer Science 2019, 5:e197; VGGFace2, then IMDB-WIKI;
Apache-2.0) in the TensorFlow.js form in which the Human library publishes it (MIT): a JSON file that lists
tensors, and a file with their bytes.

``imagenet-alexnet`` is the convolutions of an AlexNet of ImageNet's, see ``training.imagenet``. The published network
halves by blurring where this package's takes maxima, and once less before its second convolution: kernels fit, maps
don't. They are a start for training, no features as they are.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from spiralage.datasets.joined import JOIN
from spiralage.errors import ModelFileError
from spiralage.model_files import FACERES_GRAPH, FACERES_WEIGHTS, model_path
from spiralage.networks.age import AgeNetwork
from spiralage.networks.backbones import AlexNet
from spiralage.networks.backbones.mobilenet import STAGES
from spiralage.training.imagenet import MEAN as IMAGENET_MEAN
from spiralage.training.imagenet import STD as IMAGENET_STD
from spiralage.training.imagenet import published_tensors

PretrainedName: TypeAlias = Literal["faceres-deep", "imagenet-alexnet"]
CONVOLUTIONS = ("slice1.0", "slice2.5", "slice3.9", "slice4.11", "slice5.13")
"""What the published AlexNet calls them."""

Floats = npt.NDArray[np.float32]

TRAINED_ON = {"faceres-deep": ("VGGFace2", "IMDB-WIKI"), "imagenet-alexnet": ("ImageNet",)}
"""What published weights have learned from, in order."""

TITLES = {
    "utkface": "UTKFace",
    "aaf": "AAF",
    "celeba-hq": "CelebA-HQ",
    "imdb": "IMDB",
    "wiki": "WIKI",
    "clap2016": "CLAP2016",
    "fgnet": "FG-NET",
    "maskedface": "MaskedFace-Net",
}
"""How data sets are written."""


def learned_from(record: Mapping[str, Any]) -> list[str]:
    """All that a run's network has learned from, in order, from whatever it started with on.

    Args:
        record: its run.json.

    Example:
        >>> learned_from({"pretrained": "faceres-deep", "data": ["utkface"]})
        ['VGGFace2', 'IMDB-WIKI', 'UTKFace']
        >>> learned_from({"pretrained": "", "data": ["aaf"], "taught_by": "best", "teacher_data": ["UTKFace"]})
        ['AAF, taught by best (UTKFace)']
    """
    names = [_title(name) + (", masked" if record.get("masked") else "") for name in record["data"]]
    if record.get("taught_by"):
        names[-1] += f", taught by {record['taught_by']} ({', '.join(record['teacher_data'])})"
    everything = [*record.get("start_data", ()), *TRAINED_ON.get(record["pretrained"], ()), *names]
    return [name for name, _ in itertools.groupby(everything)]  # twice in a row is once


def _title(names: str) -> str:
    return JOIN.join(TITLES.get(name, name) for name in names.split(JOIN))


TYPES = {"float32": "<f4", "float16": "<f2", "int32": "<i4"}
BGR_MEAN = (103.939, 116.779, 123.68)
"""What the published network's pictures, BGR in 0…255, have subtracted."""


def read_tfjs(graph: Path, weights: Path) -> dict[str, Floats]:
    """The tensors of a TensorFlow.js model, by name.

    Raises:
        ModelFileError: the two files don't fit each other, or hold what this reader doesn't know.
    """
    try:
        manifest = json.loads(graph.read_text(encoding="utf-8"))["weightsManifest"]
        entries: list[dict[str, Any]] = [entry for group in manifest for entry in group["weights"]]
        data, offset, tensors = weights.read_bytes(), 0, {}
        for entry in entries:
            kind = np.dtype(TYPES[entry.get("quantization", entry)["dtype"]])
            count = prod(entry["shape"])
            values = np.frombuffer(data, kind, count, offset).reshape(entry["shape"])
            tensors[entry["name"]] = values.astype(np.float32)
            offset += count * kind.itemsize
        if offset != len(data):
            raise ValueError(f"{len(data)} bytes, {offset} described")
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{graph}, {weights.name}: no TensorFlow.js model ({error}); fetch both again") from error
    return tensors


def faceres_weights() -> dict[str, Tensor]:
    """The published MobileNet's weights under the names of an ``AgeNetwork`` with a softmax head.

    Raises:
        ModelFileError: the files can't be had.
    """
    return mobilenet_weights(read_tfjs(model_path(FACERES_GRAPH), model_path(FACERES_WEIGHTS)))


def mobilenet_weights(tensors: dict[str, Floats]) -> dict[str, Tensor]:
    """TensorFlow's tensors under the names, and in the memory order, of such a network.

    The published network sees BGR in 0…255 less a mean; this package's sees ``AgeNetwork.normalise``. The
    difference is affine, so it goes into the first convolution. Ages: its 100 classes are the years 1…100;
    the new class of 0 years starts as a copy of 1's.

    Raises:
        ModelFileError: a tensor is missing.
    """
    try:
        weights = _first(tensors)
        for number in range(1, len(STAGES) + 1):
            depthwise, norm = tensors[f"conv_dw_{number}/depthwise_kernel"], f"conv_dw_{number}_bn/batchnorm_1"
            weights[f"{number}.0.weight"] = (depthwise * tensors[f"{norm}/mul"][:, None]).transpose(2, 3, 0, 1)
            weights[f"{number}.0.bias"] = tensors[f"{norm}/sub"]
            weights[f"{number}.2.weight"] = tensors[f"conv_pw_{number}/convolution/merged_input"].transpose(3, 2, 0, 1)
            weights[f"{number}.2.bias"] = tensors[f"conv_pw_{number}_bn/batchnorm_1/sub"]
        hidden = len(STAGES) + 3
        weights[f"{hidden}.weight"], weights[f"{hidden}.bias"] = tensors["feats/kernel"].T, tensors["feats/bias"]
        ages, bias = tensors["age_pred/kernel"].T, tensors["age_pred/bias"]
        weights = {f"backbone.{name}": value for name, value in weights.items()}
        weights["head.logits.weight"] = np.concatenate([ages[:1], ages])
        weights["head.logits.bias"] = np.concatenate([bias[:1], bias])
    except KeyError as error:
        raise ModelFileError(f"not the published MobileNet: no tensor {error}; fetch {FACERES_GRAPH.url}") from error
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in weights.items()}


def _first(tensors: dict[str, Floats]) -> dict[str, Floats]:
    kernel = tensors["conv1/convolution/merged_input"]  # (3, 3, BGR, 32)
    mean = np.asarray(BGR_MEAN, np.float32)[:, None]
    shift = (kernel * (255 * AgeNetwork.MEAN - mean)).sum(axis=(0, 1, 2))
    scaled = kernel[:, :, ::-1] * np.float32(255 * AgeNetwork.STD)
    return {
        "0.0.weight": scaled.transpose(3, 2, 0, 1),
        "0.0.bias": (tensors["conv1_bn/batchnorm_1/sub"] + shift).astype(np.float32),
    }


def alexnet_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """ImageNet's five convolutions under the names that they have in an ``AgeNetwork`` with an ``AlexNet``.

    The published network sees RGB less ImageNet's mean and divided by its deviation, this package's sees
    ``AgeNetwork.normalise``; the difference goes into the first convolution. All linear layers stay new.

    Args:
        tensors: what ``published_tensors("imagenet-alexnet")`` gives.

    Raises:
        ModelFileError: a tensor is missing.
    """
    ours = [index for index, layer in enumerate(AlexNet()) if isinstance(layer, nn.Conv2d)]
    try:
        layers = [{part: tensors[f"net.{theirs}.{part}"] for part in ("weight", "bias")} for theirs in CONVOLUTIONS]
    except KeyError as error:
        raise ModelFileError(f"not the published AlexNet: no tensor {error}; fetch it again") from error
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    kernel = layers[0]["weight"]  # (64, RGB, 11, 11)
    layers[0] = {
        "weight": kernel * (AgeNetwork.STD / std),
        "bias": layers[0]["bias"] + (kernel * ((AgeNetwork.MEAN - mean) / std)).sum(dim=(1, 2, 3)),
    }
    named = zip(ours, layers, strict=True)
    return {f"backbone.{index}.{part}": value for index, layer in named for part, value in layer.items()}


def start_published(network: AgeNetwork, name: PretrainedName, pictures: Tensor) -> None:
    """Give a network the published weights of that name, all that there are of them.

    Args:
        network: with the backbone that they fit.
        name: which.
        pictures: some that it will see, (N, 3, S, S) float in [0, 1]. AlexNet's maps are brought to their scale.

    Raises:
        ModelFileError: the files can't be had.
    """
    if name == "faceres-deep":
        network.load_state_dict(faceres_weights())
    else:
        network.load_state_dict(network.state_dict() | alexnet_weights(published_tensors(name)))
        scale_convolutions(network, pictures)


@torch.no_grad()
def scale_convolutions(network: AgeNetwork, pictures: Tensor) -> None:
    """Scale every convolution of an AlexNet so that what it answers has standard deviation 1 (Mishkin and Matas 2016).

    What its maps show stays the same but for a factor. Without, ImageNet's fade from layer to layer to a hundredth of
    what new linear layers expect, and training starts slowly.

    Args:
        network: whose backbone is a sequence of convolutions, then others.
        pictures: (N, 3, S, S) float in [0, 1].
    """
    x, scale = network.normalise(pictures), torch.ones(())
    for layer in cast(nn.Sequential, network.get_submodule("backbone")):
        if isinstance(layer, nn.Linear):
            break
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is not None
            layer.bias *= scale
            factor = 1 / layer(x).std()
            layer.weight *= factor
            layer.bias *= factor
            scale = scale * factor
        x = layer(x)
