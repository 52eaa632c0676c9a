"""The oddities of a text of a data set, and its safe mends, pure."""

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

# Characters that nobody sees. Those that join letters (U+200C, U+200D) matter in Persian, in Indic scripts and between
# emoji, so they are only odd between two characters of ASCII.
_UNSEEN: Final = "\u200b\u2060\ufeff\u00ad\u180e\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
ZERO_WIDTH: Final = re.compile(f"[{_UNSEEN}]|(?<=[\\x20-\\x7e])[\u200c\u200d]+(?=[\\x20-\\x7e])")
CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
REPLACEMENT: Final = "\ufffd"
# UTF-8 that was read as Windows-1252: what begins two bytes or three, and what goes on.
_MOJIBAKE: Final = re.compile("[\u00c2\u00c3][\u0080-\u00bf\u0152-\u0192\u2013-\u2122]|\u00e2[\u0080\u20ac].")
_SPACES: Final = re.compile(r"[ \t\u00a0]+(?=\n|$)")
_MANY_LINES: Final = re.compile(r"\n{4,}")


def oddities(text: str) -> list[str]:
    """Names what is odd about the characters of a text."""
    if text.isascii() and not CONTROL.search(text):
        return []
    found = {
        "zero-width": bool(ZERO_WIDTH.search(text)),
        "control": bool(CONTROL.search(text)),
        "replacement": REPLACEMENT in text,
        "mojibake": unmangled(text) != text,
        "not-nfc": not unicodedata.is_normalized("NFC", text),
    }
    return [name for name, is_so in found.items() if is_so]


def unmangled(text: str) -> str:
    """Returns the text that was meant where UTF-8 was read as Windows-1252; any other text as it is."""
    if not _MOJIBAKE.search(text):
        return text
    try:
        # Windows-1252 with its five holes, as browsers have it.
        raw = b"".join(
            char.encode("cp1252") if char.encode("cp1252", "ignore") else char.encode("latin-1") for char in text
        )
        return raw.decode()
    except UnicodeError:
        return text


def _trimmed(text: str) -> str:
    return _MANY_LINES.sub("\n\n\n", _SPACES.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))).strip()


# In the order in which they are made. None of them changes what a text says.
MENDS: Final[Sequence[tuple[str, Callable[[str], str]]]] = (
    ("mojibake", unmangled),
    ("zero-width", lambda text: ZERO_WIDTH.sub("", text)),
    ("control", lambda text: CONTROL.sub("", text)),
    ("not-nfc", lambda text: unicodedata.normalize("NFC", text)),
    ("whitespace", _trimmed),
)


def mended(text: str) -> tuple[str, list[str]]:
    """Returns a text with its safe mends, and their names."""
    made = []
    for name, mend in MENDS:
        better = mend(text)
        if better != text:
            made.append(name)
            text = better
    return text, made


_OPEN_ENDS: Final = re.compile(
    r"(?:[,;:(\[{\-\u2013\u2014]|\.\.\.|\u2026|\b(?:and|or|the|a|an|of|to|with|because))\s*$", re.IGNORECASE
)


def cut_reason(answer: str) -> str | None:
    """Says why an answer looks as if it was cut off; None where it does not."""
    said = answer.strip()
    if said.count("```") % 2:
        return "a block of code is not closed"
    if said[:1] in "{[" and not _is_json(said):
        return "it begins as JSON, and is none"
    if _OPEN_ENDS.search(said) and "```" not in said and len(said) > 1:
        return f"it ends with '{said.split()[-1][-12:]}'"
    return None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        # A text in brackets, such as [sic], begins as JSON does.
        return not re.match(r'[{\[]\s*["{\[\]}\d]', text)
    return True


def excerpt(text: str, most: int = 160) -> str:
    """Returns the beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
