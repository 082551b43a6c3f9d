"""The command serve: the pipeline over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from spiralage.cli.console import say
from spiralage.cli.options import Threads
from spiralage.errors import InputError, MissingExtraError, OptionError

TOKEN = "SPIRALAGE_TOKEN"  # noqa: S105  # the variable's name
SHORTEST_TOKEN = 16
GRACE_SECONDS = 30


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(serve)


def serve(
    host: Annotated[str, typer.Option(help="where to listen; anything but this machine wants a token")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(help=f"a file with the token that requests must send; or set {TOKEN}")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="a name by which the service is called, besides --host; repeatable")
    ] = None,
    megabytes: Annotated[int, typer.Option(min=1, max=1024, help="of a request, at most")] = 64,
    photos: Annotated[int, typer.Option(min=1, max=1000, help="in a request, at most")] = 32,
    waiting: Annotated[int, typer.Option(min=1, max=10_000, help="requests that may wait")] = 16,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="until a request is given up")] = 120,
    threads: Threads = None,
) -> None:
    """A page that reads ages, and the same over HTTP: /docs says how. Photos stay in memory."""
    try:
        import uvicorn

        from spiralage.web.app import make_app
        from spiralage.web.guard import is_loopback
        from spiralage.web.limits import Limits
    except ImportError as error:
        raise MissingExtraError("the service", "web") from error
    from spiralage.pipeline import AgePipeline

    token = _token(token_file)
    if token is None and not is_loopback(host):
        raise OptionError(f"--host {host} can be reached from other machines: give --token-file, or set {TOKEN}")
    local = ("127.0.0.1", "localhost", "::1")
    hosts = [] if host in ("0.0.0.0", "::") and not allow_host else [*local, host, *(allow_host or [])]  # noqa: S104
    app = make_app(
        limits=Limits(megabytes=megabytes, photos=photos, waiting=waiting, seconds=seconds),
        hosts=hosts,
        token=token,
        make_pipeline=lambda hides, fills: AgePipeline(occlusion=hides, restorer=fills, threads=threads),
    )
    say(f"http://{host}:{port}")
    uvicorn.run(
        app,
        host=host,
        port=port,
        access_log=False,  # addresses and paths are nobody's business
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=10 * waiting + 10,
        h11_max_incomplete_event_size=65536,
    )


def _token(file: Path | None) -> str | None:
    """The token, from its file or the environment; None where there is neither."""
    if file is None:
        token = os.environ.get(TOKEN)
    else:
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--token-file {file}: can't be read ({error}); check the path") from error
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise OptionError(f"the token is shorter than {SHORTEST_TOKEN} signs; make one: openssl rand -hex 32")
    return token
