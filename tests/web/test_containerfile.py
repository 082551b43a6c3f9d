"""What the Containerfile promises, as far as reading it tells: no root, no token in it, weights inside, its health."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from typer.main import get_command

from spiralage.cli import make_app

ROOT = Path(__file__).parents[2]
TEXT = re.sub(r"\\\n\s*", "", (ROOT / "Containerfile").read_text(encoding="utf-8"))
STEPS = [line.partition(" ")[::2] for line in TEXT.splitlines() if line and not line.startswith("#")]
LAST = STEPS[max(number for number, (verb, _) in enumerate(STEPS) if verb == "FROM") :]


def only(verb: str) -> str:
    (argument,) = [argument for name, argument in LAST if name == verb]
    return argument


def test_it_runs_as_nobody_and_writes_only_where_nothing_stays() -> None:
    assert int(only("USER")) > 0
    assert [name for name, _ in LAST].index("USER") < [name for name, _ in LAST].index("ENTRYPOINT")
    environment = dict(pair.split("=", 1) for pair in shlex.split(only("ENV")))
    assert environment["XDG_CACHE_HOME"] == environment["HOME"] == only("WORKDIR") == "/tmp"
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert "--read-only" in TEXT


def test_no_token_is_in_it_and_nothing_is_fetched_when_it_runs() -> None:
    assert not [argument for verb, argument in STEPS if verb in ("ENV", "ARG") and "TOKEN" in argument]
    assert not [argument for verb, argument in LAST if verb == "ADD" or "pip" in argument or "curl" in argument]


def test_its_command_is_one_of_the_program() -> None:
    name, *options = json.loads(only("ENTRYPOINT"))[1:]
    command = get_command(make_app([name])).commands[name]  # type: ignore[attr-defined]
    known = {flag for parameter in command.params for flag in parameter.opts}
    assert {option for option in options if option.startswith("--")} <= known


def test_its_health_is_asked_of_its_own_port() -> None:
    options = json.loads(only("ENTRYPOINT"))
    port = options[options.index("--port") + 1]
    assert port == only("EXPOSE")
    code = json.loads(only("HEALTHCHECK").partition("CMD ")[2])[2]
    assert f"http://127.0.0.1:{port}/readyz" in code
    compile(code, "HEALTHCHECK", "exec")


def test_what_it_installs_is_let_in() -> None:
    let_in = {line[1:] for line in (ROOT / ".containerignore").read_text(encoding="utf-8").split() if line[0] == "!"}
    assert {"src", "pyproject.toml", "constraints.txt"} <= let_in
    assert all((ROOT / name).exists() for name in let_in)
    assert (ROOT / "src/spiralage/weights/manifest.toml").is_file()
