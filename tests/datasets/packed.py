"""The same files as a folder, a zip and a tar, for tests of the data sets."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return path


def write_tar(path: Path, files: dict[str, bytes], prefix: str = "") -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as packed:
        for name, data in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return path


def three_forms(folder: Path, files: dict[str, bytes]) -> tuple[Path, Path, Path]:
    """The same files as a folder, a zip and a tar whose names start with "./"."""
    folder.mkdir(exist_ok=True)
    return (
        write_folder(folder / "unpacked", files),
        write_zip(folder / "packed.ZIP", files),
        write_tar(folder / "packed.tar", files, "./"),
    )
