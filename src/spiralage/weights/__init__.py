"""The shipped networks: ONNX and safetensors files, each pinned in ``manifest.toml`` by its SHA-256."""

from __future__ import annotations

import hashlib
import sys
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spiralage.errors import ModelFileError

if sys.version_info >= (3, 11):
    from importlib.resources.abc import Traversable

    import tomllib
else:
    from importlib.abc import Traversable

    import tomli as tomllib


class Entry(BaseModel):
    """What the manifest says of a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(pattern=r"^[a-z0-9-]+\.(onnx|safetensors)$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    kind: str
    recipe: str
    data: str
    licence: str
    seed: int
    commit: str
    hardware: str
    minutes: float = Field(description="training time")


def folder() -> Traversable:
    """Where the shipped files are."""
    return resources.files(__package__)


def manifest(where: Traversable | None = None) -> dict[str, Entry]:
    """Every shipped file by name.

    Raises:
        ModelFileError: the manifest is missing or damaged.
    """
    path = (where or folder()).joinpath("manifest.toml")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: Entry.model_validate(table) for name, table in tables.items()}
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise ModelFileError(f"{path}: no usable manifest ({reason}); reinstall spiralage") from error


def read(name: str, where: Traversable | None = None) -> bytes:
    """A file's bytes, checked against the manifest.

    Args:
        name: its section in the manifest.
        where: the folder; the package's own by default.

    Raises:
        ModelFileError: unknown name, missing file, or a SHA-256 that isn't the pinned one.
    """
    entries = manifest(where)
    if name not in entries:
        raise ModelFileError(f"no shipped network is called {name!r}; there are {', '.join(sorted(entries))}")
    entry = entries[name]
    path = (where or folder()).joinpath(entry.file)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read ({error.strerror}); reinstall spiralage") from error
    found = hashlib.sha256(data).hexdigest()
    if found != entry.sha256:
        raise ModelFileError(
            f"{path}: SHA-256 is {found[:12]}…, the manifest says {entry.sha256[:12]}…; reinstall spiralage"
        )
    return data
