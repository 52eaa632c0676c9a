"""Escapes of other formats in a text: percent signs, HTML's entities, backslashes of JSON, code and Markdown. Pure.

A pattern is compared with the text as it is, and once more with these read: `jane%40example.org` is an address.

Source: RFC 3986 (percent-encoding); HTML's named character references (those of ASCII characters); RFC 8259 (JSON).
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

_NAMED: Mapping[str, str] = MappingProxyType(
    {
        "amp": "&",
        "lt": "<",
        "gt": ">",
        "quot": '"',
        "apos": "'",
        "commat": "@",
        "period": ".",
        "colon": ":",
        "sol": "/",
        "num": "#",
        "plus": "+",
        "lowbar": "_",
        "hyphen": "-",
        "dash": "-",
        "equals": "=",
        "nbsp": " ",
        "Tab": "\t",
        "NewLine": "\n",
        "lpar": "(",
        "rpar": ")",
        "comma": ",",
        "semi": ";",
        "bsol": "\\",
        "percnt": "%",
    }
)
_WHITE_SPACE: Mapping[str, str] = MappingProxyType({"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"})
_HIGH, _LOW = r"u[dD][89abAB][0-9a-fA-F]{2}", r"u[dD][c-fC-F][0-9a-fA-F]{2}"
# The escape of a character beyond 0xFFFF: JSON has two of them, one for each of UTF-16's halves.
SURROGATES = rf"\\{_HIGH}\\{_LOW}"
_BACKSLASHES = rf"|\\{{1,2}}{_HIGH}\\{{1,2}}{_LOW}" + r"|\\{1,2}u[0-9a-fA-F]{4}|\\x[0-7][0-9a-fA-F]|\\[!-/:-@\[-`{-~]"
_ESCAPE = r"%[0-7][0-9a-fA-F]|&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|" + "|".join(_NAMED) + ");" + _BACKSLASHES
# Group 1: a run of characters that stand for themselves; group 2: an escape, or a character that is folded alone.
_UNITS = re.compile(rf"([\x00-\x24\x27-\x5b\x5d-\x7f]+)|({_ESCAPE}|.)", re.DOTALL)
_JSON_UNITS = re.compile(rf"([\x00-\x24\x27-\x5b\x5d-\x7f]+)|({_ESCAPE}|\\[nrtbf]|.)", re.DOTALL)
# The same, or what may become one at the end of a text. In JSON a backslash alone is JSON's own.
_SIGNS = re.compile(rf"{_ESCAPE}|[%&\\][^%&\\]{{0,9}}\Z")
_JSON_SIGNS = re.compile(rf"{_ESCAPE.replace(_BACKSLASHES, '')}|\\\\|\\\Z|[%&][^%&]{{0,9}}\Z")
_PARTIAL = re.compile(
    r"(?:%[0-7]?|&(?:#[0-9]{0,7}|#[xX][0-9a-fA-F]{0,6}|[a-zA-Z]{0,7})|(\\+)(?:u[0-9a-fA-F]{0,3}|x[0-7]?)?)\Z"
)
# The first half of a character that takes two, of which the second may come. Group 1: the backslashes before it.
_HALF = re.compile(rf"(\\+){_HIGH}(?:\\{{1,2}}(?:u[0-9a-fA-F]{{0,3}})?)?\Z")
_CODES = re.compile(r"u([0-9a-fA-F]{4})")
# The longest escape that is not whole yet, without the backslashes before it.
_LONGEST = 12


class Escapes:
    """The reading of escapes. `in_json`: whether the text is inside JSON, where a backslash has JSON's own meaning."""

    def __init__(self, *, in_json: bool) -> None:
        self.units = _JSON_UNITS if in_json else _UNITS
        self._signs = _JSON_SIGNS if in_json else _SIGNS

    def may_begin_in(self, text: str) -> bool:
        """Whether an escape that is to be read is in `text`, or may begin at its end."""
        return ("%" in text or "&" in text or "\\" in text) and self._signs.search(text) is not None

    def whole(self, text: str) -> int:
        """Returns the length of `text` without an escape at its end that may go on."""
        end = len(text.rstrip("\\")) if text.endswith("\\") else len(text)
        match = _HALF.search(text, max(0, end - _LONGEST)) or _PARTIAL.search(text, max(0, end - _LONGEST))
        if match is None:
            return len(text)
        # Backslashes pair from their first one on, and a pair may be the beginning of an escape that is escaped.
        end = match.start() if match[1] is None else match.end(1)
        before = text[:end]
        run = len(before) - len(before.rstrip("\\"))
        if match[1] is None:
            return len(text) if run % 2 else end
        return end - (1 if run % 2 else 2)

    def text(self, unit: str) -> str:
        """Returns what an escape stands for, or an escaped character."""
        if unit[0] == "%":
            return chr(int(unit[1:], 16))
        if unit[0] == "&":
            return _entity(unit[1:-1])
        if len(codes := _CODES.findall(unit)) == 2:
            return character_of(*codes)
        name = unit[1:].removeprefix("\\") if unit[1:2] == "\\" and len(unit) > 2 else unit[1:]
        if len(name) > 1:
            return _character(int(name[1:], 16))
        return _WHITE_SPACE.get(name, name)


def character_of(high: str, low: str) -> str:
    """Returns the character of UTF-16's two halves, in hexadecimal digits."""
    return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)


def _entity(name: str) -> str:
    if name[0] != "#":
        return _NAMED[name]
    return _character(int(name[2:], 16) if name[1] in "xX" else int(name[1:]))


def _character(number: int) -> str:
    return chr(number) if number < 0x110000 else ""
