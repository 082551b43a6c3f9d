"""Restorers from runs: named and versioned after them, and the exported networks paint as they do."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from spiral_runs import change_weights, train_spiral
from synthetic import drawn_crop

from spiralage.errors import CheckpointError
from spiralage.export.onnx import imagine_onnx, slices_onnx
from spiralage.mean_face import mean_landmarks
from spiralage.occlusion.window import PAPER_WINDOW, Window, edge_window, margin_mask
from spiralage.restoration import slice_generator
from spiralage.restoration.restore import Imaginer, Spiral, fill_hidden
from spiralage.restoration.slice_generator import OnnxSliceGenerator, Style, walk_spiral
from spiralage.runtime import BATCH, Engine, Session, load_session
from spiralage.store import StoredFile
from spiralage.training.adversarial import Shown
from spiralage.training.fabric import Precision, make_fabric
from spiralage.training.restorers import RunRestorer, TorchImaginer, TorchSliceGenerator
from spiralage.training.tasks.imagine import load_imaginer
from spiralage.training.tasks.slices import draw_window, load_slice_gan, make_batch
from spiralage.types import Floats, Pixels

EXACT = 1e-4
BFLOAT16 = 0.05

WINDOWS = [(32, 32), (5, 63)]  # height, width in the frame
STRIPS = [  # imaginary slice, and what is beside it
    ((16, 64), (16, 64)),
    ((48, 16), (48, 16)),
    ((16, 37), (9, 37)),
    ((51, 16), (51, 7)),
    ((3, 41), (16, 41)),  # cut at the border
    ((30, 1), (30, 2)),
    ((2, 64), (1, 64)),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with finished runs of a VGG, of an ImagineGAN, and of a SliceGAN that paints lively pictures."""
    folder = tmp_path_factory.mktemp("restorers")
    train_spiral(folder)
    return folder


@pytest.fixture(scope="module")
def models(runs: Path) -> dict[str, bytes]:
    """The two runs as ONNX files, by the names under which they would ship."""
    made, gan = load_slice_gan(runs / "tiny-slices")
    slices = {f"slices-{part}": data for part, data in slices_onnx(gan, made.network.size).items()}
    return {"imagine": imagine_onnx(load_imaginer(runs / "tiny-imagine")[1]), **slices}


def torch_generator(runs: Path) -> TorchSliceGenerator:
    made, gan = load_slice_gan(runs / "tiny-slices")
    return TorchSliceGenerator(gan, made.network.size)


def onnx_generator(models: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, engine: Engine) -> OnnxSliceGenerator:
    """The shipped generator's own code, with these models."""

    def open_session(file: StoredFile, threads: int | None, engine: Engine) -> Session:
        return load_session(models[file.name], threads, engine)

    monkeypatch.setattr(slice_generator, "open_session", open_session)
    return OnnxSliceGenerator(threads=1, engine=engine)


def pictures(seed: int, shape: tuple[int, int], count: int = 2) -> Floats:
    return np.random.default_rng(seed).random((count, 3, *shape), np.float32)


def assert_same_slices(expected: TorchSliceGenerator, found: OnnxSliceGenerator, tolerance: float) -> None:
    assert (found.frame, found.thickness) == (expected.frame, expected.thickness) == (64, 16)
    for window in WINDOWS:
        styles = [each.context(pictures(1, window)) for each in (expected, found)]
        for one, two in zip(*styles, strict=True):
            assert one.shape == two.shape
            assert np.abs(one - two).max() <= tolerance * max(1, np.abs(one).max())
        for imaginary, beside in STRIPS:
            strips = pictures(2, imaginary), pictures(3, beside)
            one, two = expected.generate(*strips, styles[0]), found.generate(*strips, styles[1])
            assert one.shape == two.shape == (2, 3, *imaginary)
            assert two.dtype == np.float32
            assert np.ptp(one) > 0.2  # else agreeing would say little
            assert np.abs(one - two).max() <= tolerance


def test_it_is_named_after_its_recipe(runs: Path) -> None:
    restorer = RunRestorer(runs / "tiny-slices", runs)
    assert restorer.name == "tiny-slices"
    assert restorer.networks == ()  # nothing that ships


@pytest.mark.parametrize(
    ("run", "tensor"), [("tiny-slices", "generator.to_picture.bias"), ("tiny-imagine", None), (None, None)]
)
def test_its_version_changes_with_its_weights(runs: Path, tmp_path: Path, run: str | None, tensor: str | None) -> None:
    for name in ("tiny-slices", "tiny-imagine"):
        shutil.copytree(runs / name, tmp_path / name)
    if run is not None:
        change_weights(tmp_path / run, tensor)
    before, after = (RunRestorer(folder / "tiny-slices", folder).version for folder in (runs, tmp_path))
    assert (before == after) == (run is None)


@pytest.mark.parametrize("missing", ["tiny-slices", "tiny-imagine"])
def test_an_unfinished_run_is_refused(runs: Path, tmp_path: Path, missing: str) -> None:
    for name in {"tiny-slices", "tiny-imagine"} - {missing}:
        shutil.copytree(runs / name, tmp_path / name)
    with pytest.raises(CheckpointError, match=missing):
        RunRestorer(tmp_path / "tiny-slices", tmp_path)


def test_slices_of_any_shape_are_painted(runs: Path) -> None:
    found = torch_generator(runs)
    style = found.context(pictures(1, (1, 1), 1))
    for imaginary, beside in STRIPS:
        strip = found.generate(pictures(2, imaginary, 1), pictures(3, beside, 1), style)
        assert strip.shape == (1, 3, *imaginary)
        assert 0 <= strip.min() < strip.max() <= 1


def test_the_strip_beside_and_the_window_matter(runs: Path) -> None:
    found, imaginary = torch_generator(runs), pictures(2, (16, 40))
    usual, other = (found.context(pictures(seed, (32, 32)) ** power) for seed, power in ((1, 1), (5, 4)))
    beside = pictures(3, (16, 40))
    strip = found.generate(imaginary, beside, usual)
    assert np.abs(strip - found.generate(imaginary, beside**4, usual)).max() > 10 * EXACT
    assert np.abs(strip - found.generate(imaginary, beside, other)).max() > 10 * EXACT


def test_the_smallest_slices_are_painted_the_same(
    runs: Path, models: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small window near a corner: its first slices are no larger than a pixel of the features."""
    both = torch_generator(runs), onnx_generator(models, monkeypatch, "onnxruntime")
    one, two = (
        each.generate(pictures(2, (2, 4)), pictures(3, (4, 4)), each.context(pictures(1, (4, 4)))) for each in both
    )
    assert one.shape == two.shape == (2, 3, 2, 4)
    assert np.abs(one - two).max() <= EXACT


def test_it_paints_the_same_in_onnx_runtime(
    runs: Path, models: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_same_slices(torch_generator(runs), onnx_generator(models, monkeypatch, "onnxruntime"), EXACT)


@pytest.mark.parametrize(("engine", "tolerance"), [("openvino", EXACT), ("openvino-bf16", BFLOAT16)])
def test_it_paints_the_same_in_openvino(
    runs: Path, models: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, engine: Engine, tolerance: float
) -> None:
    pytest.importorskip("openvino")
    assert_same_slices(torch_generator(runs), onnx_generator(models, monkeypatch, engine), tolerance)


class SameNoise(Imaginer):
    """``Imaginer`` with a model that isn't shipped."""

    def __init__(self, model: bytes, seed: int) -> None:
        self.networks = ()
        self._session = load_session(model, 1)
        self._noise_shape = tuple(self._session.input_shapes["noise"][1:])
        self._seed = seed


def some_faces(count: int) -> Pixels:
    rng = np.random.default_rng(0)
    return np.stack([drawn_crop(20 * (index % 5), rng) for index in range(count)])


@pytest.mark.parametrize("seed", [0, 7])
def test_it_imagines_the_same_in_onnx_runtime(runs: Path, models: dict[str, bytes], seed: int) -> None:
    imaginer = TorchImaginer(load_imaginer(runs / "tiny-imagine")[1], seed)
    crops, hidden = some_faces(BATCH + 1), np.broadcast_to(margin_mask(PAPER_WINDOW), (BATCH + 1, 256, 256))
    expected = fill_hidden(imaginer, crops, hidden)
    found = fill_hidden(SameNoise(models["imagine"], seed), crops, hidden)
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_it_restores_as_the_exported_networks_do(
    runs: Path, models: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = Spiral(SameNoise(models["imagine"], 0), onnx_generator(models, monkeypatch, "onnxruntime"))
    windows = PAPER_WINDOW, edge_window(np.random.default_rng(0)), Window(21, 130, 77, 91)
    hidden = np.stack([*map(margin_mask, windows), np.ones((256, 256), np.bool_)])
    crops = some_faces(len(hidden))
    expected = fill_hidden(RunRestorer(runs / "tiny-slices", runs), crops, hidden)
    found = fill_hidden(exported, crops, hidden)
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 3  # imagined pixels differ by 1 now and then
    assert difference.mean() < 0.1
    np.testing.assert_array_equal(found[~hidden], crops[~hidden])


@torch.no_grad()
@pytest.mark.parametrize("step", range(4))
@pytest.mark.parametrize(("precision", "tolerance"), [("32-true", EXACT), ("bf16-mixed", 0.4)])
def test_it_walks_in_use_as_it_was_trained_to(runs: Path, step: int, precision: Precision, tolerance: float) -> None:
    crops, (recipe, gan) = some_faces(4), load_slice_gan(runs / "tiny-slices")
    imaginer = load_imaginer(runs / recipe.imagine)[1]
    points = np.tile(mean_landmarks(), (4, 1, 1))
    shown = Shown(crops, points, np.ones((4, 256, 256), np.bool_))
    batch = make_batch(shown, recipe, step, imaginer, make_fabric("cpu", precision=precision))
    rng = np.random.default_rng((recipe.seed, step))  # as make_batch draws
    shown = shown.mirrored(rng)
    crops = shown.pictures
    hidden, window = draw_window(shown.landmarks[0], recipe, rng)
    noise = torch.from_numpy(rng.random((4, 3, imaginer.size, imaginer.size), np.float32))
    covered = torch.from_numpy(np.where(hidden[..., None], np.uint8(0), crops))
    imagined = imaginer(covered, torch.from_numpy(np.stack([hidden] * 4).astype(np.uint8)), noise).numpy()
    filled = np.where(hidden[..., None], imagined, crops)
    trained = list(gan.walk(batch.visible, batch.imagined, batch.window))
    used = list(walk_spiral(TorchSliceGenerator(gan, recipe.network.size), filled, window))
    assert len(trained) == len(used)
    for (step_trained, _, one), (step_used, two) in zip(trained, used, strict=True):
        assert step_trained == step_used
        difference = np.abs(one.numpy() - two)
        assert difference.max() <= tolerance
        assert difference.mean() <= tolerance / 20


def test_a_face_is_restored_the_same_alone_and_in_a_batch(runs: Path) -> None:
    restorer = RunRestorer(runs / "tiny-slices", runs)
    crops, hidden = some_faces(3), np.broadcast_to(margin_mask(PAPER_WINDOW), (3, 256, 256))
    together = fill_hidden(restorer, crops, hidden)
    alone = fill_hidden(restorer, crops[2:], hidden[2:])
    assert np.abs(together[2:].astype(int) - alone).max() <= 1


def test_the_style_is_a_float32_array(runs: Path) -> None:
    made: Style = torch_generator(runs).context(pictures(1, (32, 32)))
    (style,) = made
    assert isinstance(style, np.ndarray)
    assert not isinstance(style, torch.Tensor)
    assert style.dtype == np.float32
    assert style.shape == (2, 16)
