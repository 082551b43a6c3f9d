"""The service as an ASGI application; ``spiralage serve`` runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import jinja2
import numpy as np
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.exceptions import HTTPException as StarletteHTTPException

from spiralage.errors import InputError, SpiralageError, told
from spiralage.faces.find import FoundFace
from spiralage.image_io import load_photo
from spiralage.occlusion.find import OcclusionName
from spiralage.pipeline import AgePipeline
from spiralage.report.page import page_html
from spiralage.restoration.restore import RestorerName, TurnByTurn, make_restorer, restore
from spiralage.types import CROP_SIZE, AlignedFace, Box, Face, Mask, Occlusion, Photo, PhotoReport, Pixels
from spiralage.version import __version__
from spiralage.web.answers import (
    FaceAnswer,
    Include,
    PhotosAnswer,
    Restored,
    data_uri,
    face_answer,
    photos_answer,
)
from spiralage.web.bodies import Door, read_parts, read_photos
from spiralage.web.guard import Guard
from spiralage.web.limits import Limits
from spiralage.web.work import BusyError, MakePipeline, Workshop

T = TypeVar("T")
STATIC = Path(__file__).parent / "static"
RETRY_SECONDS = 2
WHITE = 127
"""Brighter pixels of a mask are hidden."""
BUSY = f"as many requests wait as may; come back in {RETRY_SECONDS} seconds"

AtLeast = Annotated[list[int], Query(max_length=101, description="ages in years for which P(age ≥ t) is wanted")]
Includes = Annotated[list[Include], Query(max_length=2, description="what is wanted besides")]
Finds = Annotated[OcclusionName, Query(description="what tells what is hidden")]
Fills = Annotated[RestorerName, Query(description="who fills it in before the age is read")]


def _form(*names: str, raw: bool = False) -> dict[str, Any]:
    """How OpenAPI describes a body of files."""
    file = {"type": "string", "format": "binary"}
    parts: dict[str, Any] = {name: file for name in names if name != "photos"}
    if "photos" in names:
        parts["photos"] = {"type": "array", "items": file}
    schema = {"type": "object", "properties": parts, "required": [names[0]]}
    content: dict[str, Any] = {"multipart/form-data": {"schema": schema}}
    if raw:
        content["image/*"] = {"schema": file}
    return {"requestBody": {"required": True, "content": content}}


class Measures:
    """What ``/metrics`` tells: numbers, never names or pictures."""

    def __init__(self, workshop: Workshop) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("spiralage_requests", "answered requests", ["path", "status"], registry=self.registry)
        self.seconds = Histogram("spiralage_request_seconds", "seconds of a request", ["path"], registry=self.registry)
        self.faces = Counter("spiralage_faces", "faces read", registry=self.registry)
        waiting = Gauge("spiralage_waiting_requests", "requests that wait", registry=self.registry)
        waiting.set_function(lambda: workshop.waiting)


def make_app(
    *,
    limits: Limits | None = None,
    hosts: Sequence[str] = ("127.0.0.1", "localhost", "::1"),
    token: str | None = None,
    make_pipeline: MakePipeline | None = None,
) -> FastAPI:
    """The service.

    Args:
        limits: what it bears.
        hosts: names by which it may be called; empty = any.
        token: who asks must send it; None = nobody must.
        make_pipeline: makes the pipeline of a way, (occlusion, restorer) → pipeline.
    """
    limits = limits or Limits()
    workshop = Workshop(make_pipeline or (lambda hides, fills: AgePipeline(occlusion=hides, restorer=fills)), limits)
    measures = Measures(workshop)
    door = Door(limits)
    ready = workshop.warm()

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(workshop.close)

    app = FastAPI(title="spiralage", version=__version__, docs_url=None, redoc_url=None, lifespan=life)
    app.add_middleware(Guard, hosts=hosts, token=token)
    app.middleware("http")(partial(_measured, measures))
    for kind in (StarletteHTTPException, RequestValidationError, SpiralageError, BusyError, TimeoutError):
        app.add_exception_handler(kind, _refused)

    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    async def index() -> HTMLResponse:
        return HTMLResponse((STATIC / "index.html").read_text(encoding="utf-8"))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(_docs_page(app.openapi()))

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The service is there."""
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        """Its networks are loaded, and it can take a request."""
        if not ready.done():
            return JSONResponse({"error": "networks are being loaded; wait"}, 503, {"Retry-After": str(RETRY_SECONDS)})
        failed = ready.exception()
        return JSONResponse(
            {"error": told(failed)} if isinstance(failed, Exception) else {"status": "ready"}, 503 if failed else 200
        )

    @app.get("/metrics")
    async def metrics() -> Response:
        """Prometheus' text format."""
        return Response(generate_latest(measures.registry), media_type=CONTENT_TYPE_LATEST)

    @app.post("/v1/estimate", openapi_extra=_form("photos", raw=True))
    async def estimate(
        request: Request,
        at_least: AtLeast = [],  # noqa: B006  # FastAPI copies it
        include: Includes = [],  # noqa: B006
        occlusion: Finds = "auto",
        restorer: Fills = "spiral",
    ) -> PhotosAnswer:
        """The age of every face in photos."""
        if not all(0 <= age <= 100 for age in at_least):
            raise HTTPException(422, "at_least: ages from 0 to 100 years")
        photos = await door.admit(lambda: read_photos(request, limits))
        reports: list[PhotoReport] = await _wait(workshop.read(photos, (occlusion, restorer)), limits)
        measures.faces.inc(sum(len(report.faces) for report in reports))
        return await asyncio.to_thread(photos_answer, reports, at_least, include, limits.pictured)

    @app.post("/v1/read", openapi_extra=_form("crop", "mask"))
    async def read(
        request: Request,
        at_least: AtLeast = [],  # noqa: B006
        include: Includes = [],  # noqa: B006
        restorer: Fills = "spiral",
    ) -> FaceAnswer:
        """The age of an aligned face, 256×256 pixels, of which you say what is hidden: a mask, white = hidden."""
        crop, mask = await door.admit(lambda: _face_of(request, limits))

        def work(pipeline: AgePipeline) -> FaceAnswer:
            face = FoundFace(Face(Box(0, 0, CROP_SIZE, CROP_SIZE), detector="given"), _aligned(crop))
            (report,) = pipeline.read([face], [Occlusion(mask)])
            return face_answer(report, at_least, include)

        return await _wait(workshop.do(("auto", restorer), work), limits)

    @app.post("/v1/restore", openapi_extra=_form("crop", "mask"))
    async def restored(request: Request, turns: bool = False, restorer: Fills = "spiral") -> Restored:
        """An aligned face with its hidden part filled in, and, if asked for, the turns of the spiral."""
        crop, mask = await door.admit(lambda: _face_of(request, limits))

        def work(_: AgePipeline) -> Restored:
            fills = make_restorer(restorer)
            (found,) = restore(fills, [_aligned(crop)], [Occlusion(mask)])
            pictures = fills.turns(crop, mask) if turns and isinstance(fills, TurnByTurn) and mask.any() else []
            return {
                "restored": data_uri(found.pixels),
                "restored_by": found.restorer,
                "turns": [data_uri(picture) for picture in pictures],
            }

        return await _wait(workshop.do(("auto", "spiral"), work), limits)

    @app.post("/v1/report", openapi_extra=_form("photos", raw=True), response_class=HTMLResponse)
    async def report(request: Request, occlusion: Finds = "auto", restorer: Fills = "spiral") -> HTMLResponse:
        """The report of photos: one page that needs nothing from elsewhere."""
        photos = await door.admit(lambda: read_photos(request, limits))

        def work(pipeline: AgePipeline) -> str:
            reports = pipeline.estimate_many(photos, keep_photos=True)
            named = (replace(one, image=f"photo {number}") for number, one in enumerate(reports, 1))
            return page_html("spiralage", named)

        return HTMLResponse(await _wait(workshop.do((occlusion, restorer), work), limits))

    return app


async def _wait(answer: Future[T], limits: Limits) -> T:
    """A job's answer; TimeoutError after the time a request has."""
    return await asyncio.wait_for(asyncio.wrap_future(answer), limits.seconds)


async def _face_of(request: Request, limits: Limits) -> tuple[Pixels, Mask]:
    """The crop and the mask of a request; without a mask nothing is hidden."""
    parts = await read_parts(request, limits)
    if len(parts.get("crop", [])) != 1 or len(parts.get("mask", [])) > 1:
        raise HTTPException(422, "send one part named crop, and one named mask at most")
    photo: Photo = await asyncio.to_thread(load_photo, parts["crop"][0], name="crop")
    if photo.size != (CROP_SIZE, CROP_SIZE):
        raise HTTPException(422, f"crop: an aligned face has {CROP_SIZE}×{CROP_SIZE} pixels, got {photo.size}")
    if not parts.get("mask"):
        return photo.pixels, np.zeros((CROP_SIZE, CROP_SIZE), np.bool_)
    drawn = await asyncio.to_thread(load_photo, parts["mask"][0], name="mask")
    if drawn.size != (CROP_SIZE, CROP_SIZE):
        raise HTTPException(422, f"mask: {CROP_SIZE}×{CROP_SIZE} pixels are needed, got {drawn.size}")
    return photo.pixels, drawn.pixels.mean(axis=2) > WHITE


def _aligned(crop: Pixels) -> AlignedFace:
    return AlignedFace(crop, np.eye(2, 3), np.ones((CROP_SIZE, CROP_SIZE), np.bool_))


async def _measured(
    measures: Measures, request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    started = asyncio.get_running_loop().time()
    response = await call_next(request)
    route = request.scope.get("route")
    path = getattr(route, "path", "other")  # never what was asked for: there is no end to that
    measures.requests.labels(path, response.status_code).inc()
    measures.seconds.labels(path).observe(asyncio.get_running_loop().time() - started)
    return response


async def _refused(_: Request, error: Exception) -> JSONResponse:
    """Every refusal is a sentence that says what to do."""
    if isinstance(error, BusyError):
        return JSONResponse({"error": BUSY}, 503, {"Retry-After": str(RETRY_SECONDS)})
    if isinstance(error, TimeoutError):
        return JSONResponse({"error": "it took too long and was given up; send fewer or smaller photos"}, 504)
    if isinstance(error, StarletteHTTPException):
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"][1:])
        return JSONResponse({"error": f"{where}: {first['msg']}"}, 422)
    return JSONResponse({"error": told(error)}, 422 if isinstance(error, InputError) else 500)


def _docs_page(schema: dict[str, Any]) -> str:
    """The operations of an OpenAPI description, as a page that needs nothing from elsewhere."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("spiralage.web", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    operations = [
        {
            "verb": verb.upper(),
            "path": path,
            "does": one.get("description", ""),
            "takes": [*one.get("requestBody", {}).get("content", {})],
            "asks": one.get("parameters", []),
        }
        for path, verbs in schema["paths"].items()
        for verb, one in verbs.items()
    ]
    return environment.get_template("docs.html.j2").render(version=schema["info"]["version"], operations=operations)
