"""``spiralage import-weights``: a shipped network → a finished run, to train on from, to compare with, to build on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from spiralage import weights
from spiralage.errors import CheckpointError, ModelFileError
from spiralage.export.onnx import age_weights, is_mirrored, occlusion_weights, torch_weights
from spiralage.files import write_text
from spiralage.training.checkpoint import save_tensors
from spiralage.training.recipes import (
    AgeRecipe,
    ImagineRecipe,
    LandmarkRecipe,
    OcclusionRecipe,
    SliceRecipe,
    load_recipe,
)
from spiralage.training.run import RECORD, WEIGHTS
from spiralage.training.tasks.age import build_age_network
from spiralage.training.tasks.imagine import make_generator
from spiralage.training.tasks.landmarks import build_landmark_network
from spiralage.training.tasks.occlusion import build_occlusion_network
from spiralage.training.tasks.slices import build_slice_gan

PARTS = ("context", "paint")
"""The files of a SliceGAN."""


def import_weights(name: str, recipes: Path, folder: Path) -> None:
    """Write a shipped network's weights as the finished run that they came from.

    Args:
        name: its section in ``weights/manifest.toml``, of kind age, imagine, landmarks or occlusion; or a SliceGAN's
            name, which has two sections, ``NAME-context`` and ``NAME-paint``.
        recipes: the folder with its recipe.
        folder: the run's folder; must hold no run.

    Raises:
        ModelFileError: no such network, one of another kind, or the recipe is another network's.
        CheckpointError: the folder holds a run already.
        RecipeError: the recipe can't be read.
    """
    parts = _sections(name)
    data = [weights.read(part) for part in parts]
    entry = weights.manifest()[parts[0]]
    if entry.kind == "slices" and len(parts) == 1:
        raise ModelFileError(f"{name} is a part of a SliceGAN; import {name.rpartition('-')[0]}")
    if any((folder / file).exists() for file in (WEIGHTS, RECORD, "recipe.json")):
        raise CheckpointError(f"{folder} holds a run already; choose another folder with --run")
    recipe, network = _rebuild(entry, recipes / f"{entry.recipe}.toml", data)
    origin = {key: getattr(entry, key) for key in ("recipe", "seed", "commit", "hardware", "minutes")}
    facts: dict[str, Any] = {"data": entry.data.split(" → "), "pretrained": "", "imported": parts}
    save_tensors(folder / WEIGHTS, network.state_dict(), {"recipe": recipe.model_dump(mode="json"), **facts})
    write_text(folder / "recipe.json", recipe.model_dump_json(indent=2) + "\n")
    write_text(folder / RECORD, json.dumps({**origin, **facts}, indent=2) + "\n")


def recipe_of(name: str) -> str:
    """The name of the recipe that a shipped network was trained by; other recipes look for its run under it.

    Raises:
        ModelFileError: no such network.
    """
    return weights.entry(_sections(name)[0]).recipe


def _sections(name: str) -> list[str]:
    """A network's sections in the manifest: a SliceGAN has two."""
    return [f"{name}-{part}" for part in PARTS] if f"{name}-{PARTS[0]}" in weights.manifest() else [name]


def _rebuild(
    entry: weights.Entry, path: Path, data: Sequence[bytes]
) -> tuple[AgeRecipe | ImagineRecipe | LandmarkRecipe | OcclusionRecipe | SliceRecipe, nn.Module]:
    """The recipe of shipped files, and its network with their weights."""
    if entry.kind == "age":
        age = load_recipe(path, AgeRecipe)
        if age.network.mirror != is_mirrored(data[0]):
            raise ModelFileError(f"{path}: not this network's recipe (mirror); give the one it was exported with")
        return age, _filled(build_age_network(age), age_weights(data[0]), path)
    if entry.kind == "imagine":
        imagine = load_recipe(path, ImagineRecipe)
        return imagine, _filled(make_generator(imagine), torch_weights(data[0], "generator."), path)
    if entry.kind == "landmarks":
        points = load_recipe(path, LandmarkRecipe)
        tensors = {key: value for key, value in torch_weights(data[0]).items() if not _is_made_up(key)}
        return points, _filled(build_landmark_network(points), tensors, path)
    if entry.kind == "slices":
        slices = load_recipe(path, SliceRecipe)
        tensors = {key: value for part in data for key, value in torch_weights(part).items() if not _is_made_up(key)}
        return slices, _filled(build_slice_gan(slices, tensors), tensors, path)
    if entry.kind == "occlusion":
        occlusion = load_recipe(path, OcclusionRecipe)
        return occlusion, _filled(build_occlusion_network(occlusion), occlusion_weights(data[0]), path)
    raise ModelFileError(
        f"a {entry.kind} can't be imported; age networks, ImagineGANs, SliceGANs, landmark and occlusion networks can"
    )


def _filled(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> nn.Module:
    """The network with these weights; only what counts batches in training may be missing."""
    try:
        missing, unexpected = network.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise ModelFileError(f"{path}: not this network's recipe ({str(error).splitlines()[0]})") from error
    if unexpected or not all(key.endswith("num_batches_tracked") for key in missing):
        raise ModelFileError(f"{path}: not this network's recipe; give the recipe that it was trained with")
    return network


def _is_made_up(key: str) -> bool:
    """Constants of the exporter stand beside the weights; a module's weights have dotted names."""
    return "." not in key
