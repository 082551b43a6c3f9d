"""Examples in docstrings (``>>>``) are shown as code, wherever they stand."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^(?P<indent> *)>>> .*\n?(?:(?P=indent)\S.*\n?)*", re.MULTILINE)
"""From the first ``>>>`` to the next empty line."""


def fenced(text: str) -> str:
    """A docstring with its examples between fences."""

    def block(match: re.Match[str]) -> str:
        indent = match["indent"]
        lines = match[0].rstrip("\n")
        return f"{indent}```pycon\n{lines}\n{indent}```\n"

    return EXAMPLE.sub(block, text)


class Examples(griffe.Extension):
    """Fences the examples of everything that is documented."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)
