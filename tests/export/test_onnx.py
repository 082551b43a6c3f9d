"""Export: ONNX Runtime answers as PyTorch does, and the manifest pins what was written."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import (
    FLOAT32,
    age_network,
    age_recipe,
    drawn_crop,
    imagine_recipe,
    slice_recipe,
    use_tiny_backbones,
    write_crops,
)
from torch import Tensor, nn

from spiralage import weights
from spiralage.age.estimate import AgeEstimator
from spiralage.distribution import expected_age
from spiralage.errors import CheckpointError, ModelFileError
from spiralage.export.import_weights import import_weights
from spiralage.export.manifest import put
from spiralage.export.onnx import (
    age_onnx,
    age_weights,
    check_same,
    export_run,
    imagine_onnx,
    is_mirrored,
    torch_weights,
)
from spiralage.faces.find import FoundFace
from spiralage.networks.age import AgeNetwork
from spiralage.networks.backbones import AlexNet, CompactNet
from spiralage.networks.restorers.imagine import CropImaginer, ImagineGenerator
from spiralage.occlusion.window import edge_window, margin_mask, paper_mask
from spiralage.pipeline import AgePipeline
from spiralage.runtime import Session
from spiralage.store import Kind
from spiralage.training.checkpoint import load_tensors, save_tensors
from spiralage.training.pretrained import learned_from
from spiralage.training.recipes import SliceRecipe
from spiralage.training.run import WEIGHTS, read_record
from spiralage.training.tasks.age import load_age_network, train_age
from spiralage.training.tasks.imagine import load_imaginer, train_imagine
from spiralage.training.tasks.slices import load_slice_gan, train_slices
from spiralage.types import AlignedFace, Box, Face, Occlusion, Pixels

BATCHES = (1, 3)


def crops(count: int) -> Pixels:
    """Noise and drawn pictures, in turn."""
    rng = np.random.default_rng(count)
    noise = rng.integers(0, 256, (count, 256, 256, 3), dtype=np.uint8)
    drawn = np.stack([drawn_crop(30 * index, rng) for index in range(count)])
    return np.where((np.arange(count) % 2)[:, None, None, None], noise, drawn)


def assert_same_ages(model: bytes, network: AgeNetwork) -> None:
    session = Session(model, threads=1)
    for pictures in [crops(count) for count in BATCHES] + [np.zeros((1, 256, 256, 3), np.uint8)]:
        with torch.no_grad():
            expected = network.eval()(torch.from_numpy(pictures)).numpy()
        found = session.run(crops=pictures)
        assert found.dtype == np.float32
        assert found.shape == (len(pictures), 101)
        assert np.abs(found - expected).max() <= 1e-4
        assert np.abs(expected_age(found) - expected_age(expected)).max() <= 1e-3


def lively(network: AgeNetwork) -> AgeNetwork:
    """An untrained network whose answers differ between pictures, as a trained one's do."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.shape[0] == 101 and parameter.ndim == 2:
                parameter.normal_(std=0.05)
            elif name.endswith("body.5.weight"):
                parameter.normal_(std=0.02)  # the last convolution of a residual block starts at 0
        for buffer_name, buffer in network.named_buffers():
            if buffer_name.endswith("running_mean"):
                buffer.normal_(std=0.2)
            elif buffer_name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
    return network.eval()


@pytest.mark.parametrize(("crop", "pool"), [(256, 2), (224, 1)])
def test_compact_answers_the_same_in_onnx(crop: int, pool: int) -> None:
    torch.manual_seed(0)
    network = lively(age_network(CompactNet(), crop=crop, pool=pool))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as after training
    means = expected_age(network(torch.from_numpy(crops(3))).detach().numpy())
    assert np.ptp(means) > 0.1  # else agreeing would say little
    assert_same_ages(age_onnx(network), network)


@torch.no_grad()
def test_mirror_images_are_looked_at_inside_the_file() -> None:
    torch.manual_seed(0)
    plain = lively(age_network(CompactNet((8, 12, 16), (1, 1, 1)), crop=224, pool=7))
    mirrored = AgeNetwork(plain.views, plain.backbone, plain.head, mirror=True).eval()
    one, other = plain(torch.from_numpy(crops(3))), plain(torch.from_numpy(crops(3)[:, :, ::-1].copy()))
    assert (one - other).abs().max() > 1e-4
    data = age_onnx(mirrored)
    found = Session(data, threads=1).run(crops=crops(3))
    np.testing.assert_allclose(found, (one + other).numpy() / 2, atol=1e-5)
    assert is_mirrored(data)
    assert not is_mirrored(age_onnx(plain))
    assert age_weights(data).keys() == age_weights(age_onnx(plain)).keys()


@torch.no_grad()
def test_one_that_is_told_what_is_hidden_is_so_in_onnx(tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = lively(age_network(CompactNet((8, 12, 16), (1, 1, 1)), crop=224, pool=7))
    told = AgeNetwork(plain.views, plain.backbone, plain.head, mirror=True, told_mask=True).eval()
    torch.nn.init.normal_(next(told.parameters())[:, 3], std=5)
    path = tmp_path / "told.onnx"
    path.write_bytes(age_onnx(told))
    masks = np.zeros((3, 256, 256), np.bool_)
    masks[:, 128:] = True
    estimator = AgeEstimator(path, threads=1)
    assert estimator.told_mask
    found, nothing = estimator.probabilities(crops(3), masks), estimator.probabilities(crops(3))
    np.testing.assert_allclose(found, told(torch.from_numpy(crops(3)), torch.from_numpy(masks)).numpy(), atol=1e-4)
    np.testing.assert_allclose(nothing, told(torch.from_numpy(crops(3))).numpy(), atol=1e-4)
    assert np.abs(found - nothing).max() > 1e-3
    with pytest.raises(ValueError, match="masks must have shape"):
        estimator.estimate(crops(3), masks[:2])
    hidden = [Occlusion(mask) for mask in masks]
    faces = [FoundFace(Face(Box(0, 0, 256, 256)), AlignedFace(crop, np.eye(2, 3), ~masks[0])) for crop in crops(3)]
    pipeline = AgePipeline(network=path, restorer="none", detector="none", min_quality="any", threads=1)
    black = np.where(masks[..., None], np.uint8(0), crops(3))
    for report, expected in zip(pipeline.read(faces, hidden), estimator.estimate(black, masks), strict=True):
        np.testing.assert_allclose(report.age.probabilities, expected.probabilities, atol=1e-5)


def test_alexnet_answers_the_same_in_onnx() -> None:
    torch.manual_seed(0)
    network = age_network(AlexNet(), crop=224, pool=2)
    assert_same_ages(age_onnx(network), network)


@torch.no_grad()
@pytest.mark.parametrize("size", [None, 64])
def test_imagine_answers_the_same_in_onnx(size: int | None) -> None:
    torch.manual_seed(0)
    generator = ImagineGenerator(16, 2, size=size)
    if size is not None:  # of differences: lively ones
        generator.mean_face.uniform_()
        nn.init.normal_(generator.decoder.get_parameter("2.weight"), std=0.05)
    imaginer = CropImaginer(generator, 64).eval()
    session = Session(imagine_onnx(imaginer), threads=1)
    assert session.input_shapes["noise"][1:] == [3, 64, 64]
    rng = np.random.default_rng(0)
    for count in BATCHES:
        masks = [paper_mask().mask, margin_mask(edge_window(rng)), np.zeros((256, 256), np.bool_)][:count]
        pictures, hidden = crops(count), np.stack(masks).astype(np.uint8)
        noise = rng.random((count, 3, 64, 64), np.float32)
        expected = imaginer(*(torch.from_numpy(value) for value in (pictures, hidden, noise))).numpy()
        found = session.run(crops=pictures, hidden=hidden, noise=noise)
        assert found.dtype == np.uint8
        assert np.ptp(found) > 50
        assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished tiny runs of an age network, of an ImagineGAN and of a SliceGAN."""
    folder = tmp_path_factory.mktemp("runs")
    finished = write_crops(folder / "crops")
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_backbones(monkeypatch)
        train_age(age_recipe(epochs=0.5), finished, folder / "tiny", **FLOAT32)
        train_imagine(imagine_recipe(epochs=0.5), finished, folder / "tiny-imagine", folder, **FLOAT32)
        vgg = {"backbone": "vgg16", "crop": 256, "pool": 8, "width": 4}
        train_age(
            age_recipe(name="tiny-vgg", epochs=0.25, network=vgg),
            finished,
            folder / "tiny-vgg",
            **FLOAT32,
        )
        network = slice_recipe().network.model_dump() | {"residual": True}
        slices = slice_recipe(epochs=0.25, network=network)
        train_slices(slices, finished, folder / "tiny-slices", folder, **FLOAT32)
    return folder


@pytest.fixture(scope="module")
def exported(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """A weights folder with that SliceGAN, and its files."""
    folder = tmp_path_factory.mktemp("weights")
    return folder, export_run(runs / "tiny-slices", folder, "tiny", "slices")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_backbones(monkeypatch)


def mean_face_run(folder: Path, seed: int = 0) -> Path:
    """A finished run that is quick to export."""
    face = {"pixels": torch.full((256, 256, 3), seed, dtype=torch.uint8), "landmarks": torch.zeros(68, 2)}
    save_tensors(folder / "mean-face.safetensors", face, {})
    facts = {"recipe": "mean-face", "seed": seed, "commit": "0" * 12, "hardware": 'a "small" one', "minutes": 0.5}
    facts |= {"data": ["utkface"], "pretrained": ""}
    (folder / "run.json").write_text(json.dumps(facts))
    return folder


def test_an_age_run_is_exported(runs: Path, tmp_path: Path) -> None:
    (path,) = export_run(runs / "tiny", tmp_path, "tiny", "age")
    assert path == tmp_path / "tiny.onnx"
    entry = weights.manifest(tmp_path)["tiny"]
    assert entry.file == "tiny.onnx"
    assert entry.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    facts = json.loads((runs / "tiny" / "run.json").read_text())
    assert (entry.kind, entry.recipe, entry.seed) == ("age", "tiny", 3)
    assert (entry.commit, entry.hardware, entry.minutes) == (facts["commit"], facts["hardware"], facts["minutes"])
    assert "non-commercial" in entry.licence
    model = weights.read("tiny", tmp_path)
    assert_same_ages(model, load_age_network(runs / "tiny")[1])
    assert {p.name for p in tmp_path.iterdir()} == {"tiny.onnx", "manifest.toml"}  # no weights beside the model


def test_the_int8_variant_of_another_network_goes(tmp_path: Path) -> None:
    facts = {"recipe": "old", "seed": 1, "commit": "0" * 12, "hardware": "", "minutes": 0.5}
    for name in ("mean-int8", "kept-int8"):
        put(tmp_path, {f"{name}.onnx": b"rounded"}, "variant", facts | {"data": "", "licence": ""})
    export_run(mean_face_run(tmp_path), tmp_path, "mean", "mean-face")
    assert list(weights.manifest(tmp_path)) == ["kept-int8", "mean"]
    assert not (tmp_path / "mean-int8.onnx").exists()
    assert (tmp_path / "kept-int8.onnx").exists()


def test_an_imagine_run_is_exported(runs: Path, tmp_path: Path) -> None:
    (path,) = export_run(runs / "tiny-imagine", tmp_path / "new" / "weights", "tiny-imagine", "imagine")
    entry = weights.manifest(path.parent)["tiny-imagine"]
    assert (entry.kind, entry.recipe) == ("imagine", "tiny-imagine")
    noise = np.random.default_rng(0).random((1, 3, 32, 32), np.float32)  # even maps' norms would be rounding alone
    inputs = crops(1), np.ones((1, 256, 256), np.uint8), noise
    found = Session(weights.read("tiny-imagine", path.parent), threads=1).run(
        crops=inputs[0], hidden=inputs[1], noise=inputs[2]
    )
    with torch.no_grad():
        expected = load_imaginer(runs / "tiny-imagine")[1](*(torch.from_numpy(value) for value in inputs)).numpy()
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_a_slice_run_is_exported_as_two_files(exported: tuple[Path, list[Path]]) -> None:
    folder, paths = exported
    assert paths == [folder / "tiny-context.onnx", folder / "tiny-paint.onnx"]
    assert {p.name for p in folder.iterdir()} == {"tiny-context.onnx", "tiny-paint.onnx", "manifest.toml"}
    entries = weights.manifest(folder)
    assert [(name, entry.file) for name, entry in entries.items()] == [(path.stem, path.name) for path in paths]
    for path, entry in zip(paths, entries.values(), strict=True):
        assert entry.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (entry.kind, entry.recipe, entry.seed, entry.data) == ("slices", "tiny-slices", 3, "UTKFace")
    context, paint = (Session(weights.read(path.stem, folder), threads=1) for path in paths)
    for session in (context, paint):
        assert session.metadata.items() >= {"frame": "64", "thickness": "16"}.items()
    assert list(context.input_shapes) == ["visible"]
    assert list(paint.input_shapes) == ["imaginary", "beside", "style"]


def test_an_exported_slice_run_keeps_the_names_of_its_weights(runs: Path, exported: tuple[Path, list[Path]]) -> None:
    context, paint = (path.read_bytes() for path in exported[1])
    gan = load_slice_gan(runs / "tiny-slices")[1]
    assert_same_weights(torch_weights(context, "context."), gan.context.state_dict())
    assert_same_weights(torch_weights(paint, "generator."), gan.generator.state_dict())


def assert_same_weights(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_an_exported_slice_run_is_imported_as_the_run(
    runs: Path, exported: tuple[Path, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "folder", lambda: exported[0])
    expected, gan = load_slice_gan(runs / "tiny-slices")
    (tmp_path / "tiny-slices.toml").write_text(as_toml(expected))
    import_weights("tiny", tmp_path, tmp_path / "run")
    recipe, found = load_slice_gan(tmp_path / "run")
    assert recipe == expected
    assert_same_weights(found.state_dict(), gan.state_dict())
    record = read_record(tmp_path / "run")
    assert record["imported"] == ["tiny-context", "tiny-paint"]
    assert learned_from(record) == ["UTKFace"]

    network = expected.network.model_copy(update={"blocks": 2})
    (tmp_path / "tiny-slices.toml").write_text(as_toml(expected.model_copy(update={"network": network})))
    with pytest.raises(ModelFileError, match=r"tiny-slices\.toml: not this network's recipe"):
        import_weights("tiny", tmp_path, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def as_toml(recipe: SliceRecipe) -> str:
    values = recipe.model_dump(mode="json", exclude_none=True)
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if not isinstance(value, dict)]
    for table, entries in values.items():
        if isinstance(entries, dict):
            lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in entries.items())]
    return "\n".join(lines) + "\n"


def test_entries_are_replaced_and_sorted(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    for name, seed in (("b-face", 1), ("c-face", 2), ("a-face", 3), ("b-face", 4)):
        run = mean_face_run(tmp_path / f"run{seed}", seed)
        assert export_run(run, folder, name, "mean-face") == [folder / f"{name}.safetensors"]
    entries = weights.manifest(folder)
    assert list(entries) == ["a-face", "b-face", "c-face"]
    assert {name: entry.seed for name, entry in entries.items()} == {"a-face": 3, "b-face": 4, "c-face": 2}
    assert entries["a-face"].hardware == 'a "small" one'
    for name in entries:
        assert weights.read(name, folder)  # every SHA-256 fits its file
    text = (folder / "manifest.toml").read_text()
    export_run(tmp_path / "run4", folder, "b-face", "mean-face")
    assert (folder / "manifest.toml").read_text() == text


@pytest.mark.parametrize("kind", ["age", "imagine", "slices", "mean-face"])
def test_an_unfinished_run_is_refused(tmp_path: Path, kind: Kind) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.json").write_text("{}")
    with pytest.raises(CheckpointError, match="no finished run"):
        export_run(run, tmp_path / "weights", "tiny", kind)
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize(
    ("run", "kind"),
    [
        ("tiny", "imagine"),
        ("tiny", "mean-face"),
        ("tiny", "slices"),
        ("tiny-imagine", "age"),
        ("tiny-slices", "imagine"),
        ("face", "age"),
    ],
)
def test_a_run_of_another_kind_is_refused(runs: Path, tmp_path: Path, run: str, kind: Kind) -> None:
    if run == "face":
        mean_face_run(runs / run)
    with pytest.raises(CheckpointError):
        export_run(runs / run, tmp_path / "weights", "tiny", kind)


def poisoned(runs: Path, folder: Path, name: str, value: float) -> Path:
    """A copy of a finished run with one weight that is no number."""
    shutil.copytree(runs / name, folder / name)
    tensors, meta = load_tensors(folder / name / WEIGHTS)
    first = next(key for key, tensor in tensors.items() if tensor.is_floating_point() and tensor.ndim > 1)
    tensors[first].view(-1)[0] = value
    save_tensors(folder / name / WEIGHTS, tensors, meta)
    return folder / name


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("name", "kind"), [("tiny", "age"), ("tiny-imagine", "imagine"), ("tiny-slices", "slices")])
def test_weights_that_are_no_numbers_are_not_exported(
    runs: Path, tmp_path: Path, name: str, kind: Kind, value: float
) -> None:
    with pytest.raises(CheckpointError, match="values that are no numbers; train it again"):
        export_run(poisoned(runs, tmp_path, name, value), tmp_path / "weights", name, kind)
    assert not (tmp_path / "weights").exists()


def test_answers_that_are_no_numbers_are_not_exported() -> None:
    network = lively(age_network(CompactNet((8, 12, 16), (1, 1, 1)), crop=256, pool=8))
    with torch.no_grad():
        for name in ("weight", "bias"):  # each is finite, but not their sum, however small the features are
            network.state_dict()[f"head.logits.{name}"].fill_(3.4e38)
    with pytest.raises(CheckpointError, match="answers with NaN or infinity"):
        age_onnx(network)


def test_a_file_that_answers_otherwise_is_refused() -> None:
    network, other = (lively(age_network(CompactNet((8, 12, 16), (1, 1, 1)), crop=256, pool=pool)) for pool in (8, 4))
    example = {"crops": torch.from_numpy(crops(2))}
    data = age_onnx(network)
    check_same(data, network, example)
    with pytest.raises(CheckpointError, match="PyTorch and ONNX Runtime differ by"):
        check_same(data, other, example)


@torch.no_grad()
def test_the_weights_of_a_file_fit_the_network() -> None:
    network = lively(age_network(CompactNet((8, 12, 16), (1, 1, 1)), crop=256, pool=8))
    found = age_weights(age_onnx(network))
    assert found.keys() == {key for key in network.state_dict() if not key.endswith("num_batches_tracked")}
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in found.items())


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("run.json", "["),
        ("run.json", "[]"),
        ("run.json", "[" * 100_000),
        ("run.json", '{"data": 3, "pretrained": ""}'),
        ("run.json", '{"data": ["utkface"], "pretrained": ""}'),
        ("run.json", "\udcff"),
        ("weights.safetensors", "\0" * 8),
        ("weights.safetensors", "junk"),
        ("weights.safetensors", ""),
    ],
)
def test_a_damaged_run_is_one_clear_error(runs: Path, tmp_path: Path, file: str, text: str) -> None:
    shutil.copytree(runs / "tiny", tmp_path / "tiny")
    (tmp_path / "tiny" / file).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CheckpointError):
        export_run(tmp_path / "tiny", tmp_path / "weights", "tiny", "age")
    assert not (tmp_path / "weights").exists()
