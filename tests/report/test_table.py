from __future__ import annotations

import io
import sys

import pytest
from reports import face_report

from spiralage.report.table import TerminalTable, columns
from spiralage.types import PhotoReport


def printed(*photos: PhotoReport) -> str:
    pieces: list[str] = []
    table = TerminalTable(pieces.append, [18])
    for photo in photos:
        table.add(photo)
    assert not pieces
    table.close()
    return "".join(pieces)


@pytest.mark.parametrize(("encoding", "signs"), [("utf-8", "±≥–─"), ("cp1252", "±–"), ("ascii", ""), ("latin-1", "±")])
def test_the_table_has_only_signs_that_stdout_can_show(
    monkeypatch: pytest.MonkeyPatch, encoding: str, signs: str
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    text = printed(PhotoReport("a.jpg", (face_report(),)), PhotoReport("é写.jpg"))
    text.encode(encoding)  # it can be printed
    assert all(sign in text for sign in signs)
    title, rule, face, none = text.splitlines()
    assert columns(title) == columns(rule)
    starts = [columns(line[: line.index(cell)]) for line, cell in ((title, "face"), (face, "1 "), (none, "no face"))]
    assert len(set(starts)) == 1


def test_names_in_a_pipe_are_not_wrapped_and_steer_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    long = "folder/" * 30 + "a.jpg"
    text = printed(PhotoReport(long), PhotoReport("\x1b[31m[red]\u202e\r.jpg", error="so"))
    assert long in text
    assert r"\x1b[31m[red]\u202e\r.jpg" in text
    assert "\x1b" not in text
