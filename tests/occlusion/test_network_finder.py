"""Finding what hides a face by a network: threshold, specks, what lies beyond the photo, and what is wrong."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from onnx_models import occlusion_model

from spiralage import store
from spiralage.errors import ModelFileError, NetworkError, OptionError
from spiralage.faces.align import align
from spiralage.occlusion.find import FINDERS, occlusion_finder
from spiralage.occlusion.network import SPECK, NetworkFinder, without_specks
from spiralage.pipeline import AgePipeline
from spiralage.runtime import Session, open_session
from spiralage.types import AlignedFace, Box, Face, Photo, Pixels


def face_of(pixels: Pixels, box: Box | None = None) -> AlignedFace:
    return align(Photo(pixels), Face(box or Box(0, 0, 256, 256)))


def reds(*rows: tuple[int, int, int]) -> Pixels:
    """A gray crop whose red is so much in these rows, (first, beyond, red)."""
    pixels = np.zeros((256, 256, 3), np.uint8)
    for first, beyond, red in rows:
        pixels[first:beyond, :, 0] = red
    return pixels


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """Says of each pixel how red it is; hidden from 0.6 on."""
    path = tmp_path / "reds.onnx"
    path.write_bytes(occlusion_model(threshold="0.6"))
    return path


def test_what_is_probable_enough_is_hidden(network: Path) -> None:
    found = NetworkFinder(network)(face_of(reds((0, 100, 140), (100, 200, 160))))
    assert found.kind == "found"
    assert found.mask[100:200].all()
    assert not found.mask[:100].any()
    assert found.probability is not None
    assert found.probability.dtype == np.float32
    assert found.probability[50, 50] == pytest.approx(140 / 255, abs=1e-3)
    assert NetworkFinder(network, threshold=0.5)(face_of(reds((0, 100, 140)))).mask[:100].all()


def test_what_lies_beyond_the_photo_is_hidden_too(network: Path) -> None:
    clean = NetworkFinder(network)(face_of(reds()))
    assert (clean.kind, clean.fraction) == ("none", 0)
    cut = face_of(reds(), Box(-128, 0, 256, 256))
    frame = NetworkFinder(network)(cut)
    assert frame.kind == "frame"
    np.testing.assert_array_equal(frame.mask, ~cut.inside)
    assert frame.probability is not None
    assert (frame.probability[~cut.inside] == 1).all()
    both = NetworkFinder(network)(face_of(reds((0, 50, 255)), Box(-128, 0, 256, 256)))
    assert both.kind == "found"
    assert both.mask[:50].all()
    assert both.mask[:, :127].all()


def test_specks_go() -> None:
    mask = np.zeros((256, 256), np.bool_)
    mask[3, :SPECK] = True  # just enough
    mask[100, : SPECK - 1] = True
    mask[200:210, 200:210] = mask[210:215, 210:220] = True  # two pieces that touch by a corner
    kept = without_specks(mask)
    assert kept[3, :SPECK].all()
    assert not kept[100].any()
    np.testing.assert_array_equal(kept[200:], mask[200:])
    everything = np.ones((256, 256), np.bool_)
    assert without_specks(everything).all()
    assert not without_specks(~everything).any()


def test_by_name_from_the_users_folder(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "user_folder", lambda: network.parent)
    network.rename(network.parent / "occlusion.onnx")
    assert occlusion_finder("network")(face_of(reds((0, 99, 255)))).kind == "found"
    assert occlusion_finder(str(network.parent / "occlusion.onnx"))(face_of(reds())).kind == "none"


def test_the_network_gets_the_threads_that_were_asked_for(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int | None] = []

    def opened(file: store.StoredFile, threads: int | None = None) -> Session:
        asked.append(threads)
        return open_session(file, threads)

    monkeypatch.setattr("spiralage.occlusion.network.open_session", opened)
    monkeypatch.setattr(store, "user_folder", lambda: network.parent)
    AgePipeline(detector="none", restorer="none", occlusion=str(network), threads=2)
    assert set(asked) == {2}
    network.rename(network.parent / "occlusion.onnx")
    occlusion_finder("network", threads=3)
    assert asked[-1] == 3


def test_without_a_network_it_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "user_folder", lambda: tmp_path)
    with pytest.raises(ModelFileError, match=r"no network.*spiralage train occlusion"):
        NetworkFinder("not-there").open()
    with pytest.raises(OptionError, match="occlusion hat: no such occlusion; choose auto, network, frame, none, "):
        occlusion_finder("hat")


def test_it_can_be_sent_to_another_process(network: Path) -> None:
    finder = pickle.loads(pickle.dumps(NetworkFinder(network)))
    assert finder(face_of(reds((0, 99, 255)))).kind == "found"
    assert pickle.loads(pickle.dumps(FINDERS["network"]))


@pytest.mark.parametrize("threshold", ["", "much", "0", "1", "nan"])
def test_a_file_that_has_no_threshold_is_refused(tmp_path: Path, threshold: str) -> None:
    path = tmp_path / "odd.onnx"
    path.write_bytes(occlusion_model(threshold=threshold))
    with pytest.raises(ModelFileError, match=r"odd\.onnx: its threshold is"):
        NetworkFinder(path)(face_of(reds()))


def test_answers_that_are_no_probabilities_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.onnx"
    path.write_bytes(occlusion_model(threshold="0.5", gain=2.0))
    with pytest.raises(NetworkError, match="gave no probabilities"):
        NetworkFinder(path)(face_of(reds((0, 9, 255))))


def test_a_probability_that_is_a_rounding_off_is_brought_back(tmp_path: Path) -> None:
    path = tmp_path / "rounded.onnx"
    path.write_bytes(occlusion_model(threshold="0.5", gain=1.000001))
    assert NetworkFinder(path).probability(face_of(reds((0, 9, 255)))).max() == 1


def test_a_network_of_another_kind_is_refused() -> None:
    with pytest.raises(ModelFileError, match="best is a network of kind age, not occlusion"):
        NetworkFinder("best").open()
