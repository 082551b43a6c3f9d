"""Where feature networks come from: age networks, or networks that were trained on ImageNet."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn

from spiralage.errors import CheckpointError, ModelFileError
from spiralage.files import sha256_of
from spiralage.networks.backbones.vgg import convolutions
from spiralage.networks.features import Features, Layers, age_features
from spiralage.training import imagenet
from spiralage.training.tasks.age import load_age_network

IMAGENET = "vgg19"
"""The recipe value that asks for ImageNet's VGG19 instead of an age network."""
IMAGENET_FILE = "vgg19-dcbb9e9d.pth"
"""torchvision's name of its weights; the digits are the start of the file's SHA-256."""


def imagenet_features(
    path: Path, size: int | None = None, *, layers: Layers = "perceptual", deepest: int | None = None
) -> Features:
    """The features of VGG19, trained on ImageNet, from torchvision's file.

    Args:
        path: ``vgg19-dcbb9e9d.pth``.
        size, layers, deepest: see ``Features``.

    Raises:
        ModelFileError: missing, changed, or not VGG19.
    """
    pinned = IMAGENET_FILE.removesuffix(".pth").rpartition("-")[2]
    if not path.is_file():
        raise ModelFileError(f"{path}: no such file; put torchvision's {IMAGENET_FILE} there or set SPIRALAGE_MODELS")
    if not sha256_of(path).startswith(pinned):
        raise ModelFileError(f"{path}: its SHA-256 doesn't begin with {pinned}; fetch the file again")
    network = nn.Sequential(convolutions("vgg19"))
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)  # tensors alone: no code is run
        kept = {name.replace("features.", "0.", 1): t for name, t in tensors.items() if name.startswith("features.")}
        network.load_state_dict(kept)
    except (RuntimeError, AttributeError, EOFError, ValueError) as error:
        raise ModelFileError(f"{path}: not torchvision's VGG19 ({str(error).splitlines()[0]})") from error
    mean, std = torch.tensor(imagenet.MEAN), torch.tensor(imagenet.STD)
    return Features(network, mean, std, size, layers=layers, deepest=deepest)


def imagenet_file() -> Path:
    """Where torchvision's VGG19 is: in the folder that ``SPIRALAGE_MODELS`` names, else in torch's hub cache."""
    folder = os.environ.get("SPIRALAGE_MODELS")
    if folder and (Path(folder) / IMAGENET_FILE).is_file():
        return Path(folder) / IMAGENET_FILE
    return Path(torch.hub.get_dir()) / "checkpoints" / IMAGENET_FILE


def load_features(
    name: str, runs: Path, size: int | None = None, *, layers: Layers = "perceptual", deepest: int | None = None
) -> Features:
    """The feature network that a recipe names.

    Args:
        name: "vgg19", as torchvision publishes it; "imagenet-vgg16" or "imagenet-alexnet", see
            ``training.imagenet``; or the name of an age recipe.
        runs: the folder with the age recipes' runs.
        size, layers, deepest: see ``Features``.

    Raises:
        ModelFileError: the file of ImageNet's weights isn't where it is looked for, or was changed.
        CheckpointError: the age network isn't trained yet.
    """
    if name == IMAGENET:
        return imagenet_features(imagenet_file(), size, layers=layers, deepest=deepest)
    if name in imagenet.WEIGHTS:
        return imagenet.imagenet_features(name, size, layers=layers, deepest=deepest)
    if not (runs / name).is_dir():
        raise CheckpointError(f"{runs / name}: no such run; run: spiralage train age recipes/{name}.toml")
    return age_features(load_age_network(runs / name)[1], size, layers=layers, deepest=deepest)
