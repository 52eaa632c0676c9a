"""Masks: placeholders in a prompt for text that the engine must not see, and their replacement in the answer.

A mask is `[KIND_0123456789]`, its last part a random token, or a keyed hash where it is to be the same for a session.
Models write it in other ways too: in small letters, without brackets, with escapes, percent-encoded, over two lines.
"""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from patchbay.guards.stream.json_writer import JsonWriter
from patchbay.guards.verdict import FoundSpan

_TOKEN_BYTES: Final = 5
# A break of a line within a mask, as plain text and within a string of JSON.
_BREAK: Final = r"(?:\\?\r?\n[ \t>]{0,8})?"
_ESCAPED_BREAK: Final = r"(?:\\?\r?\n[ \t>]{0,8}|(?-i:\\n))?"
_LINE: Final = r"(?:\\{0,4}_|%5F|\\u005F|[ \xa0\u2010-\u2015-])"
_OPEN: Final = r"\\{0,4}(?:[\[\u3010\uff3b]|%5B|\\u005B)"
_CLOSE: Final = r"\\{0,4}(?:[\]\u3011\uff3d]|%5D|\\u005D)"
_HEX: Final = "[0-9a-f]"
# The end of a text that may be half an escape, a bracket's backslash, or a break.
_RAGGED = re.compile(r"(?:\\{0,3}\\(?:u0{0,2}5?)?|\\{1,4}|%5?)\Z", re.IGNORECASE)
_UNDECIDED = re.compile(r"(?:\\?\r?(?:\n[ \t>]{0,8})?)?(?:\\{0,4}(?:\\u0{0,2}5?)?|%5?)\Z", re.IGNORECASE)


class Masks:
    """The masks of one request, kept only in its memory. `originals`: the text that each mask's token stands for;
    `kinds`: the kinds of all masks."""

    def __init__(self) -> None:
        self.originals: dict[str, str] = {}
        self.kinds: frozenset[str] = frozenset()
        self._masks: dict[tuple[str, str], str] = {}

    def mask(self, kind: str, text: str, session: bytes | None = None) -> str:
        """Returns the mask for `text`, the same each time. Masks cannot be guessed, so no other prompt can ask the
        model to repeat one.

        `session`: the secret of a session, with which the mask is the same in all of its requests; None where each
        request has its own.
        """
        mask = self._masks.get((kind, text))
        if mask is None:
            token = self._token(text, session)
            self.originals[token] = text
            self.kinds |= {kind}
            mask = self._masks[kind, text] = f"[{kind}_{token}]"
        return mask

    def _token(self, text: str, session: bytes | None) -> str:
        """Returns a token that stands for nothing else. Source: RFC 7693 (BLAKE2, keyed)."""
        token, number = "", 0
        while not token or self.originals.get(token, text) != text:
            data = f"{number}\0{text}".encode("utf-8", "replace")
            token = secrets.token_hex(_TOKEN_BYTES)
            if session is not None:
                token = blake2b(data, key=session, digest_size=_TOKEN_BYTES).hexdigest()
            number += 1
        return token


def session_secret(key: bytes, *names: str) -> bytes:
    """Returns the secret of the session that has these names. `key`: the secret of all sessions. Source: RFC 7693."""
    data = b"".join(blake2b(name.encode("utf-8", "replace")).digest() for name in names)
    return blake2b(data, key=blake2b(key).digest()).digest()


def unescaped(text: str) -> str:
    """Returns what a part of a JSON string says; the text itself where it is no such part."""
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text


def plain_marker(span: FoundSpan) -> str:
    """Returns the marker of what is redacted: its kind in brackets."""
    return f"[{span.kind}]"


@dataclass(frozen=True, slots=True)
class MaskMarker:
    """A `Marker` for prompts: it makes masks for spans to be masked, and plain markers for all others.

    `text`: the prompt's text, `escaped` where it is JSON; `secrets`: of the session, by the guards whose masks are the
    same in all of it.
    """

    masks: Masks
    text: str
    escaped: bool
    secrets: Mapping[str, bytes]

    def __call__(self, span: FoundSpan) -> str:
        if span.action != "mask":
            return plain_marker(span)
        found = self.text[span.start : span.end]
        return self.masks.mask(span.kind, unescaped(found) if self.escaped else found, self.secrets.get(span.guard))


class Unmask:
    """Replaces masks in a growing text by what they stand for, and holds an end that may still become a mask.

    In a string of JSON, what they stand for is escaped; in place of a value, it is a string. `escaped`: whether the
    whole text is JSON. The cost is linear in the text, however many masks there are.
    """

    def __init__(self, masks: Masks, *, escaped: bool = False) -> None:
        self._originals: Mapping[str, str] = masks.originals
        self._writer = JsonWriter(is_json=escaped)
        self._forms = _forms_of(masks.kinds, escaped=escaped) if masks.originals else None
        self._held = ""

    def feed(self, text: str) -> str:
        """Takes the next piece of the text, and returns what is released."""
        return self._released(self._held + text, self._forms, at_end=False) if self._forms is not None else text

    def finish(self) -> str:
        """Returns the rest, which never became a mask."""
        if self._forms is None:
            return ""
        return self._released(self._held, self._forms, at_end=True) + self._writer.finish()

    def _released(self, text: str, forms: "_Forms", *, at_end: bool) -> str:
        at, until, out = 0, len(text), list[str]()
        for match in forms.mask.finditer(text):
            original = self._originals.get("".join(_hex_digits(match["token"])))
            if original is None:
                continue
            if not at_end and match["close"] is None and _UNDECIDED.match(text, match.end()):
                until = match.start()
                break
            start, end = _extent(match)
            out += (self._writer.keep(text[at:start]), self._writer.insert(original))
            at = end
        if not at_end:
            until = min(until, forms.held_from(text, at))
        out.append(self._writer.keep(text[at:until]))
        self._held = text[until:]
        return "".join(out)


def _hex_digits(token: str) -> list[str]:
    return re.findall(_HEX, token.replace("\\n", "").lower())


def _extent(match: re.Match[str]) -> tuple[int, int]:
    """Returns the place of what a mask's original replaces: brackets go where both are there."""
    opening, closing = match["open"], match["close"]
    if opening is None or closing is None:
        return match.end("open") if opening else match.start(), match.end("token")
    slashes = (
        len(opening) - len(opening.lstrip("\\")),
        len(closing.strip("\r\n\t >")) - len(closing.lstrip("\r\n\t >\\")),
    )
    return match.start() + (0 if slashes[0] == slashes[1] else slashes[0]), match.end()


class _Forms:
    """The ways of writing masks of some kinds. `mask`: the pattern of a mask; `escaped`: whether the text is JSON."""

    def __init__(self, kinds: frozenset[str], *, escaped: bool) -> None:
        gap = _ESCAPED_BREAK if escaped else _BREAK
        # The longest first: of two kinds one may begin with the other.
        known = sorted(kinds, key=lambda kind: (-len(kind), kind))
        names = "|".join(gap.join(_LINE if char == "_" else re.escape(char) for char in kind) for kind in known)
        self.mask = re.compile(
            rf"(?P<open>{_OPEN}{gap})?(?:{names}){gap}{_LINE}{gap}(?P<token>{_HEX}(?:{gap}{_HEX}){{9}})(?!{_HEX})"
            rf"(?P<close>{gap}{_CLOSE})?",
            re.IGNORECASE,
        )
        begun = "|".join(_beginnings(f"{kind.lower()}_") + "[0-9a-f]{0,10}" for kind in known)
        self._begun = re.compile(rf"\[?(?:{begun})\Z|\[\Z")
        self._most = 12 * (max(map(len, kinds)) + 13)
        # The ways of writing a mask's parts, as one character each: an opening bracket, a line, nothing for a break.
        broken = r"(?-i:\\n)|" if escaped else ""
        self._units = re.compile(
            rf"(?P<open>{_OPEN})|(?P<line>{_LINE})"
            rf"|(?P<gap>{broken}\\?\r?\n[ \t>]*|\\+(?:u0{{0,2}}5?\Z)?|%5?\Z|\r\Z)|(?P<other>.)",
            re.IGNORECASE | re.DOTALL,
        )

    def held_from(self, text: str, at: int) -> int:
        """Returns the place in `text`, from `at` on, from which its rest may be the beginning of a mask."""
        first = max(at, len(text) - self._most)
        chars, places = list[str](), list[int]()
        for unit in self._units.finditer(text, first):
            if unit.lastgroup != "gap":
                kind = unit.lastgroup
                chars.append("[" if kind == "open" else "_" if kind == "line" else unit[0].lower()[:1])
                places.append(unit.start())
        begun = self._begun.search("".join(chars))
        place = places[begun.start()] if begun is not None and begun[0] else len(text)
        ragged = _RAGGED.search(text, max(first, place - 8), place)
        return ragged.start() if ragged is not None else place


def _beginnings(name: str) -> str:
    """Returns the pattern of all beginnings of `name`, which are not empty, and of more only where it is whole."""
    pattern = ""
    for char in reversed(name[1:]):
        pattern = f"(?:{re.escape(char)}{pattern}|\\Z)"
    return re.escape(name[0]) + pattern


@lru_cache(maxsize=256)
def _forms_of(kinds: frozenset[str], *, escaped: bool) -> _Forms:
    return _Forms(kinds, escaped=escaped)
