"""Hidden texts, which a model can read and a pattern cannot: encoded, spelt with digits, spaced out, or reversed."""

import base64
import binascii
import codecs
import re
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import unquote

# Encoded pieces that are read of each kind, and characters that are read of each.
_PIECES: Final = 8
_LONGEST: Final = 4096

_BASE64: Final = re.compile(r"(?<![\w+/])(?:[A-Za-z0-9+/_-]{4}){5,}(?:[A-Za-z0-9+/_-]{2,3}={0,2})?(?![\w+/])")
_HEX: Final = re.compile(r"(?:(?:\\x|0x)?[0-9a-fA-F]{2}[ ,:]?){12,}")
_PERCENT: Final = re.compile(r"(?:%[0-9a-fA-F]{2}){6,}|(?:\w*%[0-9a-fA-F]{2}){4,}\w*")
_SPACED: Final = re.compile(r"(?<!\w)(?:\w[ .\-_*|]{1,3}){7,}\w(?!\w)")
# A digit in the place of a letter, and the number of them from which a text is taken to be spelt so.
_LEET_DIGIT: Final = re.compile(r"[A-Za-z][013457]+[A-Za-z]|\b[013457][A-Za-z]")
_LEET_DIGITS: Final = 3
_LEET: Final = str.maketrans("013457@$", "oieastas")
_ROTATED: Final = ("rot13", "rot-13", "rot 13", "caesar")
_BACKWARDS: Final = ("revers", "backward", "ruckwarts", "l'envers", "al reves")
# The length of a word that may be encoded, and the numbers of single letters and of digit pairs that may be spelt text.
_LONG_WORD, _SINGLES, _PAIRS = 15, 8, 6
_TAGS: Final = re.compile("[\U000e0020-\U000e007e]{4,}")


def hidden(folded: str) -> Iterator[str]:
    """Yields the texts that a folded one, in its own case, may hide. Most texts hide none, and what is decoded may be
    no real text."""
    words = folded.split()
    yield from _encoded(folded, words)
    yield from _spaced(folded, words)
    odd = " ".join(word for word in words if len(word) < _LONG_WORD and not word.isalpha())
    if len(_LEET_DIGIT.findall(odd)) >= _LEET_DIGITS:
        yield folded[:_LONGEST].translate(_LEET)
    lowered = folded.lower()
    if any(hint in lowered for hint in _ROTATED):
        yield codecs.decode(folded[:_LONGEST], "rot13")
    if any(hint in lowered for hint in _BACKWARDS):
        yield folded[:_LONGEST][::-1]


def _encoded(folded: str, words: Sequence[str]) -> Iterator[str]:
    long = " ".join(word for word in words if len(word) >= _LONG_WORD)
    pairs = sum(len(word) <= 5 and word[0].isdigit() for word in words)
    sources = ((_BASE64, _from_base64, long), (_HEX, _from_hex, folded if pairs >= _PAIRS else long))
    for pattern, read, source in (*sources, (_PERCENT, unquote, folded if "%" in folded else "")):
        for match, _ in zip(pattern.finditer(source), range(_PIECES), strict=False):
            yield from _readable(read(match[0][:_LONGEST]))


def _spaced(folded: str, words: Sequence[str]) -> Iterator[str]:
    """Yields letters that are spaced out by spaces or points, joined again. Words end where the gap was wider."""
    long = [word for word in words if len(word) >= _LONG_WORD and not word.isalnum()]
    for source in (folded, *long) if sum(len(word) == 1 for word in words) >= _SINGLES else long:
        if match := _SPACED.search(source):
            yield _SPACED.sub(_joined, source[match.start() :][:_LONGEST])
            return


def tagged(text: str) -> str:
    """Returns the text written in Unicode's invisible tag characters. Source: the Unicode Standard, chapter 23.9."""
    return " ".join("".join(chr(ord(char) - 0xE0000) for char in run) for run in _TAGS.findall(text))


def _readable(text: str) -> Iterator[str]:
    if len(text) >= 8 and sum(char.isprintable() or char.isspace() for char in text) >= 0.95 * len(text):
        yield text


def _from_base64(piece: str) -> str:
    body = piece.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4)).decode("utf-8", "strict")
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _from_hex(piece: str) -> str:
    digits = re.sub(r"\\x|0x|[^0-9a-fA-F]", "", piece)
    return bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("utf-8", "replace")


def _joined(match: re.Match[str]) -> str:
    return re.sub(r"(?<=\w)[ .\-_*|](?=\w)", "", match[0])
