"""Names and signs as any terminal, page or pipe can show them."""

from __future__ import annotations

import codecs
import os
import unicodedata

OTHER_SIGNS = {
    "≥": ">=",
    "≤": "<=",
    "±": "+/-",
    "–": "-",
    "—": "-",
    "−": "-",
    "×": "x",
    "…": "...",
    "→": "->",
    "’": "'",
    "“": '"',
    "”": '"',
    "·": "*",
}
"""What stands for a sign that an encoding lacks."""

ANOTHER_SIGN = "spiralage.another-sign"
"""The error handler of streams: a sign that their encoding lacks is written as another, never an exception."""

_JOINERS = "\u200c\u200d"  # scripts and emoji need them, and they turn nothing round


def printable(name: str) -> str:
    r"""A file name or message as one line of text that a terminal or page can be trusted with.

    Control characters, marks that turn the direction of writing, and line separators become escapes; bytes that
    aren't UTF-8 become replacement marks.

    >>> printable("a\x1b[31m\u202egpj.exe")
    'a\\x1b[31m\\u202egpj.exe'
    """
    text = os.fsencode(name).decode("utf-8", errors="replace") if _has_surrogates(name) else name
    return "".join(_escaped(sign) if _is_unsafe(sign) else sign for sign in text)


def shown_in(encoding: str, text: str) -> str:
    """The text as a stream of this encoding shows it.

    >>> shown_in("ascii", "P(≥ 18) ± 2")
    'P(>= 18) +/- 2'
    """
    return text.encode(encoding, errors=ANOTHER_SIGN).decode(encoding)


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= sign <= "\udfff" for sign in text)


def _is_unsafe(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cf", "Zl", "Zp", "Cs") and sign not in _JOINERS


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


def _another_sign(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(OTHER_SIGNS.get(sign) or _escaped(sign) for sign in signs), error.end


codecs.register_error(ANOTHER_SIGN, _another_sign)
