"""What stands before every request: hosts, the token, and headers that keep a browser from harm."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
OPEN = ("/", "/healthz", "/readyz")
"""What answers without a token, as the page's own files do: it tells nothing but that the service is there."""


def is_loopback(host: str) -> bool:
    """Whether a service on this host can be reached from this machine alone.

    >>> [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "192.168.1.2", "example.org")]
    [True, True, True, False, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_of(header: str) -> str:
    """The host in a Host header, without its port.

    >>> [host_of(header) for header in ("127.0.0.1:8000", "[::1]:8000", "Localhost")]
    ['127.0.0.1', '::1', 'localhost']
    """
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


class Guard:
    """An ASGI middleware: refuses foreign hosts (DNS rebinding) and wrong tokens, and adds ``HEADERS``.

    Args:
        app: what is guarded.
        hosts: names by which the service may be called; empty = any, which wants a token.
        token: who asks must send it as ``Authorization: Bearer …``; None = nobody must.
    """

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str], token: str | None) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await (refusal or self._app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        if self._hosts and host_of(headers.get("host", "")) not in self._hosts:
            return JSONResponse({"error": "this service isn't called so; call it by the address it says"}, 421)
        free = scope["path"] in OPEN or scope["path"].startswith("/static/")
        if self._token is not None and not free:
            kind, _, given = headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token):
                message = "a token is needed; send it as Authorization: Bearer TOKEN"
                return JSONResponse({"error": message}, 401, {"WWW-Authenticate": "Bearer"})
        return None
