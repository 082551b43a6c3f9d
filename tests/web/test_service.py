"""The service, in process: what it answers, refuses and bears."""

from __future__ import annotations

import asyncio
import base64
import io
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from spiralage.demo import portrait
from spiralage.pipeline import AgePipeline
from spiralage.types import PhotoReport
from spiralage.web.app import make_app
from spiralage.web.limits import Limits

BASE = "http://127.0.0.1:8000"
TOKEN = "0123456789abcdef"


def ask(app: FastAPI, *requests: dict[str, Any]) -> list[httpx.Response]:
    """The answers to requests that are sent at once."""

    async def send() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=BASE, timeout=60) as client:
            return list(await asyncio.gather(*(client.request(**{"method": "POST", **one}) for one in requests)))

    return asyncio.run(send())


def get(app: FastAPI, path: str, **more: Any) -> httpx.Response:
    return ask(app, {"method": "GET", "url": path, **more})[0]


def encoded(pixels: Any, format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


class Slow:
    """A pipeline that finds no face, once it may, and remembers how many photos came together."""

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Event()
        self.batches: list[int] = []

    def estimate_many(self, photos: Sequence[bytes], *, keep_photos: bool) -> Iterator[PhotoReport]:
        assert not keep_photos
        self.batches.append(len(photos))
        self.begun.set()
        assert self.go.wait(30)
        for photo in photos:
            yield PhotoReport("photo", error=None if photo == b"good" else "photo: not a picture")

    def goes_on_after(self, seconds: float) -> None:
        """Let it go on so long after it began."""

        def wait() -> None:
            assert self.begun.wait(30)
            time.sleep(seconds)
            self.go.set()

        threading.Thread(target=wait, daemon=True).start()


def slow_app(slow: Slow, **limits: Any) -> FastAPI:
    return make_app(limits=Limits(**limits), make_pipeline=lambda *_: slow)  # type: ignore[arg-type]


def ready_app(**limits: Any) -> tuple[FastAPI, Slow]:
    slow = Slow()
    slow.go.set()
    return slow_app(slow, **limits), slow


ESTIMATE = {"url": "/v1/estimate"}


@pytest.fixture(scope="module")
def real() -> FastAPI:
    """The service with the networks that ship; the picture is the face, so that no detector is in the way."""
    return make_app(
        make_pipeline=lambda hides, fills: AgePipeline(
            occlusion=hides, restorer=fills, detector="dlib", landmarks="dlib", min_quality="any", threads=1
        )
    )


@pytest.fixture(scope="module")
def face(real: FastAPI) -> dict[str, Any]:
    photo = encoded(portrait().pixels)
    query = "/v1/estimate?at_least=18&at_least=40&include=distribution&include=images"
    answer = ask(real, {"url": query, "content": photo, "headers": {"content-type": "image/png"}})[0]
    assert answer.status_code == 200, answer.text
    (one,) = answer.json()["photos"]
    assert one["error"] is None
    found: dict[str, Any] = one["faces"][0]
    return found


def uri_bytes(uri: str) -> bytes:
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(data)


def test_a_photo_has_what_the_command_line_says_and_more(face: dict[str, Any]) -> None:
    report = AgePipeline(detector="dlib", landmarks="dlib", min_quality="any", threads=1).estimate(portrait())[0]
    assert face["age"] == pytest.approx(report.age.mean, abs=0.01)
    assert face["distribution"] == pytest.approx(report.age.probabilities.tolist(), abs=1e-4)
    assert face["p_at_least"]["40"] == pytest.approx(face["p_at_least_all"][40], abs=1e-4)
    assert face["p_at_least_all"][40] == pytest.approx(report.age.p_at_least(40), abs=1e-3)
    aligned = np.asarray(Image.open(io.BytesIO(uri_bytes(face["images"]["aligned"]))))
    assert np.array_equal(aligned, report.aligned.pixels)


def test_a_face_is_read_again_with_what_was_drawn(real: FastAPI, face: dict[str, Any]) -> None:
    crop, mask = uri_bytes(face["images"]["aligned"]), np.zeros((256, 256, 3), np.uint8)
    mask[128:] = 255
    plain, drawn = ask(
        real,
        {"url": "/v1/read", "files": {"crop": crop}},
        {"url": "/v1/read?include=images", "files": {"crop": crop, "mask": encoded(mask)}},
    )
    assert plain.json()["hidden"] == 0
    assert plain.json()["age"] == pytest.approx(face["age"], abs=0.05)
    assert drawn.json()["hidden"] == 0.5
    assert drawn.json()["restored_by"] == "spiral"
    restored = np.asarray(Image.open(io.BytesIO(uri_bytes(drawn.json()["images"]["restored"]))))
    assert np.array_equal(restored[:128], np.asarray(Image.open(io.BytesIO(crop)))[:128])


def test_a_face_is_filled_in_turn_by_turn(real: FastAPI, face: dict[str, Any]) -> None:
    crop, mask = uri_bytes(face["images"]["aligned"]), np.full((256, 256, 3), 255, np.uint8)
    mask[40:168, 64:192] = 0
    files = {"crop": crop, "mask": encoded(mask)}
    with_turns, without = ask(
        real, {"url": "/v1/restore?turns=true", "files": files}, {"url": "/v1/restore", "files": files}
    )
    turns = with_turns.json()["turns"]
    assert len(turns) > 1
    assert turns[-1] == with_turns.json()["restored"] == without.json()["restored"]
    assert without.json()["turns"] == []


def test_the_report_is_one_page(real: FastAPI) -> None:
    files = [("photos", ("secret.png", encoded(portrait().pixels))), ("photos", ("b", b"no picture"))]
    (answer,) = ask(real, {"url": "/v1/report", "files": files})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.count("data:image/jpeg") >= 2  # the photo, and its face
    assert "not a picture" in answer.text
    assert "secret" not in answer.text


def test_several_photos_have_an_answer_each() -> None:
    app, _ = ready_app()
    (answer,) = ask(app, ESTIMATE | {"files": [("photos", ("a.jpg", b"good")), ("photos", ("secret.txt", b"bad"))]})
    assert [photo["error"] for photo in answer.json()["photos"]] == [None, "photo: not a picture"]
    assert "secret" not in answer.text


def test_requests_that_wait_are_read_together() -> None:
    slow = Slow()
    app = slow_app(slow)
    slow.goes_on_after(0.3)
    answers = ask(app, *[ESTIMATE | {"content": b"good"} for _ in range(6)])
    assert [answer.status_code for answer in answers] == [200] * 6
    assert sum(slow.batches) == 6
    assert len(slow.batches) <= 2  # the first, and all that came meanwhile


def test_who_comes_when_all_places_are_taken_is_told_when_to_come_back() -> None:
    slow = Slow()
    app = slow_app(slow, waiting=3)
    slow.goes_on_after(0.5)
    answers = ask(app, *[ESTIMATE | {"content": b"good"} for _ in range(8)])
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] * 3 + [503] * 5
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.headers["retry-after"] == "2"
    assert "come back" in refused.json()["error"]
    assert ask(app, ESTIMATE | {"content": b"good"})[0].status_code == 200  # there is room again


def test_a_request_that_takes_too_long_is_given_up() -> None:
    slow = Slow()
    app = slow_app(slow, seconds=0.2)
    (answer,) = ask(app, ESTIMATE | {"content": b"good"})
    slow.go.set()
    assert answer.status_code == 504
    assert "took too long" in answer.json()["error"]


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        ({"content": b""}, 422, "no photo came"),
        ({"files": [("photos", (f"{n}", b"good")) for n in range(3)]}, 422, "3 photos came, 2 may"),
        ({"files": [("pictures", ("a", b"good"))]}, 422, "no photo came"),
        ({"content": b"x" * 1_000_001}, 413, "a request may have 1 MB"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "can't be read"),
        ({"content": b"good", "params": {"at_least": 101}}, 422, "from 0 to 100"),
        ({"content": b"good", "params": {"restorer": "x"}}, 422, "restorer:"),
        ({"content": b"good", "params": {"occlusion": "../secret"}}, 422, "occlusion:"),
    ],
)
def test_what_cant_be_done_is_said_in_a_sentence(request_: dict[str, Any], status: int, says: str) -> None:
    app, _ = ready_app(photos=2, megabytes=1)
    (answer,) = ask(app, ESTIMATE | request_)
    assert answer.status_code == status
    assert says in answer.json()["error"]


def test_a_body_without_a_length_is_bounded_too() -> None:
    app, slow = ready_app(megabytes=1)

    async def pieces() -> Any:
        for _ in range(3):
            yield b"x" * 500_000

    (answer,) = ask(app, ESTIMATE | {"content": pieces()})
    assert answer.status_code == 413
    assert slow.batches == []


def test_a_body_that_never_ends_is_given_up_and_no_more_are_held_than_may_wait() -> None:
    app, slow = ready_app(seconds=0.3, waiting=2)
    held: set[int] = set()

    async def drip(number: int) -> Any:
        for _ in range(40):
            held.add(number)
            yield b"x"
            await asyncio.sleep(0.05)

    answers = ask(app, *[ESTIMATE | {"content": drip(number)} for number in range(5)])
    assert sorted(answer.status_code for answer in answers) == [503] * 3 + [504] * 2
    assert len(held) == 2
    assert slow.batches == []
    assert ask(app, ESTIMATE | {"content": b"good"})[0].status_code == 200  # there is room again


def test_a_large_form_stays_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_file(*_: Any, **__: Any) -> Any:
        raise AssertionError("a photo was written to a disk")

    monkeypatch.setattr("tempfile.TemporaryFile", no_file)
    monkeypatch.setattr("tempfile.NamedTemporaryFile", no_file)
    app, _ = ready_app()
    (answer,) = ask(app, ESTIMATE | {"files": [("photos", ("a", b"x" * 5_000_000))]})
    assert answer.json()["photos"][0]["error"] == "photo: not a picture"


def test_a_wrong_crop_or_mask_is_said(face: dict[str, Any]) -> None:
    app, _ = ready_app()
    crop, small = uri_bytes(face["images"]["aligned"]), encoded(np.zeros((8, 8, 3), np.uint8))
    for files, says in (
        ({"mask": crop}, "one part named crop"),
        ({"crop": small}, "has 256×256 pixels"),
        ({"crop": crop, "mask": small}, "mask: 256×256"),
        ({"crop": b"no picture"}, "crop: not a picture"),
    ):
        (answer,) = ask(app, {"url": "/v1/read", "files": files})
        assert answer.status_code == 422
        assert says in answer.json()["error"]
    (answer,) = ask(app, {"url": "/v1/read", "content": crop})
    assert answer.status_code == 415


def test_only_its_own_names_are_answered_to() -> None:
    app, _ = ready_app()
    assert get(app, "/healthz", headers={"host": "localhost:8000"}).status_code == 200
    assert get(app, "/healthz", headers={"host": "[::1]:8000"}).status_code == 200
    rebound = get(app, "/healthz", headers={"host": "evil.example"})
    assert rebound.status_code == 421
    assert rebound.headers["x-content-type-options"] == "nosniff"


def test_a_token_is_asked_for() -> None:
    slow = Slow()
    slow.go.set()
    app = make_app(token=TOKEN, make_pipeline=lambda *_: slow)  # type: ignore[arg-type]
    for headers, status in (
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401),
        ({"authorization": f"Bearer {TOKEN}"}, 200),
    ):
        (answer,) = ask(app, ESTIMATE | {"content": b"good", "headers": headers})
        assert answer.status_code == status
    assert get(app, "/metrics").status_code == 401
    assert get(app, "/healthz").status_code == 200


def test_every_answer_keeps_a_browser_from_harm() -> None:
    app, _ = ready_app()
    for path in ("/", "/docs", "/static/docs.css", "/openapi.json", "/nowhere"):
        headers = get(app, path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers
    page = get(app, "/docs").text
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "<script" not in page
    assert "/v1/estimate" in page


def test_metrics_count_and_name_nobody() -> None:
    app, _ = ready_app()
    ask(app, ESTIMATE | {"files": [("photos", ("secret.jpg", b"good"))]})
    get(app, "/secret")
    told = get(app, "/metrics").text
    assert 'spiralage_requests_total{path="/v1/estimate",status="200"} 1.0' in told
    assert 'spiralage_requests_total{path="other",status="404"} 1.0' in told
    assert "spiralage_waiting_requests 0.0" in told
    assert "secret" not in told


def test_openapi_describes_bodies_and_answers() -> None:
    app, _ = ready_app()
    schema = get(app, "/openapi.json").json()
    body = schema["paths"]["/v1/estimate"]["post"]["requestBody"]["content"]
    assert set(body) == {"multipart/form-data", "image/*"}
    face = schema["components"]["schemas"]["FaceAnswer"]
    assert {"age", "interval", "cant_tell", "distribution"} <= set(face["properties"])
    assert "distribution" not in face["required"]


def test_networks_that_cant_be_loaded_are_not_ready() -> None:
    def broken(*_: str) -> AgePipeline:
        raise RuntimeError("no weights")

    app = make_app(make_pipeline=broken)
    ask(app, ESTIMATE | {"content": b"good"})
    answer = get(app, "/readyz")
    assert answer.status_code == 503
    assert "no weights" in answer.json()["error"]
