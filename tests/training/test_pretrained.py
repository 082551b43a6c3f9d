"""Published weights: the file format by hand, and the network against TensorFlow's arithmetic in NumPy."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import ValidationError
from synthetic import FLOAT32, age_network, age_recipe, use_tiny_backbones, write_crops
from torch import Tensor

from spiralage.errors import ModelFileError
from spiralage.model_files import FACERES_GRAPH, FACERES_WEIGHTS, ModelFile, model_path
from spiralage.networks.age import AgeNetwork
from spiralage.networks.backbones import AlexNet
from spiralage.networks.backbones.mobilenet import STAGES, MobileNet
from spiralage.networks.heads import SoftmaxHead
from spiralage.training import imagenet, pretrained
from spiralage.training.pretrained import (
    Floats,
    alexnet_weights,
    faceres_weights,
    learned_from,
    mobilenet_weights,
    read_tfjs,
    start_published,
)
from spiralage.training.tasks.age import load_age_network, train_age

Array = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

MEAN = np.array([103.939, 116.779, 123.68])  # blue, green, red

ENTRIES: list[dict[str, Any]] = [
    {"name": "a", "shape": [2, 3], "dtype": "float32"},
    {"name": "b", "shape": [3], "dtype": "float32", "quantization": {"dtype": "float16", "original_dtype": "float32"}},
    {"name": "c", "shape": [2], "dtype": "int32"},
    {"name": "d", "shape": [], "dtype": "float32"},
]
BYTES = (
    np.array([0, 1, 2, 3, 4, 0.1], "<f4").tobytes()
    + np.array([1.5, -2, 0.25], "<f2").tobytes()
    + np.array([7, -8], "<i4").tobytes()
    + np.array(6, "<f4").tobytes()
)


def write_model(
    folder: Path, entries: list[dict[str, Any]] | None = None, data: bytes = BYTES, text: str | None = None
) -> tuple[Path, Path]:
    """A TensorFlow.js model in two groups; ``text`` in place of its JSON."""
    entries = ENTRIES if entries is None else entries
    groups = [{"paths": ["model.bin"], "weights": part} for part in (entries[:1], entries[1:])]
    graph, weights = folder / "model.json", folder / "model.bin"
    graph.write_text(json.dumps({"format": "graph-model", "weightsManifest": groups}) if text is None else text)
    weights.write_bytes(data)
    return graph, weights


def tensors_of(seed: int = 0) -> dict[str, Floats]:
    """Random tensors under the published names, scaled so that activations neither die nor all clip at 6."""
    rng = np.random.default_rng(seed)

    def normal(scale: float, *shape: int) -> Floats:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    tensors = {"conv1/convolution/merged_input": normal((2 / 27) ** 0.5 / 64, 3, 3, 3, 32)}
    tensors["conv1_bn/batchnorm_1/sub"] = normal(0.3, 32)
    channels = 32
    for number, (width, _) in enumerate(STAGES, 1):
        norm = f"conv_dw_{number}_bn/batchnorm_1"
        tensors[f"conv_dw_{number}/depthwise_kernel"] = normal((2 / 9) ** 0.5, 3, 3, channels, 1)
        tensors[f"{norm}/mul"] = rng.uniform(0.5, 1.5, channels).astype(np.float32)
        tensors[f"{norm}/sub"] = normal(0.3, channels)
        tensors[f"conv_pw_{number}/convolution/merged_input"] = normal((2 / channels) ** 0.5, 1, 1, channels, width)
        tensors[f"conv_pw_{number}_bn/batchnorm_1/sub"] = normal(0.3, width)
        channels = width
    tensors |= {"feats/kernel": normal(0.05, 1024, 256), "feats/bias": normal(0.3, 256)}
    tensors |= {"age_pred/kernel": normal(0.1, 256, 100), "age_pred/bias": normal(0.3, 100)}
    return tensors


def same_windows(x: Array, stride: int, border: Array | float = 0) -> Array:
    """The 3×3 windows of (H, W, C), padded as TensorFlow's "SAME": (h, w, C, 3, 3)."""
    before, after = (1, 1) if stride == 1 else (0, 1)
    padded = np.ones((x.shape[0] + before + after, x.shape[1] + before + after, x.shape[2])) * border
    padded[before : before + x.shape[0], before : before + x.shape[1]] = x
    return sliding_window_view(padded, (3, 3), axis=(0, 1))[::stride, ::stride]


def relu6(x: Array) -> Array:
    return np.clip(x, 0, 6)


def published_first(tensors: dict[str, Floats], picture: Pixels, border: Array | float = 0) -> Array:
    """The published first layer on (H, W, 3) RGB: BGR in 0…255 less the mean, its own kernels; (h, w, 32)."""
    windows = same_windows(picture[..., ::-1] - MEAN, 2, border)
    kernel = tensors["conv1/convolution/merged_input"].astype(np.float64)
    return relu6(np.einsum("hwcij,ijco->hwo", windows, kernel) + tensors["conv1_bn/batchnorm_1/sub"])


def published_ages(tensors: dict[str, Floats], first: Array) -> Array:
    """The 100 logits that the published graph makes of its first layer's output."""
    x = first
    for number, (_, stride) in enumerate(STAGES, 1):
        norm = f"conv_dw_{number}_bn/batchnorm_1"
        kernel = tensors[f"conv_dw_{number}/depthwise_kernel"][..., 0].astype(np.float64)
        x = np.einsum("hwcij,ijc->hwc", same_windows(x, stride), kernel)
        x = relu6(x * tensors[f"{norm}/mul"] + tensors[f"{norm}/sub"])
        x = x @ tensors[f"conv_pw_{number}/convolution/merged_input"][0, 0].astype(np.float64)
        x = relu6(x + tensors[f"conv_pw_{number}_bn/batchnorm_1/sub"])
    features = np.maximum(x.mean(axis=(0, 1)) @ tensors["feats/kernel"] + tensors["feats/bias"], 0)
    return np.asarray(features @ tensors["age_pred/kernel"] + tensors["age_pred/bias"])


def network_of(tensors: dict[str, Floats]) -> AgeNetwork:
    network = age_network(MobileNet(), crop=64, pool=1).eval()
    network.load_state_dict(mobilenet_weights(tensors))
    return network


def logits_of(network: AgeNetwork, picture: Pixels) -> Array:
    """The 101 logits of a (64, 64, 3) picture."""
    assert isinstance(network.head, SoftmaxHead)
    with torch.no_grad():
        logits: Tensor = network.head.logits(network.features(pixels(picture)))
    return np.asarray(logits[0].numpy())


@pytest.fixture(scope="module")
def tensors() -> dict[str, Floats]:
    return tensors_of()


@pytest.fixture(scope="module")
def network(tensors: dict[str, Floats]) -> AgeNetwork:
    return network_of(tensors)


@pytest.fixture(scope="module")
def picture() -> Pixels:
    """64×64 RGB, its channels of different brightness."""
    noise = np.random.default_rng(1).integers(0, 100, (64, 64, 3))
    return np.asarray(noise + [150, 60, 0], np.uint8)


def seen(picture: Pixels) -> Tensor:
    """What the backbone sees of a picture inside an AgeNetwork."""
    return age_network(MobileNet(), crop=64, pool=1).normalise(pixels(picture))


def pixels(picture: Pixels) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255


def test_tensors_are_read_in_their_types(tmp_path: Path) -> None:
    tensors = read_tfjs(*write_model(tmp_path))
    assert list(tensors) == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(tensors["a"], np.array([[0, 1, 2], [3, 4, 0.1]], np.float32))
    assert tensors["b"].tolist() == [1.5, -2, 0.25]
    assert tensors["c"].tolist() == [7, -8]
    assert tensors["d"].shape == ()
    assert tensors["d"] == 6
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("data", [BYTES + b"\0", BYTES[:-1], BYTES[:-4], b""], ids=["more", "less", "none", "empty"])
def test_another_number_of_bytes_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ModelFileError, match=r"model\.json, model\.bin: no TensorFlow\.js model .* fetch both again"):
        read_tfjs(*write_model(tmp_path, data=data))


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "d", "shape": [], "dtype": "complex64"},
        {"name": "d", "shape": [], "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 1, "min": 0}},
        {"name": "d", "shape": []},
        {"name": "d", "dtype": "float32"},
        {"shape": [], "dtype": "float32"},
    ],
    ids=["dtype", "quantization", "no dtype", "no shape", "no name"],
)
def test_an_entry_that_the_reader_does_not_know_is_refused(tmp_path: Path, entry: dict[str, Any]) -> None:
    with pytest.raises(ModelFileError, match=r"no TensorFlow\.js model"):
        read_tfjs(*write_model(tmp_path, [*ENTRIES[:3], entry]))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"weightsManifest": 3}'])
def test_broken_json_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ModelFileError, match=r"no TensorFlow\.js model"):
        read_tfjs(*write_model(tmp_path, text=text))


def test_missing_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"no\.json"):
        read_tfjs(tmp_path / "no.json", tmp_path / "no.bin")


@pytest.mark.parametrize("name", ["conv1_bn/batchnorm_1/sub", "conv_dw_7/depthwise_kernel", "age_pred/bias"])
def test_a_missing_tensor_is_named(tensors: dict[str, Floats], name: str) -> None:
    with pytest.raises(ModelFileError, match=f"no tensor '{name}'"):
        mobilenet_weights({key: value for key, value in tensors.items() if key != name})


@torch.no_grad()
def test_the_first_layer_sees_what_the_published_one_sees(
    tensors: dict[str, Floats], network: AgeNetwork, picture: Pixels
) -> None:
    assert isinstance(network.backbone, MobileNet)
    found = network.backbone[0](seen(picture))[0].permute(1, 2, 0).numpy()
    expected = published_first(tensors, picture)
    assert np.mean((expected > 0) & (expected < 6)) > 0.2  # the comparison is of numbers, not of clipped ones
    np.testing.assert_allclose(found[:-1, :-1], expected[:-1, :-1], atol=1e-4)
    # The border is padded with 0, which is mid-gray here and the mean colour there.
    assert np.abs(found - expected)[-1].max() > 1e-3


@torch.no_grad()
def test_the_network_computes_what_the_published_one_computes(
    tensors: dict[str, Floats], network: AgeNetwork, picture: Pixels
) -> None:
    first = published_first(tensors, picture, border=127.5 - MEAN)  # mid-gray around the picture, as here
    expected = published_ages(tensors, first)
    found = logits_of(network, picture)
    assert expected.std() > 0.1
    np.testing.assert_allclose(found[1:], expected, atol=1e-3)
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_year_0_starts_as_a_copy_of_year_1(tensors: dict[str, Floats], network: AgeNetwork) -> None:
    weight, bias = (mobilenet_weights(tensors)[f"head.logits.{part}"] for part in ("weight", "bias"))
    assert weight.shape == network.state_dict()["head.logits.weight"].shape == (101, 256)
    assert torch.equal(weight[0], weight[1])
    assert bias[0] == bias[1]
    assert torch.equal(weight[1:], torch.from_numpy(tensors["age_pred/kernel"].T.copy()))
    assert torch.equal(bias[1:], torch.from_numpy(tensors["age_pred/bias"]))


def test_the_two_published_files_are_read(
    tmp_path: Path, tensors: dict[str, Floats], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [{"name": name, "shape": value.shape, "dtype": "float32"} for name, value in tensors.items()]
    graph, weights = write_model(tmp_path, entries, b"".join(value.tobytes() for value in tensors.values()))
    paths: dict[ModelFile, Path] = {FACERES_GRAPH: graph, FACERES_WEIGHTS: weights}
    monkeypatch.setattr(pretrained, "model_path", paths.__getitem__)
    expected, found = mobilenet_weights(tensors), faceres_weights()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@torch.no_grad()
def test_the_published_file_fits_the_network(picture: Pixels) -> None:
    try:
        files = [model_path(file, download=False) for file in (FACERES_GRAPH, FACERES_WEIGHTS)]
    except ModelFileError:
        pytest.skip("the published MobileNet is not on this machine")
    tensors = read_tfjs(*files)
    network = network_of(tensors)
    assert float(tensors["conv1_relu/Cast"]) == 6  # it is a ReLU6
    expected = published_ages(tensors, published_first(tensors, picture, border=127.5 - MEAN))
    np.testing.assert_allclose(logits_of(network, picture)[1:], expected, atol=1e-3)


RECIPE = age_recipe(
    pretrained="faceres-deep",
    network={"backbone": "mobilenet", "crop": 256, "pool": 8, "dropout": 0.0},
    epochs=0.25,  # a single step
    ema=0.0,
    optimiser={"learning_rate": 1e-12},
)


@pytest.fixture
def asked(tensors: dict[str, Floats], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """faceres_weights gives the random tensors, and notes each call."""
    calls: list[str] = []

    def fake() -> dict[str, Tensor]:
        calls.append("faceres")
        return mobilenet_weights(tensors)

    use_tiny_backbones(monkeypatch)
    monkeypatch.setattr(pretrained, "faceres_weights", fake)
    return calls


def test_a_run_starts_from_the_published_weights(tmp_path: Path, network: AgeNetwork, asked: list[str]) -> None:
    assert train_age(RECIPE, write_crops(tmp_path / "crops"), tmp_path / "run", **FLOAT32)
    assert asked == ["faceres"]
    recipe, trained = load_age_network(tmp_path / "run")
    assert recipe.pretrained == "faceres-deep"
    found, expected = trained.state_dict(), network.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[name], expected[name], atol=1e-6) for name in expected)


def test_a_recipe_without_pretrained_asks_for_none(tmp_path: Path, asked: list[str]) -> None:
    train_age(age_recipe(epochs=0.25), write_crops(tmp_path / "crops"), tmp_path / "run", **FLOAT32)
    assert asked == []


def test_published_weights_that_are_not_to_be_had_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ModelFileError("faceres-deep.json can't be fetched")

    monkeypatch.setattr(pretrained, "faceres_weights", missing)
    with pytest.raises(ModelFileError, match="can't be fetched"):
        train_age(RECIPE, write_crops(tmp_path / "crops"), tmp_path / "run", **FLOAT32)
    assert not (tmp_path / "run" / "weights.safetensors").exists()


def test_a_run_has_learned_from_its_start_its_published_weights_and_its_data() -> None:
    first = {"pretrained": "faceres-deep", "data": ["imdb", "utkface"]}
    assert learned_from(first) == ["VGGFace2", "IMDB-WIKI", "IMDB", "UTKFace"]
    second = {"start_data": learned_from(first), "pretrained": "", "data": ["folder"], "masked": 1.0}
    assert learned_from(second) == ["VGGFace2", "IMDB-WIKI", "IMDB", "UTKFace", "folder, masked"]
    third = {"start_data": ["UTKFace"], "pretrained": "", "data": ["utkface"]}
    assert learned_from(third) == ["UTKFace"]


def published_alexnet() -> dict[str, Tensor]:
    """Random tensors under the names of the published AlexNet."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3)]
    tensors = {"net.slice1.1.filt": torch.ones(64, 1, 3, 3)}
    for name, (out, into, side) in zip(pretrained.CONVOLUTIONS, shapes, strict=True):
        tensors[f"net.{name}.weight"] = torch.randn(out, into, side, side, generator=generator)
        tensors[f"net.{name}.bias"] = torch.randn(out, generator=generator)
    return tensors


def test_the_first_convolution_sees_what_imagenets_sees() -> None:
    tensors, weights = published_alexnet(), alexnet_weights(published_alexnet())
    picture = torch.rand(1, 3, 35, 35)
    mean, std = (torch.tensor(values)[:, None, None] for values in (imagenet.MEAN, imagenet.STD))
    theirs = ((picture - mean) / std, tensors["net.slice1.0.weight"], tensors["net.slice1.0.bias"])
    ours = (
        (picture - AgeNetwork.MEAN) / AgeNetwork.STD,
        weights["backbone.0.weight"],
        weights["backbone.0.bias"],
    )
    expected, found = (torch.nn.functional.conv2d(*those, stride=4) for those in (theirs, ours))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)


def test_all_convolutions_of_alexnet_start_from_imagenet_and_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published = published_alexnet()
    monkeypatch.setattr(pretrained, "published_tensors", lambda name: {"imagenet-alexnet": published}[name])
    network = age_network(AlexNet(), crop=64, pool=1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    pictures = torch.rand(4, 3, 64, 64)
    start_published(network, "imagenet-alexnet", pictures)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {f"backbone.{index}.{part}" for index in (0, 3, 6, 8, 10) for part in ("weight", "bias")}
    found, theirs = network.state_dict()["backbone.6.weight"], published["net.slice3.9.weight"]
    torch.testing.assert_close(found / found.std(), theirs / theirs.std())
    with torch.no_grad():
        unscaled = copy.deepcopy(network)
        unscaled.load_state_dict(network.state_dict() | alexnet_weights(published))
        maps, others = (one.backbone.activations(one.normalise(pictures)) for one in (network, unscaled))
        for ours, before_scaling in zip(maps, others, strict=True):  # the same maps but for a factor
            torch.testing.assert_close(ours / ours.std(), before_scaling / before_scaling.std(), atol=1e-3, rtol=1e-3)
            assert 0.1 < ours.std() < 1.5


def test_an_alexnet_that_lacks_a_tensor_is_told() -> None:
    tensors = published_alexnet()
    del tensors["net.slice4.11.bias"]
    with pytest.raises(ModelFileError, match=r"no tensor 'net\.slice4\.11\.bias'"):
        alexnet_weights(tensors)


def test_published_weights_fit_their_backbone_alone() -> None:
    with pytest.raises(ValidationError, match="imagenet-alexnet has weights for the backbone alexnet only"):
        age_recipe(pretrained="imagenet-alexnet")


def test_the_published_alexnet_fits() -> None:
    try:
        tensors = imagenet.published_tensors("imagenet-alexnet")
    except ModelFileError:
        pytest.skip("stlpips-pytorch's weights are not on this machine")
    assert len(alexnet_weights(tensors)) == 10
