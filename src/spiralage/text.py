"""Names and signs as any terminal, page or pipe can show them."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterable

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
    "─": "-",
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
    return "".join(map(_printable_sign, name))


def one_of(names: Iterable[str]) -> str:
    """Names to choose from, as a message lists them.

    >>> one_of(["fan", "dlib", "detector"])
    'fan, dlib or detector'
    """
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def file_bytes(text: str) -> bytes:
    """A text as UTF-8 for a file; file names that aren't UTF-8 keep their bytes."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # half a sign, as Windows allows in names
        return text.encode(errors="surrogatepass")


def shown_in(encoding: str, text: str) -> str:
    """The text as a stream of this encoding shows it.

    >>> shown_in("ascii", "P(≥ 18) ± 2")
    'P(>= 18) +/- 2'
    """
    return text.encode(encoding, errors=ANOTHER_SIGN).decode(encoding)


def _printable_sign(sign: str) -> str:
    category = unicodedata.category(sign)
    if category == "Cs":  # Python's stand-in for a byte that isn't UTF-8
        return "\ufffd"
    return _escaped(sign) if category in ("Cc", "Cf", "Zl", "Zp") and sign not in _JOINERS else sign


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


def _another_sign(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(OTHER_SIGNS.get(sign) or _escaped(sign) for sign in signs), error.end


codecs.register_error(ANOTHER_SIGN, _another_sign)
