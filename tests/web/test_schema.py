"""What OpenAPI says is what the service does: schemathesis makes requests of it, right ones and wrong ones."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI

from spiralage.types import PhotoReport
from spiralage.web.app import make_app

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis isn't installed: pip install '.[dev]'")
from hypothesis import HealthCheck, Phase, settings  # noqa: E402


class NoFace:
    """A pipeline that finds no face in anything; how faces are answered is tested with the networks that ship."""

    def estimate_many(self, photos: Any, *, keep_photos: bool) -> Any:
        yield from (PhotoReport("photo") for _ in photos)


APP = make_app(hosts=("127.0.0.1", "testserver"), make_pipeline=lambda *_: NoFace())  # type: ignore[arg-type]


@asynccontextmanager
async def no_end(_: FastAPI) -> AsyncIterator[None]:
    """schemathesis ends an application after every request; this one goes on."""
    yield


APP.router.lifespan_context = no_end
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", APP)
REFUSALS = {400, 404, 405, 413, 415, 422, 503}


@SCHEMA.parametrize()  # type: ignore[untyped-decorator]
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_described_or_a_sentence(case: Any) -> None:
    answer = case.call(base_url="http://127.0.0.1")
    assert answer.status_code < 500 or answer.status_code == 503
    if answer.status_code == 200:
        case.validate_response(answer, checks=[schemathesis.checks.CHECKS.get_one("response_schema_conformance")])
    else:
        assert answer.status_code in REFUSALS
        told = json.loads(answer.content)
        assert list(told) == ["error"]
        assert told["error"]
