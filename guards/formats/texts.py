"""The texts of one answer: each has a channel of its own."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol

from patchbay.core.errors import AnswerUnreadable
from patchbay.guards.masks import Masks, Unmask
from patchbay.guards.stream.channel import Channel, Released
from patchbay.guards.stream.watch import WatchState
from patchbay.guards.verdict import OPEN, FoundSpan

# Words of the protocol and of the server, not of the model. Every other string of an answer is filtered.
NEUTRAL = frozenset(
    [
        "id",
        "item_id",
        "call_id",
        "response_id",
        "previous_response_id",
        "type",
        "role",
        "object",
        "model",
        "status",
        "finish_reason",
        "stop_reason",
        "stop_sequence",
        "service_tier",
        "system_fingerprint",
        "truncation",
        "signature",
        "encrypted_content",
        "media_type",
        "reason",
    ]
)
# What an answer has beside its text that tells the text, too.
CARRIES_TEXT = ("logprobs", "token_ids", "prompt_logprobs", "prompt_token_ids")
# Each has a channel, which takes some 15 kB.
MOST_TEXTS = 1024
# Types of parts that are not the answer itself.
_BESIDE = ("reasoning", "summary", "thinking", "input")
# They hold text that is itself inside JSON.
ESCAPED = frozenset({"arguments", "partial_json"})


class Final(Protocol):
    """Judges an answer's own text, and none beside it (reasoning, a tool's arguments), once it is whole. `holds`:
    whether it may change the text, which then waits for its end."""

    holds: bool

    def __call__(self, text: str, *, quiet: bool) -> str | None:
        """The text as it may go out; None where it may not. `quiet`: nothing is noted, since it was before."""


@dataclass(slots=True)
class _Text:
    channel: Channel
    unmask: Unmask
    main: bool
    said: str = ""
    stopped: bool = False


@dataclass(slots=True)
class AnswerTexts:
    """`most`: how many texts there may be at a time; `make`: makes a channel, for a text inside JSON or not; `note`: is
    told what was found; `masks`: what stands for
    what in this request; `final`: what judges its own text at its end, where anything does; `gathered`: characters that
    are still to be judged so."""

    make: Callable[[bool], Channel]
    note: Callable[[Released], None]
    masks: Masks
    final: Final | None = None
    most: int = MOST_TEXTS
    open: dict[Hashable, _Text] = field(default_factory=dict)
    gathered: int = 0

    def feed(self, key: Hashable, text: str, *, escaped: bool = False, main: bool = False) -> str:
        """What may go out of the text called `key`, of which `text` comes next. `main`: whether it is the answer's own
        text."""
        known = self.open.get(key)
        if known is None:
            if len(self.open) >= self.most:
                raise AnswerUnreadable("The answer has too many parts, so it was not let through.")
            main = main and self.final is not None
            known = self.open[key] = _Text(self.make(escaped), Unmask(self.masks, escaped=escaped), main)
        return self._held(known, self._out(known, known.channel.feed(text)))

    def finish(self, key: Hashable) -> str:
        """The rest of the text called `key`, which has ended."""
        known = self.open.get(key)
        if known is None:
            return ""
        rest = self._out(known, known.channel.finish()) + ("" if known.channel.blocked else known.unmask.finish())
        if not known.main or self.final is None or known.channel.blocked:
            return self._held(known, rest)
        self.gathered -= len(known.said)
        told = self.final(known.said + rest, quiet=False)
        known.stopped, known.main = told is None, False
        if self.final.holds:
            return told or ""
        return "" if told is None else rest

    def blocked(self, key: Hashable) -> bool:
        """Whether the text called `key` was blocked."""
        known = self.open.get(key)
        return known is not None and (known.channel.blocked or known.stopped)

    def changed(self, key: Hashable) -> bool:
        """Whether anything was left out of it."""
        known = self.open.get(key)
        held = self.final is not None and self.final.holds
        return known is not None and (held or known.channel.changed or known.channel.blocked)

    def forget(self, key: Hashable) -> None:
        """Drops the text called `key`, which has ended."""
        self.open.pop(key, None)

    def whole(self, text: str, *, escaped: bool = False, main: bool = False) -> tuple[str, bool]:
        """A text that is whole, filtered, and whether it was blocked: the same that it would be piece by piece. What is
        found is not noted."""
        channel, unmask = self.make(escaped), Unmask(self.masks, escaped=escaped)
        first, last = channel.feed(text), channel.finish()
        out = unmask.feed(first.text + last.text)
        if channel.blocked:
            return out, True
        out += unmask.finish()
        told = self.final(out, quiet=True) if main and self.final is not None else out
        return told or "", told is None

    def filtered(self, value: Any, key: str = "", kind: str = "") -> Any:
        """A JSON value with all of its texts filtered as whole ones. `kind`: of what it is a part."""
        if isinstance(value, str):
            return value if key in NEUTRAL else self.whole(value, escaped=key in ESCAPED, main=is_main(key, kind))[0]
        if isinstance(value, list):
            return [self.filtered(one, key, kind) for one in value]
        if isinstance(value, dict):
            kind = str(value.get("type", ""))
            return {name: self.filtered(one, name, kind) for name, one in value.items()}
        return value

    def _held(self, known: _Text, text: str) -> str:
        """What goes out now of what may."""
        if not known.main or self.final is None:
            return text
        known.said += text
        self.gathered += len(text)
        if not self.final.holds:
            return text
        return known.said if known.channel.blocked else ""

    def _out(self, known: _Text, released: Released) -> str:
        if released.spans:
            self.note(released)
        return known.unmask.feed(released.text)


def is_main(key: str, kind: str) -> bool:
    """Whether a text called `key`, of a part of type `kind`, is an answer's own."""
    return key in ("content", "text") and not any(other in kind for other in _BESIDE)


class _Barring:
    """A `Watch` that lets nothing through."""

    def feed(self, text: str) -> WatchState:
        """As `Watch` says."""
        return WatchState([FoundSpan(0, OPEN, "", "barred", "BARRED", "block")], 1)

    def finish(self) -> WatchState:
        """As `Watch` says."""
        return WatchState([], 0)


def barred_texts() -> AnswerTexts:
    """The texts of an answer that may not go out: each is blocked at its first character."""
    return AnswerTexts(lambda escaped: Channel([_Barring()], lambda span: ""), lambda released: None, Masks())
