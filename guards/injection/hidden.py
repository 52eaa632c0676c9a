"""Hidden texts, which a model can read and a pattern cannot: encoded, spelt with digits, spaced out, turned round, cut
into strings.

All that is hidden in one way in a block is one text, so what is cut into several pieces is put together again, and the
cost grows with the block's length alone.
"""

import base64
import codecs
import html
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final
from urllib.parse import unquote

from patchbay.guards.folding import fold

# The length in characters of the shortest word that is decoded, and the share of a decoded text that has to be
# printable.
_ENCODED, _PRINTABLE = 20, 0.95
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_BASE32: Final = re.compile(r"[A-Z2-7]{24,}={0,6}")
_HEX: Final = re.compile(r"(?:(?:\\x|0x)?[0-9a-fA-F]{2}[ ,:]?){12,}")
_PERCENT: Final = re.compile(r"%[0-9a-fA-F]{2}")
_ENTITY: Final = re.compile(r"&#(?:x[0-9a-fA-F]{1,6}|[0-9]{1,7});")
_ESCAPE: Final = re.compile(r"\\u[0-9a-fA-F]{4}")
_SPACED: Final = re.compile(r"[^\W_](?:[ .\-_*|]{1,3}[^\W_]){7,}(?!\w)")
_GAP: Final = re.compile(r"(?<=\w)[ .\-_*|](?=\w)")
# A digit or a sign in the place of a letter, and the number of them in a line that is taken to be spelt so.
_LEET_SIGN: Final = re.compile(r"[A-Za-z][013457@$!]+[A-Za-z]|(?<![\w@$!])[013457@$!][A-Za-z]")
_LEET_SIGNS: Final = 3
_LEET: Final = str.maketrans("013457@$!", "oieastasi")
# Words of attacks, as they look in rot13 and backwards. Several of them in one line are no accident.
_ROTATED: Final = re.compile(
    r"\b(?:vtaber|qvfertneq|sbetrg|vafgehpgvbaf?|cebzcg|flfgrz|cerivbhf|lbhe|ehyrf|thvqryvarf|naq|gur|nyy|uvqqra|erirny)\b"
)
_REVERSED: Final = re.compile(
    r"\b(?:erongi|dragersid|tegrof|snoitcurtsni|tpmorp|metsys|suoiverp|ruoy|selur|senilediug|dna|eht|lla|neddih|laever)\b"
)
_TURNED_WORDS: Final = 2
_JOINT: Final = re.compile(r"[\"'][ ]{0,3}(?:\+|\.\.|&|\|\||,)[ ]{0,3}[\"']")
_GIVEN: Final = re.compile(r"\b\w{1,12}[ ]{0,2}[:=][ ]{0,2}[\"']([^\"'\n]{1,80})[\"']")
_QUOTED: Final = re.compile(r"[\"']([^\"'\n]{1,80})[\"']")
_MORSE: Final = re.compile(r"[.-]{1,6}(?:[ /|]{1,3}[.-]{1,6}){9,}")
_URL_SAFE: Final = str.maketrans("-_", "+/")
# Lengths of a last group that base32 does not have, and bytes that stand within a character only.
_NO_BASE32: Final = (1, 3, 6)
_AMID: Final = bytes(range(0x80, 0xC0))
_TAGS: Final = re.compile("[\U000e0020-\U000e007e]{4,}")
# Source: ITU-R M.1677-1.
MORSE: Final = dict(
    zip(
        ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --..".split(),  # noqa: SIM905
        "abcdefghijklmnopqrstuvwxyz",
        strict=True,
    )
)


def hidden(folded: str) -> Iterator[str]:
    """Yields the texts that a folded one, in its own case, may hide. Most texts hide none, and what is decoded may be
    no real text."""
    yield from filter(None, (*_decoded(folded, folded.split()), *_respelt(folded)))


def tagged(text: str) -> str:
    """Returns the text written in Unicode's invisible tag characters. Source: the Unicode Standard, chapter 23.9."""
    return " ".join("".join(chr(ord(char) - 0xE0000) for char in run) for run in _TAGS.findall(text))


def _decoded(folded: str, words: Iterable[str]) -> Iterator[str]:
    """Yields what the encodings of a text say, one text for each encoding."""
    long = "\n".join(word for word in words if len(word) >= _ENCODED)
    yield _all(_BASE64, _from_base64, long)
    yield _all(_BASE32, _from_base32, long)
    yield _all(_HEX, _from_hex, folded)
    for pattern, read in ((_PERCENT, unquote), (_ENTITY, html.unescape), (_ESCAPE, _from_escapes)):
        if len(pattern.findall(folded)) >= 4:
            yield read("\n".join(line for line in folded.splitlines() if pattern.search(line)))


def _respelt(folded: str) -> Iterator[str]:
    """Yields what the lines of a text say that are spelt with digits, turned round, or in strings to be joined."""
    lines = folded.splitlines()
    yield "\n".join(_GAP.sub("", run) for run in _SPACED.findall(folded))
    # What is long is no word, but encoded.
    short = (" ".join(word for word in line.split() if len(word) < _ENCODED) for line in lines)
    yield "\n".join(line for line in short if len(_LEET_SIGN.findall(line)) >= _LEET_SIGNS).translate(_LEET)
    yield codecs.decode("\n".join(_turned(lines, _ROTATED)), "rot13")
    yield "\n".join(line[::-1] for line in _turned(lines, _REVERSED))
    yield "\n".join(_JOINT.sub("", line) for line in lines if _JOINT.search(line))
    given = _GIVEN.findall(folded)
    yield "".join(given) if len(given) > 1 else ""
    yield " ".join(_from_morse(run) for run in _MORSE.findall(folded))
    yield "\n".join(_QUOTED.sub(r"\1", line) for line in lines if " + " in line and not _JOINT.search(line))


def _turned(lines: Iterable[str], words: re.Pattern[str]) -> Iterator[str]:
    return (line for line in lines if len(set(words.findall(line.lower()))) >= _TURNED_WORDS)


def _all(pattern: re.Pattern[str], read: Callable[[str], str], text: str) -> str:
    return "\n".join(said for piece in pattern.findall(text) if _is_readable(said := read(piece)))


def _is_readable(text: str) -> bool:
    return len(text) >= 8 and sum(char.isprintable() or char.isspace() for char in text) >= _PRINTABLE * len(text)


def _from_base64(piece: str) -> str:
    """Decodes a piece, which may begin and end amid a longer one: at the first of its characters that makes a text."""
    body = piece.rstrip("=").translate(_URL_SAFE)
    said = (_utf8(base64.b64decode(body[start:] + "=" * (-len(body[start:]) % 4))) for start in _places(body, 4))
    return next(filter(_is_readable, said), "")


def _from_base32(piece: str) -> str:
    body = piece.rstrip("=")
    padded = (body[start:] + "=" * (-len(body[start:]) % 8) for start in _places(body, 8))
    said = (_utf8(base64.b32decode(text)) for text in padded if len(text.rstrip("=")) % 8 not in _NO_BASE32)
    return next(filter(_is_readable, said), "")


def _places(body: str, size: int) -> Iterator[int]:
    """Yields the places that a piece of an encoding in groups of `size` may begin at."""
    return (start for start in range(size) if size == 8 or len(body[start:]) % 4 != 1)


def _utf8(data: bytes) -> str:
    """Decodes bytes that may begin and end amid a character."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data.lstrip(_AMID))
    except UnicodeDecodeError:
        return ""


def _from_hex(piece: str) -> str:
    digits = re.sub(r"\\x|0x|[^0-9a-fA-F]", "", piece)
    return bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("utf-8", "replace")


def _from_escapes(text: str) -> str:
    units = _ESCAPE.sub(lambda match: chr(int(match[0][2:], 16)), text)
    # A character beyond 0xFFFF has two escapes.
    return fold(units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))


def _from_morse(run: str) -> str:
    return " ".join("".join(MORSE.get(sign, "") for sign in word.split()) for word in re.split(r"[/|]", run))
