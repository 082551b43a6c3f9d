"""A command loads what it uses, and no more: the first photo shouldn't wait for what it doesn't need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spiralage.image_io import save_picture
from spiralage.types import Photo

UNUSED = {
    *("torch", "kornia", "lightning_fabric", "scipy", "skimage", "matplotlib", "onnx", "openvino", "pandas", "polars"),
    *("jinja2", "pooch", "requests", "platformdirs", "pydantic", "rich", "dlib", "asyncio"),
}


def loaded(folder: Path, *arguments: str) -> set[str]:
    """The packages in memory when a command has ended well."""
    code = (
        "import sys; from spiralage.cli import main; assert main(sys.argv[1:]) == 0\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("output", [[], ["--json"], ["--csv", "ages.csv"]], ids=" ".join)
def test_estimate_loads_only_what_it_uses(tmp_path: Path, portrait: Photo, output: list[str]) -> None:
    save_picture(tmp_path / "a.png", portrait.pixels)
    packages = loaded(tmp_path, "estimate", "a.png", "--detector", "none", *output)
    assert {"numpy", "onnxruntime", "typer"} <= packages
    assert not packages & UNUSED


def test_the_page_is_loaded_where_it_is_asked_for(tmp_path: Path, portrait: Photo) -> None:
    save_picture(tmp_path / "a.png", portrait.pixels)
    packages = loaded(tmp_path, "estimate", "a.png", "--detector", "none", "--report", "r")
    assert packages & UNUSED == {"jinja2", "asyncio"} & packages


def test_commands_of_one_group_do_not_load_the_others(tmp_path: Path) -> None:
    assert not loaded(tmp_path, "models") & (UNUSED - {"platformdirs", "dlib"})
