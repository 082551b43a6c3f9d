"""What looks at a restorer while it trains: fixed validation faces, every half hour, see ``protocols.validation``."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

from torch import nn

from spiralage.datasets.crops import Crops, is_complete
from spiralage.errors import CheckpointError, DatasetError
from spiralage.evaluation.perception import Perception
from spiralage.evaluation.protocols.restoration import FEATURES_SIZE
from spiralage.evaluation.protocols.validation import VALIDATED_ON, Validator, validation_faces
from spiralage.networks.restorers.imagine import CropImaginer
from spiralage.networks.restorers.slices import SliceGAN
from spiralage.restoration.restore import Restorer, Spiral
from spiralage.training.adversarial import Watch
from spiralage.training.fabric import Device, accelerator_of
from spiralage.training.features import load_features
from spiralage.training.imagenet import imagenet_lpips
from spiralage.training.recipes import ImagineRecipe, SliceRecipe
from spiralage.training.restorers import TorchImaginer, TorchSliceGenerator
from spiralage.training.tasks.imagine import load_imaginer

FEATURES = "imagenet-alexnet"
"""Whose activations the feature-FID takes: a network that no restorer is trained with."""


def watch(recipe: ImagineRecipe | SliceRecipe, cache: Path, folder: Path, device: Device = "cpu") -> Watch:
    """Measures the moving average of what trains, on the processor, and keeps the rows in the run's folder.

    Args:
        recipe: what is trained.
        cache: the folder with the aligned crops of ``VALIDATED_ON``; a set that isn't there gives no faces.
        folder: the run's.
        device: where the training computes; for the rows.

    Raises:
        DatasetError: none of the sets is there.
        ModelFileError: ImageNet's weights aren't there.
        CheckpointError: the ImagineGAN of a SliceGAN isn't trained.
        OptionError: there is no such device.
    """
    sets = [Crops(cache / name) for name in VALIDATED_ON if is_complete(cache / name)]
    if not sets:
        raise DatasetError(f"{cache}: no crops of {' or '.join(VALIDATED_ON)} to validate on; build them")
    features = load_features(FEATURES, folder.parent, FEATURES_SIZE)
    perception = Perception(imagenet_lpips(FEATURES), features)
    faces, where = validation_faces(sets), accelerator_of(device)
    validate = Validator(faces, features, FEATURES, recipe.name, folder, where, perception)
    restorer_of = _restorers(recipe, folder.parent)

    def look(average: nn.Module, step: int, minutes: float) -> None:
        # A copy, where the faces are: what trains keeps its device and its mode.
        validate(restorer_of(deepcopy(average).to("cpu")), step, minutes)

    return look


def _restorers(recipe: ImagineRecipe | SliceRecipe, runs: Path) -> Callable[[nn.Module], Restorer]:
    """Makes a restorer of what trains."""
    if isinstance(recipe, ImagineRecipe):
        size = recipe.network.size
        return lambda generator: TorchImaginer(CropImaginer(generator, size))  # type: ignore[arg-type]
    if not (runs / recipe.imagine).is_dir():
        raise CheckpointError(f"{runs / recipe.imagine}: no such run; run: spiralage train imagine")
    imaginer, frame = TorchImaginer(load_imaginer(runs / recipe.imagine)[1]), recipe.network.size

    def spiral(gan: nn.Module) -> Restorer:
        assert isinstance(gan, SliceGAN)
        return Spiral(imaginer, TorchSliceGenerator(gan, frame))

    return spiral
