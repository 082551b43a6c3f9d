"""Imports point one way, inward; and only research code knows PyTorch."""

from __future__ import annotations

import ast
from pathlib import Path

import spiralage

ROOT = Path(spiralage.__file__).parent

# Every room may import itself, the rooms named beside it, and the root modules listed under "base".
BASE = {"errors", "files", "text", "types", "version", "age.distribution"}
ALLOWED = {
    "types": {"age.distribution"},
    "image_io": BASE,
    "model_files": BASE,
    "weights": BASE,
    "runtime": BASE | {"weights"},
    "provenance": set(),
    "faces": BASE | {"image_io", "model_files"},
    "occlusion": BASE | {"faces", "weights"},
    "restoration": BASE | {"weights", "runtime", "occlusion.window"},
    "age": BASE | {"runtime"},
    "pipeline": BASE | {"image_io", "faces", "occlusion", "restoration", "age"},
    "report": BASE,
    "datasets": BASE | {"image_io", "faces"},
}
RESEARCH = ("networks/", "training/", "evaluation/", "export/")


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_rooms_import_only_inward() -> None:
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if room not in ALLOWED:
            continue
        for name in imports_of(path):
            inner = name.removeprefix("spiralage.")
            if inner == name or inner.split(".")[0] == room:
                continue
            if not any(inner == ok or inner.startswith(ok + ".") for ok in ALLOWED[room]):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_only_research_code_knows_torch() -> None:
    knowing = {
        str(path.relative_to(ROOT).as_posix())
        for path in ROOT.rglob("*.py")
        if any(name.split(".")[0] == "torch" for name in imports_of(path))
    }
    outside = {name for name in knowing if not name.startswith(RESEARCH)}
    # The command for training sets PyTorch's threads, and a result names the GPU: both inside functions.
    assert outside <= {"cli/options.py", "provenance.py", "faces/fan.py"}
