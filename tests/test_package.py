"""What is built from the repository installs, runs, and is typed, where nothing else of the repository is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

import spiralage
from spiralage.image_io import save_picture
from spiralage.types import Photo

ROOT = Path(__file__).parents[1]
CLIENT = """
from pathlib import Path

from typing_extensions import assert_type

from spiralage import AgePipeline, FaceReport, Photo, PhotoReport

pipeline = AgePipeline(detector="dlib", occlusion="surgical-mask")
for face in pipeline.estimate(Path("photo.jpg")):
    assert_type(face, FaceReport)
    assert_type(face.age.mean, float)
    assert_type(face.age.interval(0.9), tuple[float, float])
    assert_type(face.age.p_at_least(18), float)
for photo in pipeline.estimate_many(["a.jpg", b"", Photo(face.aligned.pixels)]):
    assert_type(photo, PhotoReport)
    assert_type(photo.error, str | None)
pipeline.estimate(18)  # E: arg-type
AgePipeline(detector="nobody")  # E: arg-type
"""
"""A user's program; where it says E: a type checker must find a mistake."""


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source archive of a copy of this repository, and the wheel that is built from the archive alone."""
    folder = tmp_path_factory.mktemp("build")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "src", "*.*", cwd=ROOT)
    if listed.returncode:
        pytest.skip("not a git checkout: what belongs to the repository isn't known")
    for name in {*filter(None, listed.stdout.split("\0")), "LICENSE"}:
        if name.startswith("src/") or "/" not in name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    done = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (archive,), (wheel,) = (folder / "dist").glob("*.tar.gz"), (folder / "dist").glob("*.whl")
    return archive, wheel


@pytest.fixture(scope="module")
def empty(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has the wheel, and of this one's packages all but spiralage; its folder of programs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    scripts = Path(sysconfig.get_path("scripts", "venv", {"base": str(folder)}))
    python = scripts / Path(sys.executable).name
    if not python.exists():
        python = scripts / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).stdout.strip())
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    done = run(*pip, "install", "--quiet", "--no-deps", "--no-index", built[1], cwd=folder)
    assert done.returncode == 0, done.stderr
    # A path alone: what is installed there for editing stays unseen, so that spiralage is the wheel's.
    site.joinpath("others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    found = run(python, "-c", "import spiralage; print(spiralage.__file__)", cwd=folder).stdout
    assert Path(found.strip()).is_relative_to(folder)
    return scripts


def test_the_archives_hold_what_they_should(built: tuple[Path, Path]) -> None:
    archive, wheel = built
    ours = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src/spiralage").rglob("*.py")}
    ours |= {f"spiralage/weights/{path.name}" for path in (ROOT / "src/spiralage/weights").glob("*.*")}
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        metadata = next(file.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    assert ours | {"spiralage/py.typed", "spiralage/report/page.html.j2"} <= names
    assert {name.split("/")[0] for name in names} == {"spiralage", f"spiralage-{spiralage.__version__}.dist-info"}
    assert f"\nVersion: {spiralage.__version__}\n" in metadata
    with tarfile.open(archive) as sources:
        held = {name.partition("/")[2] for name in sources.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "MODEL_CARD.md", "pyproject.toml"} <= held


def test_the_wheel_runs_in_an_empty_environment(empty: Path, tmp_path: Path, portrait: Photo) -> None:
    save_picture(tmp_path / "photo.png", portrait.pixels)
    version = run(empty / "spiralage", "--version", cwd=tmp_path)
    assert version.stdout.splitlines()[0] == f"spiralage {spiralage.__version__}"
    done = run(empty / "spiralage", "estimate", "photo.png", "--detector", "dlib", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 0 < json.loads(done.stdout)[0]["faces"][0]["age"] < 100


def test_a_typed_program_is_checked_against_the_wheel(empty: Path, tmp_path: Path) -> None:
    (tmp_path / "client.py").write_text(CLIENT)
    python = next(path for path in (empty / "python", empty / "python.exe") if path.exists())
    options: list[str | Path] = [
        "--strict",
        "--python-executable",
        python,
        "--cache-dir",
        tmp_path / "cache",
        "--no-error-summary",
    ]
    told = run(sys.executable, "-m", "mypy", *options, "client.py", cwd=tmp_path).stdout
    found = {(int(line), kind) for line, kind in re.findall(r"^client.py:(\d+): error: .* \[([\w-]+)\]$", told, re.M)}
    expected = {
        (number, line.partition("# E: ")[2]) for number, line in enumerate(CLIENT.splitlines(), 1) if "# E: " in line
    }
    assert found == expected, told


def test_the_citation_is_whole() -> None:
    """What the Citation File Format 1.2.0 demands, and what this project owes."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert cited["cff-version"] == "1.2.0"
    assert (cited["type"], cited["license"]) == ("software", "Apache-2.0")
    assert str(cited["version"]) == spiralage.__version__
    known = {"type", "title", "authors", "year", "collection-title", "notes", "doi", "url"}
    for work in cited["references"]:
        assert {"type", "title", "authors"} <= work.keys() <= known
        assert work["type"] in ("generic", "conference-paper", "thesis", "article")
        assert all(person.keys() == {"family-names", "given-names"} for person in work["authors"])
    first = [(work["authors"][0]["family-names"], work.get("year")) for work in cited["references"]]
    assert first == [("Choi", None), ("Guo", 2020), ("Pan", 2018)]


def test_the_changelog_knows_the_version() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert headings[0] == "Unreleased" or headings[0].startswith(spiralage.__version__)
