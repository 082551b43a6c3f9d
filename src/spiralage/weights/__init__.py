"""The shipped networks: ONNX and safetensors files, each pinned in ``manifest.toml`` by its SHA-256."""

from __future__ import annotations

import hashlib
import math
import re
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from spiralage.errors import ModelFileError

if sys.version_info >= (3, 11):
    from importlib.resources.abc import Traversable

    import tomllib
else:
    from importlib.abc import Traversable

    import tomli as tomllib


MOST_BYTES = 2_000_000_000
"""No ONNX file is larger."""


_PATTERNS = {"file": r"[A-Za-z0-9][A-Za-z0-9._-]*\.(onnx|safetensors)", "sha256": r"[0-9a-f]{64}"}
_TYPES: dict[str, type | tuple[type, ...]] = {"seed": int, "minutes": (int, float)}


@dataclass(frozen=True)
class Entry:
    """What the manifest says of a file; ``minutes`` is the training time. Raises ValueError for what can't be.

    No pydantic here: every command reads the manifest, and importing it takes longer than all else of a small photo.
    """

    file: str
    sha256: str
    kind: str
    recipe: str
    data: str
    licence: str
    seed: int
    commit: str
    hardware: str
    minutes: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, _TYPES.get(name, str)) or isinstance(value, bool):
                raise ValueError(f"{name} is {value!r}")
            if isinstance(value, str):
                value.encode()  # half a character, as JSON can have it, is a ValueError
            elif isinstance(value, float | int) and not 0 <= value < math.inf:
                raise ValueError(f"{name} is {value!r}")
            if name in _PATTERNS and not re.fullmatch(_PATTERNS[name], str(value)):
                raise ValueError(f"{name} is {value!r}")


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
        return {name: Entry(**table) for name, table in tables.items()}
    except (OSError, ValueError, TypeError, RecursionError) as error:  # not TOML, not UTF-8, or not an Entry
        reason = str(error).splitlines()[0]
        remedy = "reinstall spiralage" if is_shipped(path) else "mend it, or remove it and export the networks again"
        raise ModelFileError(f"{path}: no usable manifest ({reason}); {remedy}") from error


def entry(name: str, where: Traversable | None = None) -> Entry:
    """What the manifest says of a file; raises ModelFileError if it has no such section."""
    entries = manifest(where)
    if name not in entries:
        raise ModelFileError(f"no shipped network is called {name!r}; there are {', '.join(sorted(entries))}")
    return entries[name]


def read(name: str, where: Traversable | None = None) -> bytes:
    """A file's bytes, checked against the manifest.

    Args:
        name: its section in the manifest.
        where: the folder; the package's own by default.

    Raises:
        ModelFileError: unknown name, missing file, or a SHA-256 that isn't the pinned one.
    """
    found = entry(name, where)
    return read_file((where or folder()).joinpath(found.file), found.sha256)


def read_file(path: Traversable, pinned: str | None) -> bytes:
    """A file's bytes.

    Args:
        path: where it is.
        pinned: the SHA-256 that it must have; None = any.

    Raises:
        ModelFileError: it can't be read, or isn't the pinned one.
    """
    try:
        if isinstance(path, Path) and path.stat().st_size > MOST_BYTES:
            raise ModelFileError(f"{path}: larger than a network's file can be; choose another")
        data = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read ({error.strerror}); {_remedy(path)}") from error
    found = hashlib.sha256(data).hexdigest()
    if pinned is not None and found != pinned:
        raise ModelFileError(f"{path}: SHA-256 is {found[:12]}…, the manifest says {pinned[:12]}…; {_remedy(path)}")
    return data


def is_shipped(path: Traversable) -> bool:
    """Whether a file came with the package."""
    return str(path).startswith(str(folder()))


def _remedy(path: Traversable) -> str:
    return "reinstall spiralage" if is_shipped(path) else "export the network again"
