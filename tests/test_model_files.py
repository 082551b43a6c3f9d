from __future__ import annotations

import hashlib
import importlib.util
import logging
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import platformdirs
import pooch
import pytest

from spiralage.errors import MissingExtraError, ModelFileError
from spiralage.model_files import FACERES_GRAPH, FACERES_WEIGHTS, YUNET, ModelFile, dlib_model, model_path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONTENT = b"a detector"
PINNED = ModelFile("some.onnx", hashlib.sha256(CONTENT).hexdigest(), "https://example.org/some.onnx", "MIT")


class Network:
    """Stands in for pooch.retrieve and remembers what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.answer: bytes | Exception = CONTENT

    def retrieve(self, url: str, known_hash: str, fname: str, path: Path, downloader: object) -> str:
        self.asked.append((url, known_hash))
        if isinstance(self.answer, Exception):
            raise self.answer
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes(self.answer)
        return str(path / fname)


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network()
    monkeypatch.setattr(pooch, "retrieve", network.retrieve)
    return network


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no folder of the user's."""
    monkeypatch.delenv("SPIRALAGE_MODELS", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda project: str(tmp_path / "cache" / project))
    return tmp_path / "cache" / "spiralage"


def put(folder: Path, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PINNED.name).write_bytes(content)
    return folder / PINNED.name


def test_the_pinned_file_is_yunet(yunet_file: Path) -> None:
    assert model_path(YUNET, yunet_file) == yunet_file


@pytest.mark.parametrize("file", [YUNET, FACERES_GRAPH, FACERES_WEIGHTS], ids=lambda file: file.name)
def test_the_pin_is_a_sha256_and_the_address_names_a_commit(file: ModelFile) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
    assert re.search(r"/[0-9a-f]{40}/.*/" + re.escape(file.name) + "$", file.url)
    assert file.licence in ("Apache-2.0", "MIT")


def test_a_given_file_comes_first(
    tmp_path: Path, cache: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, folder = put(tmp_path / "given"), put(tmp_path / "models")
    put(cache)
    monkeypatch.setenv("SPIRALAGE_MODELS", str(folder.parent))
    assert model_path(PINNED, given) == given
    assert model_path(PINNED) == folder
    assert network.asked == []


def test_the_cache_comes_before_the_network(
    tmp_path: Path, cache: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = put(cache)
    monkeypatch.setenv("SPIRALAGE_MODELS", str(tmp_path / "nothing here"))
    assert model_path(PINNED) == cached
    assert model_path(PINNED, download=False) == cached
    assert network.asked == []


def test_it_is_fetched_once(cache: Path, network: Network) -> None:
    assert model_path(PINNED) == cache / PINNED.name
    assert model_path(PINNED) == cache / PINNED.name
    assert network.asked == [(PINNED.url, PINNED.sha256)]


def test_a_damaged_file_in_the_cache_is_fetched_again(cache: Path, network: Network) -> None:
    put(cache, b"half a det")
    assert model_path(PINNED).read_bytes() == CONTENT
    assert network.asked == [(PINNED.url, PINNED.sha256)]


@pytest.mark.parametrize("cached", [None, b"half a det"])
def test_without_a_download_it_is_missing(cache: Path, network: Network, cached: bytes | None) -> None:
    if cached is not None:
        put(cache, cached)
    with pytest.raises(ModelFileError, match="neither in SPIRALAGE_MODELS nor in"):
        model_path(PINNED, download=False)
    assert network.asked == []


def test_files_are_told_apart(tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "models")
    monkeypatch.setenv("SPIRALAGE_MODELS", str(tmp_path / "models"))
    other = ModelFile("other.bin", PINNED.sha256, "https://example.org/other.bin", "MIT")
    assert model_path(other).name == "other.bin"
    assert network.asked == [(other.url, other.sha256)]


def test_a_given_file_that_is_missing(tmp_path: Path, network: Network) -> None:
    with pytest.raises(ModelFileError, match=r"none\.onnx: no such model file"):
        model_path(PINNED, tmp_path / "none.onnx")
    with pytest.raises(ModelFileError, match="no such model file"):
        model_path(PINNED, tmp_path)
    assert network.asked == []


def test_a_file_with_another_hash_is_refused(tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    other = put(tmp_path / "models", b"another detector")
    sha256 = hashlib.sha256(b"another detector").hexdigest()
    with pytest.raises(ModelFileError, match=f"SHA-256 is {sha256[:12]}…, not {PINNED.sha256[:12]}…"):
        model_path(PINNED, other)
    monkeypatch.setenv("SPIRALAGE_MODELS", str(other.parent))
    with pytest.raises(ModelFileError, match="SHA-256"):
        model_path(PINNED)
    assert network.asked == []


@pytest.mark.parametrize(
    "reason", [ConnectionError("no route\nto host"), OSError(28, "No space left on device"), ValueError("SHA256 hash")]
)
def test_a_failed_download_says_what_to_do(network: Network, reason: Exception) -> None:
    network.answer = reason
    level = pooch.get_logger().level
    with pytest.raises(ModelFileError, match=r"can't be fetched .* set SPIRALAGE_MODELS to that folder$") as caught:
        model_path(PINNED)
    assert "\n" not in str(caught.value)
    assert type(reason).__name__ in str(caught.value)
    assert caught.value.__cause__ is reason
    assert pooch.get_logger().level == level


def test_a_download_is_silent(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def retrieve(*args: Any, **options: Any) -> str:
        seen.append(pooch.get_logger().isEnabledFor(logging.INFO))
        return network.retrieve(*args, **options)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    model_path(PINNED)
    assert seen == [False]


@pytest.mark.parametrize("name", ["shape_predictor_68_face_landmarks.dat", "mmod_human_face_detector.dat"])
def test_dlibs_model_files_are_installed(name: str) -> None:
    assert Path(dlib_model(name)).is_file()


def test_a_dlib_model_that_is_missing() -> None:
    with pytest.raises(ModelFileError, match=r"none\.dat is missing; reinstall face_recognition_models"):
        dlib_model("none.dat")


def test_dlibs_models_without_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises((ModelFileError, MissingExtraError)) as caught:
        dlib_model("mmod_human_face_detector.dat")
    # What the message tells the user to install must exist.
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extra = re.search(r"spiralage\[(\w+)\]", str(caught.value))
    if extra is not None:
        assert extra[1] in project["optional-dependencies"]
    else:
        assert re.search("face[-_]recognition[-_]models", str(caught.value))


@pytest.mark.parametrize("home", ["a file", "read-only", "~", "none"])
def test_without_a_cache_that_can_be_written_a_file_is_fetched_all_the_same(
    tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, home: str
) -> None:
    def refuse(**options: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "file").write_bytes(b"")
    if home == "read-only":  # root writes anywhere: let the attempt fail as it does for others
        monkeypatch.setattr(tempfile, "TemporaryFile", refuse)

    def homeless(project: str) -> str:
        raise RuntimeError("could not determine the home directory")

    folder = {"a file": str(tmp_path / "file" / "spiralage"), "~": "~/.cache/spiralage"}.get(home)
    if folder is not None:
        monkeypatch.setattr(platformdirs, "user_cache_dir", lambda project: folder)
    if home == "none":
        monkeypatch.setattr(platformdirs, "user_cache_dir", homeless)
    monkeypatch.chdir(tmp_path)
    path = model_path(PINNED)
    assert path.read_bytes() == CONTENT
    assert model_path(PINNED) == path
    assert not list(tmp_path.glob("~*"))  # no folder of that name
    (line,) = {record.getMessage() for record in caplog.records}
    assert "can't be written" in line
    assert "SPIRALAGE_MODELS" in line


def test_folders_that_may_not_be_searched_have_nothing(
    cache: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(cache)

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refuse)
    monkeypatch.setenv("SPIRALAGE_MODELS", str(cache))
    assert model_path(PINNED).read_bytes() == CONTENT
    assert len(network.asked) == 1


def test_pooch_is_loaded_only_to_fetch() -> None:
    code = "import sys, spiralage.model_files; print({'pooch', 'requests', 'platformdirs'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
