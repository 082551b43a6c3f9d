"""``spiralage unpack``: a shipped network → a finished run, to train on from, to compare with, to build on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from spiralage import weights
from spiralage.errors import CheckpointError, ModelFileError
from spiralage.files import write_text
from spiralage.restoration.imagine import ImagineGenerator
from spiralage.training.age import build_age_network
from spiralage.training.checkpoint import save_tensors
from spiralage.training.config import AgeRecipe, ImagineRecipe, load_recipe
from spiralage.training.export import torch_weights
from spiralage.training.loop import RECORD, WEIGHTS


def unpack(name: str, recipes: Path, folder: Path) -> None:
    """Write a shipped network's weights as the finished run that they came from.

    Args:
        name: its section in ``weights/manifest.toml``; of kind age or imagine.
        recipes: the folder with its recipe.
        folder: the run's folder; must hold no run.

    Raises:
        ModelFileError: no such network, one of another kind, or the recipe is another network's.
        CheckpointError: the folder holds a run already.
        RecipeError: the recipe can't be read.
    """
    data, entry = weights.read(name), weights.manifest()[name]
    if any((folder / file).exists() for file in (WEIGHTS, RECORD, "recipe.json")):
        raise CheckpointError(f"{folder} holds a run already; choose another folder with --run")
    path = recipes / f"{entry.recipe}.toml"
    if entry.kind == "age":
        recipe: AgeRecipe | ImagineRecipe = load_recipe(path, AgeRecipe)
        network = _filled(build_age_network(recipe), data, "network.", path)
    elif entry.kind == "imagine":
        recipe = load_recipe(path, ImagineRecipe)
        network = _filled(ImagineGenerator(recipe.network.width, recipe.network.blocks), data, "generator.", path)
    else:
        raise ModelFileError(f"{name} is a {entry.kind}; age networks and ImagineGANs can be unpacked")
    facts: dict[str, Any] = {"data": entry.data.split(" → "), "pretrained": "", "unpacked": entry.sha256}
    save_tensors(folder / WEIGHTS, network.state_dict(), {"recipe": recipe.model_dump(mode="json"), **facts})
    write_text(folder / "recipe.json", recipe.model_dump_json(indent=2) + "\n")
    origin = entry.model_dump(include={"recipe", "seed", "commit", "hardware", "minutes"})
    write_text(folder / RECORD, json.dumps({**origin, **facts}, indent=2) + "\n")


def _filled(network: nn.Module, data: bytes, prefix: str, path: Path) -> nn.Module:
    """The network with the file's weights; only what counts batches in training may be missing."""
    try:
        missing, unexpected = network.load_state_dict(torch_weights(data, prefix), strict=False)
    except RuntimeError as error:
        raise ModelFileError(f"{path}: not this network's recipe ({str(error).splitlines()[0]})") from error
    if unexpected or not all(key.endswith("num_batches_tracked") for key in missing):
        raise ModelFileError(f"{path}: not this network's recipe; give the recipe that it was trained with")
    return network
