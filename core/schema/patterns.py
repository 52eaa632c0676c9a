"""Patterns of JSON schemas: regular expressions of ECMA-262, on RE2, whose time is linear in the text for all of them.

Each is translated to RE2's syntax with ECMA-262's meaning. Look-around and back-references, which RE2 does not have,
are refused. Groups capture nothing, as no caller needs captures.

Source: ECMA-262, section 22.2; https://github.com/google/re2/wiki/Syntax; JSON Schema core 2020-12, section 6.4.
"""

import re
from itertools import pairwise
from typing import Final

import re2

from patchbay.core.errors import PatchbayError

# Characters of a pattern; bytes that RE2 may use for its program and its caches.
_LONGEST: Final = 2000
_MEMORY: Final = 1 << 20
# Code points of white space and line ends by ECMA-262; `_NOT_SPACES` are all others.
_SPACES: Final = (
    (0x9, 0xD),
    (0x20, 0x20),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
    (0xFEFF, 0xFEFF),
)
_LAST: Final = 0x10FFFF
_NOT_SPACES: Final = (
    (0, 0x8),
    *((before[1] + 1, after[0] - 1) for before, after in pairwise(_SPACES)),
    (0xFF00, _LAST),
)
_CONTROLS: Final = {"t": 0x9, "n": 0xA, "v": 0xB, "f": 0xC, "r": 0xD}
_COUNT: Final = re.compile(r"\{[0-9]{1,4}(?:,(?:[0-9]{1,4})?)?\}")
_PROPERTY: Final = re.compile(
    r"\{(?:(?:Script|sc|Script_Extensions|scx|General_Category|gc)=)?(?P<name>[A-Za-z_]{1,40})\}"
)
_CATEGORIES: Final = {
    "Letter": "L",
    "Lowercase_Letter": "Ll",
    "Uppercase_Letter": "Lu",
    "Mark": "M",
    "Number": "N",
    "Decimal_Number": "Nd",
    "Punctuation": "P",
    "Symbol": "S",
    "Separator": "Z",
    "Other": "C",
}
_FLAGS: Final = re.compile(r"[imsu]*(?:-[ims]+)?[:)]")
_NAME: Final = re.compile(r"P?<[^>]{1,100}>")


class PatternError(PatchbayError):
    """Raised for a pattern that cannot be used. Its message says why."""


class Pattern:
    """A compiled pattern. Raises PatternError where `pattern` cannot be used.

    `written`: the pattern as it was written; `size`: the instructions of its program, to which the time of a match is
    proportional.
    """

    __slots__ = ("_regexp", "size", "written")

    def __init__(self, pattern: str) -> None:
        self.written = pattern
        options = re2.Options()
        options.log_errors = False
        options.never_capture = True
        options.max_mem = _MEMORY
        try:
            self._regexp = re2.compile(in_re2(pattern), options)
        except (re2.error, UnicodeEncodeError) as error:
            reason = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else "bad characters"
            raise PatternError(f"'{_shown(pattern)}' is not usable: {reason[:100]}") from error
        self.size: int = self._regexp.programsize

    def found_in(self, text: str) -> bool:
        """Whether the pattern matches anywhere in `text`."""
        try:
            return self._regexp.search(text) is not None
        except UnicodeEncodeError:
            # Half a surrogate pair is no character, and RE2 takes UTF-8 only: it is matched as U+FFFD.
            return self._regexp.search(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")) is not None


def in_re2(pattern: str) -> str:
    """Translates a pattern of ECMA-262 to RE2's syntax. Raises PatternError."""
    if len(pattern) > _LONGEST:
        raise PatternError(f"'{_shown(pattern)}' is longer than {_LONGEST} characters")
    return "".join(_Translator(pattern).all())


def _shown(pattern: str) -> str:
    text = pattern if pattern.isprintable() else ascii(pattern)
    return text if len(text) <= 60 else f"{text[:57]}…"


class _Translator:
    """Reads a pattern of ECMA-262 from its beginning to its end, and writes it in RE2's syntax."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._position = 0

    def all(self) -> list[str]:
        out: list[str] = []
        while self._position < len(self._text):
            out.append(self._next())
        return out

    def _refused(self, what: str) -> PatternError:
        return PatternError(f"'{_shown(self._text)}' has {what}")

    def _next(self) -> str:
        character = self._text[self._position]
        self._position += 1
        if character == "\\":
            return self._escape()
        if character == "[":
            return self._class()
        if character == "(":
            return self._group()
        if character == "{":
            count = _COUNT.match(self._text, self._position - 1)
            self._position = count.end() if count else self._position
            return count[0] if count else r"\{"
        if character == ".":
            return r"[^\n\r\x{2028}\x{2029}]"
        return f"\\{character}" if character in "]}" else character

    def _group(self) -> str:
        if self._text[self._position : self._position + 1] != "?":
            return "(?:"
        self._position += 1
        if self._text.startswith(("=", "!", "<=", "<!"), self._position):
            raise self._refused("look-around, which takes unbounded time and is not supported")
        if name := _NAME.match(self._text, self._position):
            self._position = name.end()
            return "(?:"
        if flags := _FLAGS.match(self._text, self._position):
            self._position = flags.end()
            return f"(?{flags[0].replace('u', '')}"
        raise self._refused("a kind of group that is not supported")

    def _escape(self) -> str:
        character = self._take()
        if character in "bBdDwW":
            return f"\\{character}"
        if character in "sS":
            return f"[{_ranges(_SPACES if character == 's' else _NOT_SPACES)}]"
        if character in "AZz":
            return r"\A" if character == "A" else r"\z"
        if character in "pP":
            return self._property(character)
        return _code_point(self._code(character))

    def _take(self) -> str:
        if self._position >= len(self._text):
            raise self._refused("a backslash at its end")
        self._position += 1
        return self._text[self._position - 1]

    def _property(self, letter: str) -> str:
        match = _PROPERTY.match(self._text, self._position)
        if match is None:
            raise self._refused(f"a '\\{letter}' without a property that is known")
        self._position = match.end()
        return f"\\{letter}{{{_CATEGORIES.get(match['name'], match['name'])}}}"

    def _code(self, character: str) -> int:
        """Returns the code point that an escape stands for. `character`: the first one after the backslash."""
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character == "x":
            return self._hex(2)
        if character == "u":
            return self._unicode()
        if character == "c":
            return ord(self._take()) % 32
        if character == "0" and not self._text[self._position : self._position + 1].isdigit():
            return 0
        if character.isdigit() or character == "k":
            raise self._refused("a back-reference, which takes unbounded time and is not supported")
        if character.isalpha():
            raise self._refused(f"the escape '\\{character}', which is not known")
        return ord(character)

    def _hex(self, digits: int) -> int:
        text = self._text[self._position : self._position + digits]
        if not re.fullmatch(rf"[0-9A-Fa-f]{{{digits}}}", text):
            raise self._refused("an escape without its hexadecimal digits")
        self._position += digits
        return int(text, 16)

    def _unicode(self) -> int:
        if braced := re.compile(r"\{([0-9A-Fa-f]{1,6})\}").match(self._text, self._position):
            self._position = braced.end()
            return min(int(braced[1], 16), _LAST)
        first = self._hex(4)
        if 0xD800 <= first < 0xDC00 and self._text.startswith("\\u", self._position):
            # Two escapes of a surrogate pair are one code point; other pairs of escapes are two.
            before = self._position
            self._position += 2
            second = self._hex(4)
            if 0xDC00 <= second < 0xE000:
                return 0x10000 + ((first - 0xD800) << 10) + second - 0xDC00
            self._position = before
        return first

    def _class(self) -> str:
        negated = self._text.startswith("^", self._position)
        self._position += negated
        items: list[str] = []
        while (item := self._item()) is not None:
            items.append(item)
        if not items:
            return r"[\x{0}-\x{10ffff}]" if negated else r"[^\x{0}-\x{10ffff}]"
        return f"[{'^' if negated else ''}{''.join(items)}]"

    def _item(self) -> str | None:
        """Returns the next item of a class, None at its end."""
        first = self._atom()
        if first is None:
            return None
        if isinstance(first, str):
            return first
        # A dash before the closing bracket is a character of the class, and begins no range.
        if not self._text.startswith("-", self._position) or self._text.startswith("-]", self._position):
            return _code_point(first)
        self._position += 1
        last = self._atom()
        if isinstance(last, int):
            if last < first:
                raise self._refused("a range whose end comes before its beginning")
            return _ranges([(first, last)])
        return f"{_code_point(first)}{_code_point(ord('-'))}{last or ''}"

    def _atom(self) -> int | str | None:
        """Returns one end of a range: a code point, or the text of a class such as `\\d`; None at the class's end."""
        character = self._take_in_class()
        if character == "]":
            return None
        if character != "\\":
            return ord(character)
        character = self._take()
        if character in "dDwW":
            return f"\\{character}"
        if character in "sS":
            return _ranges(_SPACES if character == "s" else _NOT_SPACES)
        if character in "pP":
            return self._property(character)
        return 0x8 if character == "b" else self._code(character)

    def _take_in_class(self) -> str:
        if self._position >= len(self._text):
            raise self._refused("a '[' without its ']'")
        return self._take()


def _code_point(code: int) -> str:
    return f"\\x{{{code:x}}}"


def _ranges(ranges: "list[tuple[int, int]] | tuple[tuple[int, int], ...]") -> str:
    return "".join(
        _code_point(first) if first == last else f"{_code_point(first)}-{_code_point(last)}" for first, last in ranges
    )
