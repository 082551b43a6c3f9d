from __future__ import annotations

import os
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from reports import face_report

from spiralage.report.page import LONGEST, PageFile, overview_pixels
from spiralage.types import Photo, PhotoReport


class Titles(HTMLParser):
    """The texts of the headings, and what was left open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.titles: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.titles.append(data)


def test_the_page_has_every_photo_at_once_and_is_whole_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "report" / "index.html"
    page = PageFile(path, "ages")
    photo = Photo(np.zeros((40, 30, 3), np.uint8), "a.jpg")
    for count in (1, 2, 3):
        page.add(PhotoReport(f"{count}.jpg", (face_report(),), photo=photo))
        assert len(Titles(path.read_text(encoding="utf-8")).titles) == count
    page.close()
    done = Titles(path.read_text(encoding="utf-8"))
    assert done.titles == ["1.jpg", "2.jpg", "3.jpg"]
    assert done.open == []


def test_names_steer_nothing(tmp_path: Path) -> None:
    page = PageFile(tmp_path / "index.html", "ages")
    names = ["<b>.jpg", "a\rb.jpg", "\x1b[31m.jpg", "\u202egpj.exe", os.fsdecode(b"caf\xe9.jpg")]
    for name in names:
        page.add(PhotoReport(name, error=f"{name}: so"))
    page.close()
    html = (tmp_path / "index.html").read_bytes().decode("utf-8")  # whatever the names' bytes
    assert Titles(html).titles == ["<b>.jpg", r"a\rb.jpg", r"\x1b[31m.jpg", r"\u202egpj.exe", "caf\ufffd.jpg"]
    assert not any(sign in html for sign in ("\x1b", "\r", "\u202e", "<b>"))


@pytest.mark.parametrize("side", [100, LONGEST, 2 * LONGEST])
def test_boxes_are_drawn_on_a_copy(side: int) -> None:
    photo = Photo(np.zeros((side, side, 3), np.uint8))
    drawn = overview_pixels(photo, [face_report()])
    assert drawn.shape == (min(side, LONGEST), min(side, LONGEST), 3)
    assert drawn.any()
    assert not photo.pixels.any()
