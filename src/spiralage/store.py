"""Where networks come from: shipped with the package, in the user's folder, or at a path. One lookup for all.

A network is named in one of three ways:

- by name: that of a shipped network, or of one in the user's folder, which is what ``SPIRALAGE_NETWORKS`` names or
  ``~/.local/share/spiralage/networks`` (``XDG_DATA_HOME`` is heeded). A shipped network's name always means the
  shipped one;
- by the path of an ``.onnx`` file;
- by the path of a folder that holds one network of the kind that is wanted, with its ``manifest.toml`` as ``spiralage
  export`` writes it, or ``FOLDER/NAME`` where it holds several. A run's folder is looked through for what was
  exported into it, or into ``export`` in it.

Where a manifest names a file, the file must have the SHA-256 that stands there.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from spiralage import weights
from spiralage.errors import ModelFileError
from spiralage.weights import Entry

if sys.version_info >= (3, 11):
    from importlib.resources.abc import Traversable
else:
    from importlib.abc import Traversable

Kind: TypeAlias = Literal["age", "imagine", "slices", "mean-face", "landmarks", "occlusion"]
"""What a network does; as manifests call it."""

PARTS: dict[Kind, tuple[str, ...]] = {
    "age": ("",),
    "imagine": ("",),
    "slices": ("-context", "-paint"),
    "mean-face": ("",),
    "landmarks": ("",),
    "occlusion": ("",),
}
"""What the names of a kind's files end in."""

INT8 = "-int8"
"""What the name of a network's file in int8 ends in."""

MANIFEST = "manifest.toml"
EXPORTED = "export"
"""The folder in a run's folder that is looked through for exported networks, after the run's own."""


@dataclass(frozen=True)
class StoredFile:
    """A network's file.

    Args:
        name: the name of its section in the manifest, or how the file is called.
        path: where it is.
        entry: what the manifest says of it; None for a file without one.
    """

    name: str
    path: Traversable
    entry: Entry | None = None

    def read(self) -> bytes:
        """Its bytes, checked against the manifest; raises ModelFileError."""
        return weights.read_file(self.path, None if self.entry is None else self.entry.sha256)

    @property
    def shipped(self) -> bool:
        """Whether it came with the package."""
        return weights.is_shipped(self.path)

    @property
    def identity(self) -> tuple[object, ...]:
        """Two files with the same identity hold the same bytes, as far as can be told without reading them."""
        if not isinstance(self.path, Path):
            return (str(self.path),)
        try:
            status = self.path.stat()
        except OSError:
            return (str(self.path),)
        return str(self.path.absolute()), status.st_mtime_ns, status.st_size


@dataclass(frozen=True)
class StoredNetwork:
    """A network that was found.

    Args:
        name: how reports call it.
        kind: what it does.
        files: one, or one for each of ``PARTS[kind]``.
    """

    name: str
    kind: Kind
    files: tuple[StoredFile, ...]


def resolve(name_or_path: str | Path, *kinds: Kind, int8: bool = False) -> StoredNetwork:
    """The network that a name or a path means.

    Args:
        name_or_path: see above.
        kinds: what it may be; the first that is there is taken.
        int8: take files in int8 where they are there.

    Raises:
        ModelFileError: there is none, or more than one, or it is of another kind.

    Example:
        >>> resolve("best", "age").files[0].path.name
        'best.onnx'
    """
    text = os.fspath(name_or_path)
    try:
        found = _by_name(text, kinds) if isinstance(name_or_path, str) and _is_name(text) else None
        found = found or _at_path(Path(text), kinds)
    except (OSError, ValueError) as error:  # a name that is too long, or has a null in it; a folder not to be read
        raise ModelFileError(f"{text[:80]!r}: can't be looked up ({error.args[-1]}); check the path") from error
    if found is None:
        raise ModelFileError(f"no network {text!r} ({' or '.join(kinds)}); {_what_there_is(kinds)}, or give a path")
    return _in_int8(found) if int8 else found


def files_of(name_or_path: str | Path, *kinds: Kind) -> tuple[Path, ...]:
    """The files that a network is read from, its manifest and its files in int8 too; none if there is no such network.

    Args:
        name_or_path, kinds: as for ``resolve``.

    Example:
        >>> [path.name for path in files_of("best", "age")]
        ['best.onnx', 'manifest.toml']
    """
    try:
        files = [each for file in resolve(name_or_path, *kinds).files for each in (file, int8_variant(file))]
    except ModelFileError:  # whoever opens it says so
        return ()
    paths = [file.path for file in files if isinstance(file.path, Path)]
    return tuple(dict.fromkeys([*paths, *(path.parent / MANIFEST for path in paths)]))


def shipped_file(name: str) -> StoredFile:
    """A shipped file by its section in the manifest; raises ModelFileError."""
    entries = weights.manifest()
    if name not in entries:
        raise ModelFileError(f"no shipped network is called {name!r}; there are {', '.join(sorted(entries))}")
    return StoredFile(name, weights.folder().joinpath(entries[name].file), entries[name])


def user_folder() -> Path | None:
    """The folder with the user's networks, whether it is there or not; None where there is no home."""
    named = os.environ.get("SPIRALAGE_NETWORKS")
    if named:
        return Path(named)
    shared = os.environ.get("XDG_DATA_HOME")
    try:
        return Path(shared or Path.home() / ".local" / "share") / "spiralage" / "networks"
    except RuntimeError:  # a user without a home
        return None


def user_files() -> tuple[StoredFile, ...]:
    """Every network's file in the user's folder: what its manifest names, and ONNX files beside; empty without one.

    Raises:
        ModelFileError: the manifest is damaged, or the folder can't be read.
    """
    folder = user_folder()
    if folder is None or not folder.exists():
        return ()
    try:
        known = weights.manifest(folder) if folder.joinpath(MANIFEST).is_file() else {}
        named = {entry.file for entry in known.values()}
        others = sorted(path for path in folder.iterdir() if path.suffix == ".onnx" and path.name not in named)
    except OSError as error:
        raise ModelFileError(f"{folder}: can't be read ({error.strerror}); check SPIRALAGE_NETWORKS") from error
    listed = [StoredFile(name, folder / entry.file, entry) for name, entry in known.items()]
    return (*listed, *(StoredFile(path.stem, path) for path in others))


def int8_variant(file: StoredFile) -> StoredFile:
    """The same network's file in int8, if one stands beside; else the file itself."""
    if file.entry is None:
        return file
    folder: Traversable = file.path.parent if isinstance(file.path, Path) else weights.folder()
    name = f"{file.name}{INT8}"
    entry = weights.manifest(folder).get(name)
    return file if entry is None else StoredFile(name, folder.joinpath(entry.file), entry)


def _in_int8(network: StoredNetwork) -> StoredNetwork:
    return StoredNetwork(network.name, network.kind, tuple(map(int8_variant, network.files)))


def _is_name(text: str) -> bool:
    return bool(text) and not {"/", "\\", os.sep} & set(text) and not text.endswith(".onnx") and text not in (".", "..")


def _by_name(name: str, kinds: tuple[Kind, ...]) -> StoredNetwork | None:
    folders = (weights.folder(), user_folder())
    found = (_in_folder(folder, name, kinds) for folder in folders if folder is not None)
    return next(filter(None, found), None)


def _at_path(path: Path, kinds: tuple[Kind, ...]) -> StoredNetwork | None:
    if path.is_dir():
        return _only_one(path, kinds)
    if path.suffix == ".onnx":
        if not path.is_file():
            raise ModelFileError(f"{path}: no such file; check the path")
        return _in_folder(path.parent, _without_part(path.stem, kinds), kinds, whole=path)
    return _in_folder(path.parent, path.name, kinds) if path.parent != Path() else None


def _without_part(stem: str, kinds: tuple[Kind, ...]) -> str:
    """The network's name: that of one of its files without what tells the parts apart."""
    for part in (part for kind in kinds for part in PARTS[kind] if part):
        stem = stem.removesuffix(part)
    return stem


def _only_one(folder: Path, kinds: tuple[Kind, ...]) -> StoredNetwork:
    """The one network of a kind that is in a folder."""
    for place in (folder, folder / EXPORTED):
        for kind in kinds:
            found = [_in_folder(place, name, (kind,)) for name in _names(place, kind)]
            if len(found) > 1:
                names = ", ".join(network.name for network in found if network)
                raise ModelFileError(f"{place}: has more than one network of kind {kind} ({names}); give {place}/NAME")
            if found and found[0] is not None:
                return found[0]
    raise ModelFileError(
        f"{folder}: no network ({' or '.join(kinds)}) in it; export a finished run with: "
        f"spiralage export {folder} --name NAME --kind {kinds[0]} --output {folder / EXPORTED}"
    )


def _names(folder: Traversable, kind: Kind) -> list[str]:
    """The networks of a kind in a folder, by name; without a manifest, every ONNX file that can be one."""
    if folder.joinpath(MANIFEST).is_file():
        stems = [name for name, entry in weights.manifest(folder).items() if entry.kind == kind]
    elif folder.is_dir():
        stems = [Path(file.name).stem for file in folder.iterdir() if file.name.endswith(".onnx")]
    else:
        return []
    last = PARTS[kind][-1]
    return sorted(stem.removesuffix(last) for stem in stems if stem.endswith(last) and not stem.endswith(INT8))


def _in_folder(
    folder: Traversable, name: str, kinds: tuple[Kind, ...], whole: Path | None = None
) -> StoredNetwork | None:
    """The network of that name in a folder; None if it isn't there.

    Args:
        folder: with or without a manifest.
        name: without what tells the parts apart.
        kinds: what it may be.
        whole: the path that was given; a file that its folder's manifest calls otherwise is known by it.
    """
    known = weights.manifest(folder) if folder.joinpath(MANIFEST).is_file() else {}
    if whole is not None:
        name = next((section for section, entry in known.items() if entry.file == whole.name), name)
        name = _without_part(name, kinds)
    others = []
    for kind in kinds:
        files = [_file(folder, f"{name}{part}", known) for part in PARTS[kind]]
        if not all(files):
            continue
        found = tuple(file for file in files if file is not None)
        kept = {file.entry.kind for file in found if file.entry is not None}
        if kept <= {kind, f"{kind} int8"}:
            return StoredNetwork(name if whole is None else str(whole), kind, found)
        others += sorted(kept)
    if others:
        raise ModelFileError(
            f"{name} is a network of kind {others[0]}, not {' or '.join(kinds)}; {_what_there_is(kinds)}"
        )
    return None


def _file(folder: Traversable, name: str, known: dict[str, Entry]) -> StoredFile | None:
    if name in known:
        return StoredFile(name, folder.joinpath(known[name].file), known[name])
    path = folder.joinpath(f"{name}.onnx")
    return StoredFile(name, path) if path.is_file() else None


def _what_there_is(kinds: tuple[Kind, ...]) -> str:
    own = user_folder()
    folders = [weights.folder(), *([own] if own is not None else [])]
    try:
        names = sorted({name for folder in folders for kind in kinds for name in _names(folder, kind)})
    except OSError:
        names = sorted({name for kind in kinds for name in _names(weights.folder(), kind)})
    return f"there are {', '.join(names)}" if names else "there is none yet: train and export one"
