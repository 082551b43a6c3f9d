"""Imports point one way, inward; nothing on a photo's way knows training or PyTorch; nothing goes round in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

import spiralage

ROOT = Path(spiralage.__file__).parent
PACKAGE = "spiralage"

LAYERS: list[set[str]] = [
    {"csv_lines", "distribution", "errors", "external_data", "native", "provenance", "telemetry", "text", "threads"}
    | {"version"},
    {"files", "types", "weights"},
    {"image_io", "mean_face", "model_files", "store"},
    {"runtime"},
    {"faces", "occlusion", "restoration", "age"},
    {"workers"},
    {"pipeline"},
    {"datasets", "report"},
    {"batch"},
    {"networks"},
    {"training"},
    {"evaluation", "export"},
    {"demo", "web"},
    {"cli"},
    {"__main__"},
    {PACKAGE},
]
"""The parts of the house, innermost first: a file imports its own part, and parts of its layer and of those before."""

RESEARCH = {"networks", "training", "evaluation", "export"}
TORCH = {"torch", "torchvision", "lightning_fabric", "kornia"}


def module_of(path: Path) -> str:
    """The module's dotted name: ``spiralage.faces.find``, ``spiralage.faces``."""
    parts = [PACKAGE, *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """What a tree imports, anywhere in it but for what only type checkers read; relative imports made absolute."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from imports(other, package)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*up, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)
        else:
            yield from imports(node, package)


@lru_cache
def imported(module: str) -> frozenset[str]:
    """What a module imports: own modules by name, others as they are written."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names = set(imports(ast.parse(path.read_text(encoding="utf-8")), package))
    return frozenset(own_module(name) if name.split(".")[0] == PACKAGE else name for name in names)


def own_module(name: str) -> str:
    """The module in which an imported name stands: the longest beginning of it that is one."""
    while name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def part(module: str) -> str:
    """The part of the house: ``faces`` for ``spiralage.faces.find``."""
    return module.split(".")[1] if "." in module else module


def layer(module: str) -> int:
    return next(number for number, parts in enumerate(LAYERS) if part(module) in parts)


def circle(graph: dict[str, set[str]]) -> list[str]:
    """A way through a graph that ends where it began; empty if there is none."""
    done: set[str] = set()

    def walk(node: str, way: list[str]) -> list[str]:
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return []
        for after in sorted(graph.get(node, ())):
            found = walk(after, [*way, node])
            if found:
                return found
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := walk(node, []))), [])


def test_the_reader_of_imports_sees_all_kinds() -> None:
    code = """
import a.b
from spiralage import types
from . import align
from ..errors import SpiralageError
if TYPE_CHECKING:
    import never
def f():
    try:
        import torch
    except ImportError:
        pass
"""
    expected = {"a.b", "spiralage.types", "spiralage.faces.align", "spiralage.errors.SpiralageError", "torch"}
    assert set(imports(ast.parse(code), "spiralage.faces")) == expected
    assert own_module("spiralage.errors.SpiralageError") == "spiralage.errors"
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}}) == []


def test_every_part_has_its_layer() -> None:
    assert {part(module) for module in MODULES} == set.union(*LAYERS)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_inward(module: str) -> None:
    outward = [other for other in imported(module) if other in MODULES and layer(other) > layer(module)]
    assert not outward


def test_no_circles_between_parts_nor_between_files() -> None:
    files = {module: {other for other in imported(module) if other in MODULES} - {module} for module in MODULES}
    parts: dict[str, set[str]] = {}
    for module, others in files.items():
        parts.setdefault(part(module), set()).update({part(other) for other in others} - {part(module)})
    assert circle(files) == []
    assert circle(parts) == []


def test_only_research_knows_pytorch() -> None:
    knowing = {module for module in MODULES if TORCH & {name.split(".")[0] for name in imported(module)}}
    assert {part(module) for module in knowing} <= RESEARCH
    assert knowing, "this test reads nothing"


def test_nothing_on_the_way_of_a_photo_knows_research() -> None:
    way, new = set[str](), {f"{PACKAGE}.pipeline"}
    while new:
        way |= new
        new = {other for module in new for other in imported(module) if other in MODULES} - way
    assert {"faces", "occlusion", "restoration", "age"} <= {part(module) for module in way}
    assert not {part(module) for module in way} & RESEARCH
