"""Networks put into a weights folder: files, and their sections of ``manifest.toml``; all is checked, then written."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from spiralage import weights
from spiralage.errors import OptionError, OutputError
from spiralage.files import check_outputs, write_bytes, write_text
from spiralage.store import INT8, MANIFEST, StoredFile
from spiralage.weights import Entry

_NAME = re.compile("[a-z0-9][a-z0-9-]{0,99}")


def check_name(name: str) -> None:
    """Refuse what can't be a network's file and section alike.

    Raises:
        OptionError: the name has other characters than a to z, 0 to 9 and -, or is too long.

    Example:
        >>> check_name("best-2")
        >>> check_name("../best")
        Traceback (most recent call last):
        ...
        spiralage.errors.OptionError: --name '../best': a name is of a to z, 0 to 9 and -, up to 100; choose another
    """
    if not _NAME.fullmatch(name):
        raise OptionError(f"--name {name!r}: a name is of a to z, 0 to 9 and -, up to 100; choose another")


def read_entries(folder: Path) -> dict[str, Entry]:
    """What a weights folder's manifest says; nothing where there is none. Raises ModelFileError for a damaged one."""
    is_there = os.path.exists(folder / MANIFEST)  # noqa: PTH110  # Path.exists raises OSError where it can't look
    return weights.manifest(folder) if is_there else {}


def make_entry(file: str, data: bytes, kind: str, facts: Mapping[str, Any]) -> Entry:
    """The entry of a file.

    Args:
        file: what it is called.
        data: its bytes.
        kind: what it is.
        facts: where it comes from: has every other field of ``Entry``, and may have more.

    Raises:
        ValueError: a fact is missing, or of another type.
    """
    own = {"file": file, "sha256": hashlib.sha256(data).hexdigest(), "kind": kind}
    try:
        return Entry(**{key: value for key, value in facts.items() if key in Entry.__dataclass_fields__} | own)
    except TypeError as error:
        raise ValueError(f"it lacks what a manifest tells ({error})") from error


def put(folder: Path, files: Mapping[str, bytes], kind: str, facts: Mapping[str, Any]) -> list[Path]:
    """Write networks' files and replace or add their sections, which are called as the files; sections stay sorted.

    The int8 variants of what had these names go, since they are other networks'.

    Args:
        folder: made if need be.
        files: their names and bytes.
        kind: what they are.
        facts: where they come from, see ``make_entry``.

    Returns:
        The files written.

    Raises:
        ValueError: a fact is missing, or of another type.
        ModelFileError: the folder's manifest is damaged.
        OutputError: something can't be written.
    """
    entries = read_entries(folder)
    new = {Path(file).stem: make_entry(file, data, kind, facts) for file, data in files.items()}
    paths = [folder / file for file in files]
    check_outputs([*paths, folder / MANIFEST])
    for path, data in zip(paths, files.values(), strict=True):
        write_bytes(path, data)
    variants = [f"{name}{INT8}" for name in new]
    kept = {name: entry for name, entry in entries.items() if name not in variants}
    _write(folder / MANIFEST, kept | new)
    for variant in variants:
        _delete(folder / f"{variant}.onnx")
    return paths


def repin(file: StoredFile, data: bytes) -> None:
    """Write a network's file anew, where only its metadata changed, and pin it in its manifest, if that names it.

    Args:
        file: on disk.
        data: its new bytes.

    Raises:
        ModelFileError: the folder's manifest is damaged.
        OutputError: the file or the manifest can't be written.
    """
    path = Path(str(file.path))
    entries = read_entries(path.parent)
    outputs = [path, path.parent / MANIFEST] if file.entry is not None else [path]
    check_outputs(outputs, overwrite=True)
    write_bytes(path, data)
    if file.entry is not None:
        _write(
            path.parent / MANIFEST, entries | {file.name: replace(file.entry, sha256=hashlib.sha256(data).hexdigest())}
        )


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: can't be deleted ({error.strerror}); it is another network's, remove it") from error


def _write(manifest: Path, entries: Mapping[str, Entry]) -> None:
    sections = [_section(name, entries[name]) for name in sorted(entries)]
    write_text(manifest, "\n".join(sections))


def _section(name: str, entry: Entry) -> str:
    key = name if re.fullmatch("[A-Za-z0-9_-]+", name) else _toml(name)
    return "\n".join([f"[{key}]", *(f"{field} = {_toml(value)}" for field, value in asdict(entry).items()), ""])


def _toml(value: object) -> str:
    """A text or number: as in JSON, but for DEL, which TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
