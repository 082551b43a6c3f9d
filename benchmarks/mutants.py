"""make mutants: do the tests fail when the code breaks? mutmut breaks it, a sample of each module → results/mutants.md.

What is broken and which tests must notice stands in pyproject.toml, [tool.mutmut]. It runs on a copy of the working
tree, in one process, quick mutants first, and stops in time.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from spiralage.files import write_text
from spiralage.provenance import commit, hardware

ROOT = Path(__file__).parents[1]
KILLED, SURVIVED, UNTESTED, TIMEOUT, CRASHED = "killed", "survived", "no tests", "timeout", "crashed"
STATUS = {0: SURVIVED, 1: KILLED, 3: KILLED, 5: UNTESTED, 33: UNTESTED, 24: TIMEOUT, -24: TIMEOUT, 36: TIMEOUT}
"""mutmut's exit codes; any other is a process that crashed, which a test run would not overlook."""


@dataclass(frozen=True)
class Module:
    """What became of a module's mutants.

    Args:
        name: the file, in the package.
        mutants: how many there are.
        outcomes: status → names of those that were tried.
    """

    name: str
    mutants: int
    outcomes: dict[str, list[str]]

    def count(self, status: str) -> int:
        """How many ended so."""
        return len(self.outcomes.get(status, ()))


def copy_tree(to: Path) -> None:
    """Copy what git tracks, as it is in the working tree."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def mutmut(tree: Path, *arguments: str, timeout: float | None = None) -> str:
    """Run mutmut in a copy; what it printed."""
    environment = os.environ | {"PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mutmut", *arguments]
    try:
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout + done.stderr


def codes(tree: Path) -> Iterator[tuple[Path, dict[str, int | None]]]:
    """Every mutated file that has mutants, with the exit code of each; None: not tried."""
    for path in sorted((tree / "mutants" / "src").rglob("*.meta")):
        found: dict[str, int | None] = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        if found:
            yield path, found


def module_of(tree: Path, path: Path, tried: dict[str, int | None]) -> Module:
    """A module's outcomes, read from mutmut's file."""
    outcomes: dict[str, list[str]] = {}
    for name, code in tried.items():
        if code is not None:
            outcomes.setdefault(STATUS.get(code, CRASHED), []).append(name)
    name = path.relative_to(tree / "mutants" / "src" / "spiralage").as_posix().removesuffix(".meta")
    return Module(name, len(tried), outcomes)


def changed_lines(tree: Path, name: str) -> str:
    """What a mutant changes, as a diff without its frame."""
    lines = mutmut(tree, "show", name).splitlines()
    return "\n".join(line for line in lines if line[:1] in "+-" and not line.startswith(("+++", "---")))


HEAD = """# Mutants

Written by `make mutants` (mutmut): {each} mutants of each module at most, drawn with seed {seed}, as many of them as
{minutes:g} minutes allow, on {hardware}, commit {commit}. *Killed*: a test failed, as it should. *Survived*: no test
noticed. *No tests*: none of the chosen tests runs that function. *Crashed*: the tests ended in another
way. What there is to break, and the tests that must
notice, stand in `pyproject.toml`.

| module | mutants | tried | killed | survived | timeout | no tests | crashed |
|---|---:|---:|---:|---:|---:|---:|---:|
"""


def page(tree: Path, modules: Sequence[Module], **settings: float | str) -> str:
    """The figures, and what the survivors change."""
    head = HEAD.format(**settings, hardware=hardware())
    total: Counter[str] = Counter()
    lines = []
    for module in modules:
        counts = {s: module.count(s) for s in (KILLED, SURVIVED, TIMEOUT, UNTESTED, CRASHED)}
        row = {"mutants": module.mutants, "tried": sum(counts.values()), **counts}
        total.update(row)
        lines.append(f"| `{module.name}` | " + " | ".join(map(str, row.values())) + " |\n")
    lines.append("| all | " + " | ".join(str(total[name]) for name in row) + " |\n")
    survivors = [(name, changed_lines(tree, name)) for m in modules for name in m.outcomes.get(SURVIVED, ())]
    told = [f"\n`{name}`\n\n```diff\n{diff}\n```\n" for name, diff in survivors]
    return head + "".join(lines) + ("\n## Survivors\n" if told else "") + "".join(told)


def main(
    output: Annotated[Path, typer.Option("--output", "-o", help="the results folder")] = ROOT / "results",
    each: Annotated[int, typer.Option(min=1, help="mutants of each module")] = 25,
    minutes: Annotated[float, typer.Option(min=0, help="at most, after the first run of the tests")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="of the sample")] = 0,
) -> None:
    """Break, test, count, and write the page."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        copy_tree(tree)
        code = commit()  # that is broken, not of the moment it ends
        said = mutmut(tree, "run", "none", "--max-children", "1")  # makes the mutants and learns which tests run what
        if "nothing matches" not in said:
            sys.exit(f"mutmut made no mutants:\n{said[-4000:]}")
        rng = random.Random(seed)
        samples = [rng.sample(sorted(found), min(each, len(found))) for _, found in codes(tree)]
        # In turns, so that where time runs out every module has had its share.
        names = [name for turn in itertools.zip_longest(*samples) for name in turn if name is not None]
        print(f"{len(names)} mutants", flush=True)
        mutmut(tree, "run", *names, "--max-children", "1", timeout=60 * minutes)
        modules = [module_of(tree, path, found) for path, found in codes(tree)]
        text = page(tree, modules, each=each, seed=seed, minutes=minutes, commit=code)
    write_text(output / "mutants.md", text)
    print(text)


if __name__ == "__main__":
    typer.run(main)
