"""``spiralage doctor`` and ``spiralage --version``: what this installation is, and what is wrong with it.

No package that could be missing is imported before the check that would find it missing.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spiralage import provenance
from spiralage.cli.console import say, write_out
from spiralage.errors import ModelFileError, SpiralageError
from spiralage.version import __version__

if TYPE_CHECKING:
    from spiralage.runtime import Engine
    from spiralage.store import StoredFile

REINSTALL = "install it again, in the folder of its source: pip install --force-reinstall ."
NOT_FOR_USERS = {"dev", "docs"}
"""Extras that nobody misses who doesn't change the program."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        name: what was looked at.
        found: in a few words.
        remedy: what to do; empty where nothing need be done.
        broken: it must be mended; else a remedy is what could be had besides.
    """

    name: str
    found: str
    remedy: str = ""
    broken: bool = False

    @property
    def state(self) -> str:
        """ "ok", "note" or "broken"."""
        return "broken" if self.broken else "note" if self.remedy else "ok"


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="JSON: each check's name, state, found, remedy")] = False,
) -> None:
    """What is installed, what runs the networks, what finds faces; every problem with its remedy, and exit code 1."""
    checks = []
    for check in examine():
        checks.append(check)
        if not as_json:
            say(f"{check.state:6}  {check.name}: {check.found}" + (f"; {check.remedy}" if check.remedy else ""))
    broken = sum(check.broken for check in checks)
    if as_json:
        fields = [{"name": c.name, "state": c.state, "found": c.found, "remedy": c.remedy} for c in checks]
        write_out(json.dumps(fields, indent=2) + "\n")
    else:
        say(f"{broken} of {len(checks)} checks failed" if broken else f"all {len(checks)} checks are well")
    if broken:
        raise typer.Exit(1)


def print_version() -> None:
    """What ``spiralage --version`` says: the version; the system and the processor; the engine."""
    say(f"spiralage {__version__}")
    for check in (*_guarded("system", _system), *_guarded("engine", _engine)):
        say(f"{check.name}: {check.found}")


def examine() -> Iterator[Check]:
    """Every check; one that can't be made, for whatever reason, is one that failed."""
    for name, look in CHECKS.items():
        yield from _guarded(name, look)


def _guarded(name: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from look()
    except SpiralageError as error:
        yield _failed(name, error)
    except Exception as error:  # a package that is missing or damaged raises what it likes
        said = " ".join(str(error).split())[:200]
        yield Check(name, f"{type(error).__name__}: {said}", REINSTALL, broken=True)


def _failed(name: str, error: SpiralageError) -> Check:
    """A check that found an error of ours, whose message ends with the remedy."""
    found, _, remedy = str(error).rpartition("; ")
    return Check(name, found or remedy, remedy if found else "", broken=True)


def _system() -> Iterator[Check]:
    features = ", ".join(provenance.processor_features()) or "features unknown"
    python = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield Check("system", f"{python}; {provenance.hardware()} ({features})")


def _packages() -> Iterator[Check]:
    """The packages that spiralage asks for, and its extras."""
    from packaging.requirements import Requirement

    try:
        about = metadata.metadata("spiralage")
    except metadata.PackageNotFoundError:
        yield Check("packages", "spiralage is run from its source, uninstalled", "run: pip install .")
        return
    wanted = [Requirement(line) for line in about.get_all("Requires-Dist") or ()]

    def lacking(extra: str) -> list[str]:
        """What is missing, or has another version than it should; without an extra, of what is always needed."""
        ours = [w for w in wanted if w.marker is None or w.marker.evaluate({"extra": extra})]
        if extra:
            ours = [w for w in ours if w.marker is not None and not w.marker.evaluate({"extra": ""})]
        return [f"{w.name}{w.specifier}" for w in ours if not w.specifier.contains(_version(w.name), prereleases=True)]

    missing = lacking("")
    always = sum(w.marker is None or w.marker.evaluate({"extra": ""}) for w in wanted)
    if missing:
        yield Check("packages", f"not installed as needed: {', '.join(missing)}", REINSTALL, broken=True)
    else:
        yield Check("packages", f"all {always} are installed")
    for extra in about.get_all("Provides-Extra") or ():
        if extra in NOT_FOR_USERS:
            continue
        missing = lacking(extra)
        remedy = f"if you want it, run: pip install 'spiralage[{extra}]'"
        found = f"not installed ({', '.join(missing)})" if missing else "installed"
        yield Check(f"extra {extra}", found, remedy if missing else "")


def _version(package: str) -> str:
    """The installed version; "0" if there is none, which no requirement of ours takes."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "0"


def _engine() -> Iterator[Check]:
    """What runs the networks."""
    from spiralage.runtime import engine_from_environment
    from spiralage.threads import thread_count

    engine, threads = engine_from_environment(), thread_count()
    library = engine.partition("-")[0]
    version = _version(library)
    if version == "0":
        remedy = "run: pip install 'spiralage[fast]', or unset SPIRALAGE_ENGINE"
        yield Check("engine", f"{engine}, but {library} isn't installed", remedy, broken=True)
        return
    yield Check("engine", f"{engine} ({library} {version}), {threads} thread{'s' * (threads > 1)}")


def _networks() -> Iterator[Check]:
    """Every shipped network: its file is the pinned one, it loads, and ages come out."""
    import numpy as np

    from spiralage import store, weights
    from spiralage.age.estimate import AgeEstimator

    engine = _engine_that_runs()
    for name in weights.manifest():
        yield from _guarded(f"network {name}", lambda: _network(store.shipped_file(name), engine))  # noqa: B023

    def read_an_age() -> Iterator[Check]:
        (age,) = AgeEstimator("best").estimate(np.full((1, 256, 256, 3), 127, np.uint8))
        yield Check("reading an age", f"works (a grey picture gives {age.mean:.0f} years)")

    yield from _guarded("reading an age", read_an_age)


def _network(file: StoredFile, engine: Engine) -> Iterator[Check]:
    from spiralage.runtime import open_session

    data = file.read()
    if str(file.path).endswith(".onnx"):
        open_session(file, engine=engine)
    pinned = "" if file.entry else "; no manifest names it, so it can't be checked"
    yield Check(f"network {file.name}", f"{len(data) / 1e6:.1f} MB, whole, loads{pinned}")


def _engine_that_runs() -> Engine:
    """The chosen engine; where that is broken, which another check says, the one that is always there."""
    from spiralage.runtime import engine_from_environment

    works = all(not check.broken for check in _guarded("engine", _engine))
    return engine_from_environment() if works else "onnxruntime"


def _own_networks() -> Iterator[Check]:
    """The networks in the user's folder."""
    from spiralage import store

    files, engine = store.user_files(), _engine_that_runs()
    yield Check("your networks", f"{len(files)} in {store.user_folder() or 'no folder: there is no home'}")
    for file in files:
        yield from _guarded(f"network {file.name}", lambda: _network(file, engine))  # noqa: B023


def _faces() -> Iterator[Check]:
    """What finds faces, and what finds the points in them."""
    import numpy as np

    from spiralage.faces.find import make_finder
    from spiralage.types import Photo

    finder = make_finder()
    finder.find(Photo(np.zeros((64, 64, 3), np.uint8), "black"), most=1)
    yield Check("detector", finder.detector.name)
    yield Check("landmarks", finder.landmarker.name)


def _cache() -> Iterator[Check]:
    """The folder for fetched files."""
    from spiralage.model_files import cache_folder, why_not_writable

    folder = cache_folder()
    obstacle = why_not_writable(folder)
    where = str(folder or "no folder")
    if obstacle is None:
        yield Check("cache", f"{where}, can be written")
    else:
        remedy = "set XDG_CACHE_HOME to a folder that can; only what is fetched is kept there"
        yield Check("cache", f"{where} can't be written ({obstacle})", remedy, broken=True)


def _models_folder() -> Iterator[Check]:
    """The folder for what others have trained."""
    from spiralage.model_files import PINNED, local_model

    folder = os.environ.get("SPIRALAGE_MODELS")
    if folder and not Path(folder).is_dir():
        raise ModelFileError(f"SPIRALAGE_MODELS is {folder}, which is no folder; make it, or unset the variable")
    yield Check("models folder", folder or "SPIRALAGE_MODELS isn't set; nothing is needed from it")
    for file in PINNED:

        def look() -> Iterator[Check]:
            path = local_model(file)  # noqa: B023
            yield Check(file.name, str(path) if path else "not here; it is fetched when it is asked for")  # noqa: B023

        yield from _guarded(file.name, look)


CHECKS: dict[str, Callable[[], Iterator[Check]]] = {
    "system": _system,
    "packages": _packages,
    "engine": _engine,
    "networks": _networks,
    "your networks": _own_networks,
    "detector": _faces,
    "cache": _cache,
    "models folder": _models_folder,
}
"""In the order in which they are told; a check that raises fails under its name."""
