"""Request bodies, bounded and in memory: nothing that was sent is written to a disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from spiralage.web.limits import MEGABYTE, Limits
from spiralage.web.work import BusyError

T = TypeVar("T")


class Door:
    """Lets as many bodies in at once as requests may wait, each for as long as a request may take.

    Without it, many large bodies would be held before the queue is asked, and one that never ends would keep its place.
    """

    def __init__(self, limits: Limits) -> None:
        self._free = limits.waiting
        self._seconds = limits.seconds

    async def admit(self, body: Callable[[], Awaitable[T]]) -> T:
        """What ``body`` reads; raises BusyError before it is called, or TimeoutError."""
        if self._free == 0:
            raise BusyError
        self._free -= 1
        try:
            return await asyncio.wait_for(body(), self._seconds)
        finally:
            self._free += 1


class _InMemory(MultiPartParser):
    """A parser that never spools to a file: what it is given is bounded before."""

    spool_max_size = 2**40


async def read_photos(request: Request, limits: Limits) -> list[bytes]:
    """The photos of a request: the parts ``photos`` of a multipart body, or the body itself.

    Raises:
        HTTPException: too large (413), too many or none (422), or no form (400).
    """
    if _is_form(request):
        parts = await read_parts(request, limits)
        photos = parts.get("photos", [])
    else:
        photos = [body] if (body := await _whole(request, limits)) else []
    if not photos:
        raise HTTPException(422, "no photo came; send photos as multipart parts named photos, or one as the body")
    if len(photos) > limits.photos:
        raise HTTPException(422, f"{len(photos)} photos came, {limits.photos} may; send them in several requests")
    return photos


async def read_parts(request: Request, limits: Limits) -> dict[str, list[bytes]]:
    """The parts of a multipart body, by name, in order.

    Raises:
        HTTPException: as ``read_photos``; 415 where the body is no multipart form.
    """
    if not _is_form(request):
        raise HTTPException(415, "send a multipart/form-data body")
    parser = _InMemory(
        request.headers,
        _bounded(request, limits),
        max_files=limits.photos + 2,
        max_fields=0,
        max_part_size=limits.megabytes * MEGABYTE,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:  # KeyError: a form that names no boundary
        raise HTTPException(400, f"the form can't be read ({error}); send files as multipart/form-data") from error
    parts: dict[str, list[bytes]] = {}
    for name, part in form.multi_items():
        if isinstance(part, UploadFile):
            parts.setdefault(name, []).append(await part.read())
    await form.close()
    return parts


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


async def _whole(request: Request, limits: Limits) -> bytes:
    return b"".join([chunk async for chunk in _bounded(request, limits)])


async def _bounded(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    """The body's pieces; raises HTTPException where there is too much, before it is held."""
    most = limits.megabytes * MEGABYTE
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise _too_large(limits)
    got = 0
    async for chunk in request.stream():
        got += len(chunk)
        if got > most:
            raise _too_large(limits)
        yield chunk


def _too_large(limits: Limits) -> HTTPException:
    return HTTPException(413, f"a request may have {limits.megabytes} MB; send fewer or smaller photos")
