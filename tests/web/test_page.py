"""The page of ``spiralage serve``, in a real browser against the real service."""

from __future__ import annotations

import io
import json
import math
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect, sync_playwright

from spiralage.demo import portrait
from spiralage.pipeline import AgePipeline
from spiralage.types import Pixels
from spiralage.web.app import make_app

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; apt-get install chromium")
TOKEN = "0123456789abcdef"
PATIENCE = 60_000
"""Milliseconds for an answer, on a busy machine."""


def png(name: str, pixels: Pixels) -> FilePayload:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": buffer.getvalue()}


HEAD = portrait().pixels[40:240, 100:356]
PORTRAIT = png("portrait.png", HEAD)
NOT_A_PICTURE: FilePayload = {"name": "notes.png", "mimeType": "image/png", "buffer": b"not a picture"}


class Served:
    """An app on a free port of this machine, in a thread."""

    def __init__(self, app: FastAPI) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.02)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self._socket.close()


def app(**more: Any) -> FastAPI:
    return make_app(
        make_pipeline=lambda hides, fills: AgePipeline(
            occlusion=hides, restorer=fills, detector="dlib", landmarks="dlib", threads=1
        ),
        **more,
    )


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    served = Served(app())
    yield served.url
    served.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    options = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield chromium
        chromium.close()


class Ears:
    """What a page says beside what it shows: errors, violations of its policy, requests."""

    def __init__(self, page: Page) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def others(self, url: str) -> list[str]:
        return [asked for asked in self.asked if not asked.startswith((url + "/", "blob:" + url, "data:"))]


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    """A page that has to ask nobody but its server, break no policy and leave the console clean."""
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        ears = Ears(page)
        page.goto(url)
        yield page
        assert ears.said == []
        assert ears.others(url) == []
        assert url + "/static/app.js" in ears.asked


def give(page: Page, *files: FilePayload) -> Locator:
    """Choose files; the cards of faces, once the last photo was read."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose photos…").click()
    chooser.value.set_files(list(files))
    last = page.locator("section.photo").last
    expect(last).not_to_have_attribute("aria-busy", "true")
    return page.locator("article.face")


@pytest.fixture(scope="module")
def told(url: str) -> dict[str, Any]:
    """What the interface says of the portrait."""
    files = {"photos": ("portrait.png", PORTRAIT["buffer"], "image/png")}
    query = {"at_least": ["1", "18", "30", "65", "100"]}
    answer = httpx.post(url + "/v1/estimate", files=files, params=query, timeout=60)
    face: dict[str, Any] = answer.raise_for_status().json()["photos"][0]["faces"][0]
    return face


def hidden(face: Locator) -> float:
    """The hidden part that a card tells, percent."""
    text = face.locator(".hidden-part").inner_text()
    found = re.search(r"(\d+) %", text)
    return float(found[1]) if found else 0.0


def open_tools(face: Locator) -> None:
    face.get_by_text("Draw what is hidden").click()


def read_again(face: Locator) -> None:
    face.get_by_role("button", name="Read again").click()
    expect(face).not_to_have_attribute("aria-busy", "true")
    expect(face.locator(".error")).to_be_empty()


def test_a_face_is_boxed_and_its_age_is_told(page: Page, told: dict[str, Any]) -> None:
    face = give(page, PORTRAIT)
    age, low, high = (math.floor(years + 0.5) for years in (told["age"], *told["interval"]))  # as browsers round
    how = "" if told["calibrated"] else " (not calibrated)"
    expect(face.locator(".answer")).to_have_text(f"About {age}, between {low} and {high} in nine of ten cases{how}.")
    expect(page.locator("rect.box")).to_have_count(1)
    x, _, width, _ = told["box"]
    assert float(page.locator("rect.box").get_attribute("x") or "") == x
    assert float(page.locator("rect.box").get_attribute("width") or "") == width
    expect(face.locator("rect.bar")).to_have_count(101)
    expect(page.locator("#status")).to_contain_text("portrait.png: 1 face")


def test_the_slider_says_what_the_interface_says(page: Page, told: dict[str, Any]) -> None:
    face = give(page, PORTRAIT)
    for year, p in told["p_at_least"].items():
        page.get_by_role("slider", name="At least this old?").fill(year)
        assert face.locator("data").get_attribute("value") == f"{p:.4f}"
        expect(face.locator(".at-least")).to_contain_text(f"At least {year}: ")


def test_what_is_drawn_is_read_again_turn_by_turn(page: Page) -> None:
    face = give(page, PORTRAIT)
    before, answer = hidden(face), face.locator(".answer").inner_text()
    open_tools(face)
    board = face.locator("canvas")
    board.scroll_into_view_if_needed()
    frame = board.bounding_box()
    assert frame is not None
    left, middle = frame["x"], frame["y"] + 0.7 * frame["height"]
    face.get_by_label("Size").fill("40")
    page.mouse.move(left + 0.25 * frame["width"], middle)
    page.mouse.down()
    page.mouse.move(left + 0.75 * frame["width"], middle, steps=4)
    page.mouse.up()
    read_again(face)
    drawn = hidden(face)
    assert drawn > before + 15
    assert face.locator(".answer").inner_text() != answer
    expect(face.locator(".hidden-part")).to_contain_text("as you drew it. It was filled in by spiral")

    face.get_by_role("button", name="Turn by turn").click()
    slider = face.get_by_label("Turn", exact=True)
    last = face.locator(".restored img").get_attribute("src")
    slider.fill("1")
    expect(face.locator(".turns output")).to_have_text(re.compile(r"^1 of [2-9]"))
    assert face.locator(".restored img").get_attribute("src") != last

    face.get_by_label("Erase").check()
    page.mouse.move(left + 0.25 * frame["width"], middle)
    page.mouse.down()
    page.mouse.move(left + 0.4 * frame["width"], middle)
    page.mouse.up()
    read_again(face)
    assert hidden(face) < drawn


def test_the_keyboard_draws_too(page: Page) -> None:
    face = give(page, PORTRAIT)
    open_tools(face)
    share = face.locator(".share")
    face.get_by_role("button", name="Clear").click()
    expect(share).to_have_text("0 %")
    board = face.get_by_role("application")
    board.focus()
    for key in ("ArrowDown", "ArrowLeft", "Space"):
        board.press(key)
    expect(share).to_have_text("1 %")
    face.get_by_role("button", name="Undo").click()
    expect(share).to_have_text("0 %")
    face.get_by_label("Which part of the face").select_option("Lower half")
    face.get_by_role("button", name="Hide").click()
    expect(share).to_have_text("50 %")
    face.get_by_role("button", name="As found").click()
    expect(face.get_by_role("button", name="Read again")).to_be_disabled()


def test_a_wrong_file_gets_a_sentence_and_others_go_on(page: Page) -> None:
    faces = give(page, NOT_A_PICTURE, PORTRAIT)
    wrong = page.get_by_role("region", name="notes.png")
    expect(wrong.locator(".note.error")).to_contain_text("picture")
    expect(wrong.locator("img")).to_have_count(0)
    expect(wrong.get_by_text("This browser can’t show")).to_have_count(0)
    expect(faces).to_have_count(1)


def test_two_photos_one_with_two_faces(page: Page) -> None:
    both = png("two.png", np.concatenate([HEAD] * 2, axis=1))
    faces = give(page, both, PORTRAIT)
    expect(faces).to_have_count(3)
    expect(page.get_by_role("region", name="two.png").locator("text.box-number")).to_have_text(["1", "2"])
    page.get_by_role("button", name="Forget all photos").click()
    expect(faces).to_have_count(0)
    expect(page.get_by_role("slider", name="At least this old?")).to_be_hidden()


def test_dropped_and_from_the_camera(page: Page) -> None:
    page.evaluate(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
            const drop = { dataTransfer: transfer, bubbles: true, cancelable: true };
            document.body.dispatchEvent(new DragEvent("drop", drop));
        }""",
        list(png("", np.zeros((64, 64, 3), np.uint8))["buffer"]),
    )
    expect(page.get_by_role("region", name="dropped.png").locator(".note")).to_have_text("No face found.")
    page.get_by_role("button", name="Camera…").click()
    page.get_by_role("button", name="Take the picture").click()
    expect(page.get_by_role("region", name="camera").locator(".note")).to_have_text("No face found.")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_downloads(page: Page, told: dict[str, Any], tmp_path: Path) -> None:
    give(page, PORTRAIT)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download JSON").click()
    saved.value.save_as(tmp_path / "a.json")
    (photo,) = json.loads((tmp_path / "a.json").read_text())
    assert photo["image"] == "portrait.png"
    assert photo["faces"][0]["age"] == told["age"]
    assert photo["faces"][0]["p_at_least"] == {"18": told["p_at_least"]["18"]}
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download HTML report").click()
    saved.value.save_as(tmp_path / "a.html")
    html = (tmp_path / "a.html").read_text()
    assert "<html" in html
    assert f"{told['age']:.1f} years" in html


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_cut_and_axe_finds_no_violation(browser: Browser, url: str, scheme: Any) -> None:
    with browser.new_context(
        color_scheme=scheme, viewport={"width": 360, "height": 740}, reduced_motion="reduce", has_touch=True
    ) as context:
        page = context.new_page()
        ears = Ears(page)
        page.goto(url)
        axe = Axe()
        assert axe.run(page).generate_report().startswith("Found 0")
        face = give(page, PORTRAIT, NOT_A_PICTURE)
        open_tools(face)
        face.get_by_label("Which part of the face").select_option("Eyes")
        face.get_by_role("button", name="Hide").click()
        read_again(face)
        face.get_by_role("button", name="Turn by turn").click()
        expect(face.locator(".turns")).to_be_visible(timeout=PATIENCE)
        page.get_by_text("Settings for the next photos").click()
        found = axe.run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 20, 22)"
        assert dark == (scheme == "dark")
        assert ears.said == []


def test_a_token_is_asked_for_and_kept_in_memory_only(browser: Browser) -> None:
    served = Served(app(token=TOKEN))
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(served.url)
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Choose photos…").click()
        chooser.value.set_files(PORTRAIT)
        field = page.get_by_label("Token", exact=True)
        field.fill("wrong")
        field.press("Enter")
        expect(page.get_by_role("heading", name="This token was refused")).to_be_visible()
        assert Axe().run(page).violations_count == 0
        field.fill(TOKEN)
        page.get_by_role("button", name="Go on").click()
        expect(page.locator("article.face")).to_have_count(1)
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    served.stop()
