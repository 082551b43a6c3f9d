"""The commands and examples that pages show, as tests want them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from spiralage.cli import make_app

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "results/README.md"], key=lambda page: (page.name, page)
)


@dataclass(frozen=True)
class Command:
    """A command that a page shows.

    Args:
        page: the page's path in the repository.
        words: as a shell would split it, without comments.
    """

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def commands(program: str) -> list[Command]:
    """Every command of that program on any page, each once a page; also in a pipe or after ``&&``."""
    found = []
    for page in PAGES:
        for line in _lines(page.read_text(encoding="utf-8")):
            lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
            lexer.whitespace_split = True
            part: list[str] = []
            for word in [*lexer, ";"]:
                if not set(word) <= set("|&;<>"):
                    part.append(word)
                    continue
                if part and part[0] == program:
                    found.append(Command(page.relative_to(ROOT).as_posix(), tuple(part)))
                part = []
    return list(dict.fromkeys(found))


def _lines(text: str) -> Iterator[str]:
    """The lines of shell in a page: its sh blocks, and what is indented by four and starts with one of our programs."""
    for block in re.findall(r"^```(?:sh|bash|shell)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"^    ((?:spiralage|python|make|pip) .*)$", text, flags=re.MULTILINE)


def examples(page: Path) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def parse(words: Sequence[str]) -> None:
    """Read a command line of spiralage as the program would, without running it; raises what is wrong with it."""
    command: Any = typer.main.get_command(make_app(()))
    name, arguments, context = words[0], list(words[1:]), None
    while hasattr(command, "resolve_command"):
        if arguments[0].startswith("-"):  # an option of the program itself, which does its work while it is read
            assert any(arguments[0] in each.opts for each in command.params), f"no such option: {arguments[0]}"
            return
        context = command.make_context(name, arguments, parent=context)
        name, command, arguments = command.resolve_command(context, arguments)
    command.make_context(name, arguments, parent=context)
