"""The shipped ONNX files against the PyTorch networks with the same weights, on real faces."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spiralage import weights
from spiralage.age.estimate import DEFAULT_NETWORK, AgeEstimator
from spiralage.datasets import utkface
from spiralage.datasets.build_crops import align_largest
from spiralage.distribution import expected_age
from spiralage.export.import_weights import import_weights
from spiralage.export.onnx import age_weights, torch_weights
from spiralage.faces.find import make_finder
from spiralage.networks.restorers.imagine import CropImaginer
from spiralage.occlusion.network import NetworkFinder
from spiralage.occlusion.occluders import OCCLUDERS
from spiralage.occlusion.window import PAPER_WINDOW, paper_mask
from spiralage.restoration.restore import Imaginer
from spiralage.restoration.slice_generator import OnnxSliceGenerator, in_frame, walk_spiral
from spiralage.runtime import Session
from spiralage.training.recipes import AgeRecipe, ImagineRecipe, load_recipe
from spiralage.training.restorers import TorchSliceGenerator
from spiralage.training.tasks.age import build_age_network
from spiralage.training.tasks.imagine import make_generator
from spiralage.training.tasks.occlusion import load_occlusion_network
from spiralage.training.tasks.slices import load_slice_gan
from spiralage.types import AlignedFace, Pixels

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(scope="module")
def real_crops(data_folder: Path) -> Pixels:
    """Every 700th face of UTKFace, aligned."""
    pictures = itertools.islice(utkface.read(data_folder / utkface.ARCHIVE), 0, None, 700)
    finder = make_finder("dlib")
    return np.stack([align_largest(data, row.image, finder)[0].pixels for row, data in pictures])


def load(network: nn.Module, values: dict[str, Tensor]) -> nn.Module:
    """Fill a network; only what counts batches in training may be missing."""
    missing, _ = network.load_state_dict(values, strict=False)
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return network.eval()


AGE_NETWORKS = [name for name, entry in weights.manifest().items() if entry.kind == "age"]


def assert_same_ages(name: str, crops: Pixels) -> None:
    recipe = load_recipe(RECIPES / f"{weights.manifest()[name].recipe}.toml", AgeRecipe)
    network = load(build_age_network(recipe), age_weights(weights.read(name)))
    with torch.no_grad():
        expected = network(torch.from_numpy(crops)).numpy()
    found = AgeEstimator(name).probabilities(crops)
    assert np.abs(expected_age(found) - expected_age(expected)).max() <= 1e-3


@pytest.mark.parametrize("name", AGE_NETWORKS)
def test_age_networks_on_real_faces(name: str, real_crops: Pixels) -> None:
    assert len(real_crops) > 30
    assert_same_ages(name, real_crops)


@pytest.mark.parametrize("name", AGE_NETWORKS)
def test_age_networks_on_the_portrait(name: str, portrait_crop: AlignedFace) -> None:
    assert_same_ages(name, np.stack([portrait_crop.pixels, paper_mask().cover(portrait_crop.pixels)]))


def test_the_network_that_is_asked_by_default_ships() -> None:
    assert DEFAULT_NETWORK in AGE_NETWORKS


def test_slices_on_the_portrait(portrait_crop: AlignedFace, tmp_path: Path) -> None:
    if "style" not in Session(weights.read("slices-paint"), 1).inputs:
        pytest.skip("the shipped SliceGAN is of the former network, which ONNX alone still runs")
    import_weights("slices", RECIPES, tmp_path / "slices")
    recipe, gan = load_slice_gan(tmp_path / "slices")
    expected, found = TorchSliceGenerator(gan, recipe.network.size), OnnxSliceGenerator()
    assert (found.frame, found.thickness) == (expected.frame, expected.thickness)
    imagined = np.where(paper_mask().mask[..., None], portrait_crop.pixels // 2, portrait_crop.pixels)[None]
    walks = (walk_spiral(generator, imagined, PAPER_WINDOW) for generator in (expected, found))
    for (_, one), (_, two) in zip(*walks, strict=True):
        assert np.abs(one - two).max() <= 1 / 255
    assert np.abs(one - in_frame(imagined, found.frame)).max() > 10 / 255  # it paints


def test_imagine_on_the_portrait(portrait_crop: AlignedFace) -> None:
    recipe = load_recipe(RECIPES / f"{weights.manifest()['imagine'].recipe}.toml", ImagineRecipe)
    generator = make_generator(recipe)
    load(generator, torch_weights(weights.read("imagine"), "generator."))
    imaginer = CropImaginer(generator, recipe.network.size).eval()
    hidden = paper_mask().mask[None]
    crops = paper_mask().cover(portrait_crop.pixels)[None]
    size = recipe.network.size
    noise = np.random.default_rng(0).random((3, size, size), np.float32)[None]
    with torch.no_grad():
        arguments = torch.from_numpy(crops), torch.from_numpy(hidden.astype(np.uint8)), torch.from_numpy(noise)
        expected = imaginer(*arguments).numpy()
    found = Imaginer(seed=0).fill(crops, hidden)
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_what_finds_occlusions_on_the_portrait(portrait_crop: AlignedFace, tmp_path: Path) -> None:
    import_weights("occlusion", RECIPES, tmp_path / "occlusion")
    network = load_occlusion_network(tmp_path / "occlusion")[1]
    points = portrait_crop.landmarks
    assert points is not None
    masked = OCCLUDERS["surgical-mask"](points.points, np.random.default_rng(0))
    crops = np.stack([portrait_crop.pixels, masked.over(portrait_crop.pixels)])
    with torch.no_grad():
        expected = network(torch.from_numpy(crops)).numpy()
    finder = NetworkFinder()
    found = np.stack([finder.probability(replace(portrait_crop, pixels=pixels)) for pixels in crops])
    assert np.abs(found - expected).max() < 1e-3
    plain, under = found >= finder.threshold
    assert plain.mean() < 0.01
    assert (under & masked.mask).sum() / (under | masked.mask).sum() > 0.8
