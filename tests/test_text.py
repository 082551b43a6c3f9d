from __future__ import annotations

import os

import pytest

from spiralage.text import printable, shown_in


@pytest.mark.parametrize(
    "sign",
    [
        *map(chr, range(0x20)),
        "\x7f",
        "\x85",
        "\x9b",
        "\u202e",
        "\u2066",
        "\u200f",
        "\u061c",
        "\u2028",
        "\u00ad",
        "\ufeff",
    ],
)
def test_what_steers_a_terminal_or_turns_text_round_is_escaped(sign: str) -> None:
    shown = printable(f"a{sign}b.jpg")
    assert sign not in shown
    assert shown.startswith("a\\")
    assert shown.isprintable()


@pytest.mark.parametrize(
    "name", ["Ünïcødé ≥ ±.jpg", "写真.png", "👩\u200d👩\u200d👧.png", "نمی\u200cدانم.jpg", "a [b] 'c'.jpg"]
)
def test_honest_names_stay(name: str) -> None:
    assert printable(name) == name


def test_bytes_that_are_not_utf_8_become_marks() -> None:
    assert printable(os.fsdecode(b"caf\xe9.jpg")) == "caf\ufffd.jpg"


@pytest.mark.parametrize("text", ["\udce9", "a\ud800b"])
def test_any_lone_surrogate_can_be_shown(text: str) -> None:
    printable(text).encode()


def test_a_sign_that_an_encoding_lacks_is_another() -> None:
    assert shown_in("cp1252", "P(≥ 18) ± 2, 20–38") == "P(>= 18) ± 2, 20–38"
    assert shown_in("ascii", "± 20–38 … ×") == "+/- 20-38 ... x"
    assert shown_in("ascii", "é写") == r"\xe9\u5199"
    assert shown_in("utf-8", "é写≥") == "é写≥"
