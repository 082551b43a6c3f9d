"""What README and docs tell people to type works: quick commands are run, all others are read as the program would."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import PAGES, ROOT, Command, commands, examples, parse

from spiralage import weights
from spiralage.cli import main
from spiralage.datasets.sources import SOURCES
from spiralage.faces.dlib_faces import DlibLandmarker
from spiralage.faces.landmarks import LANDMARKERS
from spiralage.image_io import save_picture
from spiralage.occlusion.occluders import OCCLUDERS, Cover
from spiralage.restoration.restore import RESTORERS
from spiralage.types import Photo

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OURS = commands("spiralage")
QUICK = {"estimate", "occlude", "restore", "models", "doctor", "--version"}
TESTED_ELSEWHERE = {"--sheet"}
RUN = [command for command in OURS if command.words[1] in QUICK and not TESTED_ELSEWHERE & {*command.words}]
ALL_RUN = {"README.md", "docs/index.md", "docs/settings.md", "docs/troubles.md", "docs/training.md"}
"""Pages whose quick commands need nothing but what ``at_home`` has."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, portrait: Photo) -> Path:
    """A folder with the photos and networks that pages speak of."""
    folder = tmp_path_factory.mktemp("home")
    save_picture(folder / "photo.jpg", portrait.pixels)
    for name in ("holiday", "runs/mine", "docs"):
        (folder / name).mkdir(parents=True)
    shutil.copy(folder / "photo.jpg", folder / "holiday/beach.jpg")
    save_picture(folder / "crop.png", portrait.pixels[60:200, 150:290])
    mask = np.zeros((256, 256, 3), np.uint8)
    mask[128:] = 255
    save_picture(folder / "MASK.png", mask)
    for copy in ("my.onnx", "runs/mine/mine.onnx"):
        (folder / copy).write_bytes(weights.read("best"))
    return folder


@pytest.fixture
def at_home(home: Path, dlib_landmarker: DlibLandmarker, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(LANDMARKERS, "dlib", lambda threads: dlib_landmarker)  # its large file is read once
    monkeypatch.chdir(home)
    monkeypatch.setenv("SPIRALAGE_NETWORKS", str(home / "networks"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.delenv("SPIRALAGE_MODELS", raising=False)
    return home


@pytest.mark.parametrize("command", OURS, ids=str)
def test_every_command_can_be_read(command: Command) -> None:
    parse(command.words)
    for recipe in re.findall(r"recipes/\S+?\.toml", " ".join(command.words)):
        assert list(ROOT.glob(recipe)), recipe


def test_quick_commands_run(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = set()
    for command in RUN:
        named = [word for word in command.words[2:] if re.search(r"\.(jpg|png|onnx)$|/$", word)]
        outputs = {after for word, after in zip(command.words, command.words[1:], strict=False) if word in _OUTPUTS}
        has_all = all(Path(word).exists() for word in named if word not in outputs) and "://" not in str(command)
        assert has_all or command.page not in ALL_RUN, f"not there for {command}"
        if has_all and command.words not in run:
            assert main(command.words[1:]) == 0, (str(command), capsys.readouterr().err)
            run.add(command.words)
    assert len(run) >= 20


_OUTPUTS = {"-o", "--output", "--csv", "--report", "--photo", "--strip", "--out", "--save-crops"}


def test_what_else_is_typed_is_there() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = set(tomllib.load(file)["project"]["optional-dependencies"])
    for command in commands("pip"):
        for wanted in re.findall(r"(?:^| )(?:\.|spiralage)\[([\w,-]+)\]", " ".join(command.words)):
            assert set(wanted.split(",")) <= extras, str(command)
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for command in commands("make"):
        assert set(command.words[1:]) <= targets, str(command)
    for command in commands("python"):
        if command.words[1].endswith(".py"):
            assert (ROOT / command.words[1]).is_file(), str(command)


def test_the_checks_find_what_is_wrong() -> None:
    for line in ("estimate photo.jpg --atleast 18", "train fish recipes/best.toml", "restore", "--versions", "estimat"):
        with pytest.raises(Exception, match=r"[Nn]o such|Missing"):
            parse(["spiralage", *line.split()])


@pytest.fixture
def _registries() -> Iterator[None]:
    """What an example registers is gone after it."""
    from spiralage.networks.backbones import BACKBONES

    registries: list[dict[Any, Any]] = [BACKBONES, OCCLUDERS, RESTORERS, SOURCES]
    before = [dict(registry) for registry in registries]
    yield
    for registry, rows in zip(registries, before, strict=True):
        registry.clear()
        registry.update(rows)


PYTHON = [  # tests/report has the others
    page for page in PAGES if examples(page) and page.name != "occluders.md"
]


@pytest.mark.parametrize("page", PYTHON, ids=lambda page: page.name)
@pytest.mark.usefixtures("_registries")
def test_examples_in_python_run(page: Path, at_home: Path) -> None:
    blocks = examples(page)
    for number, block in enumerate(blocks):
        names: dict[str, object] = {"__name__": f"example_{number}"}
        exec(compile(block, f"{page.name}, example {number + 1}", "exec"), names)
        if page.name == "extending.md":
            assert len([line for line in block.splitlines() if line.strip()]) <= 30
            _what_extending_promises(number, names, at_home)
    assert page.name != "extending.md" or len(blocks) == 4


def _what_extending_promises(number: int, names: dict[str, object], home: Path) -> None:
    """Each example made what its section is about."""
    from spiralage.networks.backbones import BACKBONES

    if number == 0:
        probabilities = names["probabilities"]
        assert probabilities.shape == (2, 101)  # type: ignore[attr-defined]
        assert "strides" in BACKBONES
    elif number == 1:
        assert (home / "mirrored.png").is_file()
        assert "mirror" in RESTORERS
    elif number == 2:
        cover = names["cover"]
        assert isinstance(cover, Cover)
        assert 0.02 < cover.mask.mean() < 0.1
        assert "eye-patch" in OCCLUDERS
    else:
        (home / "album").mkdir(exist_ok=True)
        for name in ("anna-31.jpg", "ben-7.jpg", "notes.jpg"):
            (home / "album" / name).write_bytes(name.encode())
        read = names["read_album"](home / "album")  # type: ignore[operator]
        assert [(row.subject, row.age, data) for row, data in read] == [
            ("anna", 31, b"anna-31.jpg"),
            ("ben", 7, b"ben-7.jpg"),
        ]


def test_the_recipe_for_ones_own_data_is_one() -> None:
    from spiralage.training.recipes import AgeRecipe

    text = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^```toml\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert AgeRecipe.model_validate(tomllib.loads(recipe)).data == "folder"
