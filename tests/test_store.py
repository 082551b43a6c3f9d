"""One lookup for networks: shipped, the user's folder, a path; what isn't what it should be is named."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from onnx_models import age_model

from spiralage import AgePipeline, Photo, store, weights
from spiralage.age.estimate import AgeEstimator
from spiralage.cli import main
from spiralage.errors import ModelFileError, NetworkError, OptionError, SpiralageError
from spiralage.restoration.restore import make_restorer
from spiralage.store import resolve, user_folder

SHIPPED = Path(str(weights.folder()))
GRAY = np.full((1, 256, 256, 3), 128, np.uint8)


def enter(folder: Path, name: str, data: bytes, kind: str = "age") -> Path:
    """Put a file into a folder and its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.onnx"
    path.write_bytes(data)
    entry = asdict(weights.manifest()["best"]) | {
        "file": path.name,
        "sha256": sha256(data).hexdigest(),
        "kind": kind,
    }
    lines = [f"[{name}]", *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in entry.items())]
    with (folder / "manifest.toml").open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n\n")
    return path


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, with one age network in it."""
    folder = tmp_path / "own"
    monkeypatch.setenv("SPIRALAGE_NETWORKS", str(folder))
    enter(folder, "mine", age_model(age=33))
    return folder


def age_of(network: str | Path) -> float:
    return AgeEstimator(network).estimate(GRAY)[0].mean


def test_a_network_by_name_by_path_and_by_folder(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for network in ("mine", own / "mine.onnx", str(own / "mine.onnx"), own, str(own), own / "mine", f"{own}/"):
        assert age_of(network) == 33
    monkeypatch.chdir(own.parent)
    assert age_of("own/mine.onnx") == age_of("./own") == age_of("own/mine") == 33
    monkeypatch.chdir(own)
    assert age_of("mine.onnx") == age_of(".") == 33


def test_the_pipeline_takes_it(own: Path, portrait: Photo) -> None:
    (report,) = AgePipeline(detector="none", network=own / "mine.onnx").estimate(portrait)
    assert report.age.mean == 33


def test_a_shipped_name_is_always_the_shipped_network(own: Path) -> None:
    enter(own, "best", age_model(age=1))
    assert resolve("best", "age").files[0].shipped
    assert age_of(own / "best.onnx") == 1


def test_a_file_without_a_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bare.onnx").write_bytes(age_model(age=20))
    assert age_of(tmp_path / "bare.onnx") == age_of(tmp_path) == age_of(tmp_path / "bare") == 20
    monkeypatch.setenv("SPIRALAGE_NETWORKS", str(tmp_path))
    assert age_of("bare") == 20


def test_a_run_whose_network_was_exported(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "checkpoint.safetensors").write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"spiralage export .*run"):
        resolve(run, "age")
    enter(run / "export", "net", age_model(age=50))
    assert age_of(run) == 50


def test_a_file_that_has_been_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(age_model(age=20))
    assert age_of(path) == 20
    path.write_bytes(age_model(age=60, nan_below=1))
    assert age_of(path) == 60


def test_a_changed_file_is_refused(own: Path) -> None:
    (own / "mine.onnx").write_bytes(age_model(age=34))
    for network in ("mine", own / "mine.onnx", own):
        with pytest.raises(ModelFileError, match=r"SHA-256 is .* export the network again"):
            AgeEstimator(network)


def test_several_networks_in_a_folder_need_a_name(own: Path) -> None:
    enter(own, "other", age_model(age=44))
    with pytest.raises(ModelFileError, match=r"more than one network of kind age \(mine, other\); give .*/NAME"):
        resolve(own, "age")
    assert age_of(own / "other") == 44


def test_another_kind_is_named(own: Path) -> None:
    with pytest.raises(ModelFileError, match="is a network of kind imagine, not age; there are best, mine"):
        AgeEstimator("imagine")
    with pytest.raises(OptionError, match="mine is a network of kind age, not imagine or slices"):
        make_restorer("mine")


@pytest.mark.parametrize(
    "name",
    ["", "nonsense", "no/such/folder", "no.onnx", "..", "a\0b", "x" * 5000, "/dev/null", "~nobody", "ä\udcff"],
    ids=range(10),
)
def test_what_is_not_there(name: str, own: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty" / "here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "empty" / "here")
    for take in (AgeEstimator, make_restorer):
        with pytest.raises(SpiralageError) as caught:
            take(name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "[", "x = 1", "[net]\nfile = '../x.onnx'", "\x00", "[a]\nb=" + "[" * 5000], ids=range(6)
)
def test_a_damaged_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.toml").write_text(text)
    (tmp_path / "net.onnx").write_bytes(age_model(age=20))
    if text:
        with pytest.raises(ModelFileError, match="no usable manifest"):
            resolve(tmp_path / "net.onnx", "age")
    else:
        assert age_of(tmp_path / "net.onnx") == 20  # a file that its folder's manifest doesn't know


WRONG = {
    "name of the input": age_model(takes="pictures"),
    "name of the output": age_model(gives="ages"),
    "channels first": age_model(shape=("N", 3, 256, 256)),
    "size": age_model(shape=("N", 224, 224, 3)),
    "type": age_model(dtype=1),
    "a fixed batch": age_model(shape=(1, 256, 256, 3)),
    "another number of ages": age_model(ages=100),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_network_that_takes_or_gives_something_else(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(WRONG[wrong])
    with pytest.raises(
        ModelFileError, match=r"net.onnx: a network of kind age (takes crops uint8|gives probabilities)"
    ):
        AgeEstimator(path)


@pytest.mark.parametrize("data", [age_model(scale=3.0), age_model(nan_below=200)], ids=["no sum of 1", "NaN"])
def test_a_network_that_gives_no_probabilities(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match="no age network"):
        AgeEstimator(path)


@pytest.mark.parametrize("data", [b"", b"nonsense", age_model()[:200]], ids=["empty", "text", "cut"])
def test_a_file_that_is_no_network(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=r"net\.onnx: not an ONNX model"):
        AgeEstimator(path)


def test_nan_is_never_an_age(tmp_path: Path, portrait: Photo) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(age_model(age=30, nan_below=20))
    black = Photo(np.zeros((64, 64, 3), np.uint8), "black")
    pipeline = AgePipeline(detector="none", network=path, occlusion="frame")
    with pytest.raises(NetworkError, match="NaN or infinity"):
        pipeline.estimate(black)
    reports = list(pipeline.estimate_many([portrait, black, portrait]))
    assert [report.image for report in reports] == ["portrait", "black", "portrait"]
    assert [len(report.faces) for report in reports] == [1, 0, 1]
    assert "NaN" in str(reports[1].error)


def test_restorers_of_the_user(tmp_path: Path) -> None:
    for name in ("imagine", "slices-context", "slices-paint"):
        shutil.copy(SHIPPED / f"{name}.onnx", tmp_path / f"{name.replace('slices', 'mine')}.onnx")
    hidden = np.zeros((1, 256, 256), np.bool_)
    hidden[:, 128:] = True
    crops = np.where(hidden[..., None], np.uint8(0), GRAY)
    for given, shipped in (("imagine.onnx", "imagine"), ("mine-paint.onnx", "spiral"), ("mine", "spiral")):
        filled, expected = (make_restorer(which).fill(crops, hidden) for which in (tmp_path / given, shipped))
        np.testing.assert_array_equal(filled, expected)
    # A calibration for the shipped restorers isn't for the user's.
    assert make_restorer(tmp_path / "mine").name == "spiral (mine)"
    assert make_restorer(tmp_path / "imagine.onnx").name == "imagine (imagine.onnx)"
    assert (make_restorer("slices").name, make_restorer("imagine").name) == ("spiral", "imagine")
    (tmp_path / "age.onnx").write_bytes(age_model())
    with pytest.raises(ModelFileError, match="no ImagineGAN"):
        make_restorer(tmp_path / "age.onnx")
    with pytest.raises(OptionError, match="no restorer 'nonsense'; there are none, inpaint"):
        make_restorer("nonsense")


def test_the_user_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SPIRALAGE_NETWORKS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert user_folder() == tmp_path / "spiralage" / "networks"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_folder() == tmp_path / ".local" / "share" / "spiralage" / "networks"

    def no_home() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", no_home)
    assert user_folder() is None
    assert resolve("best", "age").name == "best"


def test_an_unreadable_user_folder_is_no_matter_for_shipped_networks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPIRALAGE_NETWORKS", str(tmp_path / "file"))
    assert resolve("best", "age").name == "best"
    with pytest.raises(ModelFileError, match="there are best"):
        resolve("nonsense", "age")


def test_int8_variants_are_known_by_the_store() -> None:
    assert [file.name for file in resolve("slices", "slices", int8=True).files] == [
        "slices-context",
        "slices-paint-int8",
    ]
    assert [file.name for file in resolve("best", "age", int8=True).files] == ["best"]
    assert store.int8_variant(store.shipped_file("imagine")).name == "imagine-int8"


def test_the_users_networks_are_listed_and_checked(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    enter(own, "best", age_model(age=20))
    (own / "loose.onnx").write_bytes(age_model(age=44))
    assert main(["models"]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines() if str(own) in line)
    assert lines.keys() == {"mine", "best", "loose"}
    assert lines["mine"].startswith(f"age, recipe best, seed {weights.manifest()['best'].seed}, ")
    assert f"a shipped network has this name: give {own / 'best.onnx'}" in lines["best"]
    assert lines["loose"].startswith("no manifest names it")

    (own / "mine.onnx").write_bytes(b"another")
    assert main(["models"]) == 1
    out = capsys.readouterr().out
    assert f"mine: {own / 'mine.onnx'}: SHA-256 is " in out
    assert all(name in out for name in ("loose:", "yunet:"))  # the rest is listed all the same


def test_a_users_folder_that_is_none_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPIRALAGE_NETWORKS", str(tmp_path / "none"))
    assert store.user_files() == ()
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPIRALAGE_NETWORKS", str(tmp_path / "file"))
    assert main(["models"]) == 1
    assert "check SPIRALAGE_NETWORKS" in capsys.readouterr().err
