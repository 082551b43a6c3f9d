from __future__ import annotations

import json
import os

import pytest
from reports import face_report

from spiralage.report.records import JsonList
from spiralage.types import PhotoReport


def written(*photos: PhotoReport) -> str:
    pieces: list[str] = []
    photo_list = JsonList(pieces.append, [18])
    for photo in photos:
        photo_list.add(photo)
    photo_list.close()
    return "".join(pieces)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_list_is_whole_after_any_number_of_photos(count: int) -> None:
    photos = [PhotoReport(f"{number}.jpg", (face_report(),) * number) for number in range(count)]
    assert [len(photo["faces"]) for photo in json.loads(written(*photos))] == list(range(count))


def test_a_face_tells_its_landmarks_and_score() -> None:
    (photo,) = json.loads(written(PhotoReport("a.jpg", (face_report(),))))
    (face,) = photo["faces"]
    assert (face["detector"], face["score"], face["turn"]) == ("by hand", 0.5, 90)
    assert face["landmarks"] == [[2 * n, 2 * n + 1] for n in range(68)]
    assert face["p_at_least"] == {"18": 1.0}


@pytest.mark.parametrize("name", ["a\rb.jpg", "\x1b[31m.jpg", "\u202e.jpg", os.fsdecode(b"\xff.jpg"), "[\n 1\n].jpg"])
def test_odd_names_are_ascii_and_can_be_read_back(name: str) -> None:
    text = written(PhotoReport(name, error=f"{name}: so"))
    assert text.isascii()
    assert "\r" not in text
    assert "\x1b" not in text
    assert json.loads(text) == [{"image": name, "faces": [], "error": f"{name}: so"}]
