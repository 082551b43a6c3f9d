"""Feature networks: of an age run, and ImageNet's VGG19 from a file in torchvision's format."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from synthetic import age_network
from torch import Tensor

from spiralage.errors import CheckpointError, ModelFileError, RecipeError
from spiralage.networks.age import AgeNetwork
from spiralage.networks.backbones import BackboneName, make_backbone
from spiralage.networks.backbones.vgg import VGG, convolutions
from spiralage.networks.features import age_features
from spiralage.networks.restorers.slices import statistics
from spiralage.training import features
from spiralage.training.features import imagenet_features, imagenet_file, load_features


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def small_vgg(name: BackboneName = "vgg16") -> AgeNetwork:
    return age_network(make_backbone(name, 0.5, 4), crop=256, pool=4)


def test_gradients_reach_the_picture_only() -> None:
    found = age_features(small_vgg())
    picture = torch.rand(1, 3, 32, 32, requires_grad=True)
    torch.autograd.backward(torch.stack([f.square().sum() for f in found(picture)]).sum())
    assert picture.grad is not None
    assert picture.grad.abs().sum() > 0
    assert all(p.grad is None for p in found.parameters())
    assert not found.backbone.training


@torch.no_grad()
def test_pictures_are_normalised_as_the_age_network_does() -> None:
    network, picture = small_vgg().eval(), torch.rand(2, 3, 32, 32)
    expected = network.backbone.activations(network.normalise(picture))
    for a, b in zip(age_features(network)(picture), expected, strict=True):
        torch.testing.assert_close(a, b)


@torch.no_grad()
def test_a_mobilenet_has_its_own_activations() -> None:
    """It is a Sequential that begins with one, as a VGG is."""
    network, picture = age_network(make_backbone("mobilenet", 0.5), crop=256, pool=4).eval(), torch.rand(1, 3, 32, 32)
    expected = network.get_submodule("backbone").activations(network.normalise(picture))  # type: ignore[operator]
    for a, b in zip(age_features(network)(picture), expected, strict=True):
        torch.testing.assert_close(a, b)


def test_pictures_are_brought_to_the_size() -> None:
    found = age_features(small_vgg(), 64)
    assert [f.shape[-1] for f in found(torch.rand(1, 3, 32, 32))] == [64, 32, 16, 8, 4]


@torch.no_grad()
@pytest.mark.parametrize(("name", "layers"), [("vgg16", 16), ("vgg16-bn", 23)])
def test_the_style_is_told_by_the_last_activation_at_a_quarter(name: BackboneName, layers: int) -> None:
    network = small_vgg(name)
    network.train()(torch.randint(0, 256, (8, 256, 256, 3), dtype=torch.uint8))  # norms get statistics of their own
    network.eval()
    encoder, strip = age_features(network).style_encoder(), torch.rand(2, 3, 16, 40)
    x = network.normalise(strip)
    assert isinstance(network.backbone, VGG)
    convolutions = network.backbone[0]
    assert isinstance(convolutions, torch.nn.Sequential)
    for layer in list(convolutions)[:layers]:  # conv1_1 … relu3_3
        x = layer(x)
    assert x.shape == (2, encoder.channels, 4, 10)
    torch.testing.assert_close(encoder.train()(strip), statistics(x))  # a training's strips change nothing
    torch.testing.assert_close(encoder(strip), statistics(x))


def test_styles_need_a_vgg() -> None:
    other = age_network(make_backbone("compact", 0.5), crop=256, pool=4)
    with pytest.raises(RecipeError, match="styles are told by a VGG, not by CompactNet"):
        age_features(other).style_encoder()


def write_vgg19(path: Path) -> dict[str, Tensor]:
    """A file as torchvision publishes it, of random numbers; its classifier is cut short."""
    tensors = {f"features.{name}": value for name, value in convolutions("vgg19").state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(tensors | {"classifier.6.bias": torch.zeros(3)}, path)
    return tensors


def pin(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(features, "IMAGENET_FILE", f"vgg19-{digits}.pth")


@torch.no_grad()
def test_torchvisions_file_from_the_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("SPIRALAGE_MODELS", raising=False)
    written = write_vgg19(tmp_path / "file")
    pin(monkeypatch, tmp_path / "file")
    imagenet_file().parent.mkdir(parents=True)
    (tmp_path / "file").rename(imagenet_file())
    found = load_features("vgg19", tmp_path / "runs")
    white = torch.ones(1, 3, 32, 32)
    weight, bias = written["features.0.weight"], written["features.0.bias"]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = ((1 - mean) / std)[None, :, None, None].expand(1, 3, 3, 3)
    expected = ((weight * normalised).sum(dim=(1, 2, 3)) + bias).relu()
    torch.testing.assert_close(found(white)[0][0, :, 16, 16], expected, rtol=1e-4, atol=1e-5)
    assert found.style_encoder()(white).shape == (1, 2 * 256)


def test_torchvisions_file_from_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SPIRALAGE_MODELS", str(tmp_path))
    with pytest.raises(ModelFileError, match="or set SPIRALAGE_MODELS"):
        load_features("vgg19", tmp_path / "runs")
    write_vgg19(tmp_path / "file")
    pin(monkeypatch, tmp_path / "file")
    (tmp_path / "file").rename(tmp_path / features.IMAGENET_FILE)
    assert imagenet_file().parent == tmp_path
    assert len(load_features("vgg19", tmp_path / "runs")(torch.ones(1, 3, 32, 32))) == 5


def test_a_missing_changed_or_other_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vgg19-dcbb9e9d.pth"
    with pytest.raises(ModelFileError, match=r"no such file; put torchvision's vgg19-dcbb9e9d\.pth there"):
        imagenet_features(path)
    torch.save({"features.0.weight": torch.zeros(3)}, path)
    with pytest.raises(ModelFileError, match="SHA-256 doesn't begin with dcbb9e9d"):
        imagenet_features(path)
    pin(monkeypatch, path)
    with pytest.raises(ModelFileError, match="not torchvision's VGG19"):
        imagenet_features(path)


def test_an_age_network_that_is_not_trained_yet(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"run: spiralage train age recipes/vgg-age\.toml"):
        load_features("vgg-age", tmp_path)
