"""Answer texts: all texts of one answer, each with a channel of its own."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from patchbay.core.errors import AnswerUnreadable
from patchbay.guards.formats.protocol import FormatPlace
from patchbay.guards.formats.walk import Spot, walked
from patchbay.guards.masks import Masks, Unmask
from patchbay.guards.scan.short_texts import MOST_SHORT, suspects
from patchbay.guards.stream.channel import Channel, Released
from patchbay.guards.stream.watch import WatchState
from patchbay.guards.verdict import OPEN, FoundSpan

# Fields beside an answer's text from which the text could be read.
CARRIES_TEXT = ("logprobs", "token_ids", "prompt_logprobs", "prompt_token_ids")
# Each has a channel, which takes some 15 kB.
MOST_TEXTS = 1024
# Types of parts that are not the answer itself.
_NOT_MAIN = ("reasoning", "summary", "thinking", "input")
# Keys whose text is itself a JSON document.
ESCAPED = frozenset({"arguments", "partial_json"})


class FinalCheck(Protocol):
    """Checks an answer's own text once it is whole, and no text beside it (reasoning, a tool's arguments).

    `holds`: whether it may change the text, which is then held until its end.
    """

    holds: bool

    def __call__(self, text: str, *, quiet: bool) -> str | None:
        """Returns the text as it may go out; None where it may not. `quiet`: findings are not noted, as they were
        before."""


class MakeChannel(Protocol):
    """Makes a channel for a new text."""

    def __call__(self, escaped: bool, lead: str, /) -> Channel:
        """Returns a channel. `escaped`: whether the text is inside JSON; `lead`: what stands before it, such as the key
        of a value."""


@dataclass(slots=True, kw_only=True)
class _Text:
    """The state of one text.

    `main`: whether `final` still has to check it; `gathered`: what is kept for that check; `stopped`: whether the check
    blocked it.
    """

    channel: Channel
    unmask: Unmask
    main: bool
    gathered: str = ""
    stopped: bool = False


@dataclass(slots=True, kw_only=True)
class AnswerTexts:
    """Filters all texts of one answer, each by its key.

    `make`: makes a channel; `note`: is called with what channels release; `masks`: the
    masks of the request; `may_match`: whether anything may be found in a short text; `final`: checks the answer's own
    text at its end, None where nothing does; `most`: the number of texts that may be open at a time; `open`: the state
    of each text; `gathered`: the characters that `final` has still to check.
    """

    make: MakeChannel
    note: Callable[[Released], None]
    masks: Masks
    final: FinalCheck | None = None
    most: int = MOST_TEXTS
    may_match: Callable[[str], bool] = lambda text: True
    open: dict[Hashable, _Text] = field(default_factory=dict)
    gathered: int = 0

    def feed(self, key: Hashable, text: str, *, escaped: bool = False, main: bool = False, lead: str = "") -> str:
        """Takes the next piece of the text called `key`, and returns what may go out.

        `escaped`: whether the text is inside JSON; `main`: whether it is the answer's own text; `lead`: what stands
        before it, such as the key of a value. Raises AnswerUnreadable where the answer has too many texts.
        """
        state = self.open.get(key)
        if state is None:
            if len(self.open) >= self.most:
                raise AnswerUnreadable("The answer has too many parts, so it was not let through.")
            main = main and self.final is not None
            state = self.open[key] = _Text(
                channel=self.make(escaped, lead), unmask=Unmask(self.masks, escaped=escaped), main=main
            )
        return self._gather(state, self._unmask(state, state.channel.feed(text)))

    def finish(self, key: Hashable) -> str:
        """Returns the rest of the text called `key`, which has ended."""
        state = self.open.get(key)
        if state is None:
            return ""
        rest = self._unmask(state, state.channel.finish()) + ("" if state.channel.blocked else state.unmask.finish())
        if not state.main or self.final is None or state.channel.blocked:
            return self._gather(state, rest)
        self.gathered -= len(state.gathered)
        checked = self.final(state.gathered + rest, quiet=False)
        state.stopped, state.main = checked is None, False
        if self.final.holds:
            return checked or ""
        return "" if checked is None else rest

    def blocked(self, key: Hashable) -> bool:
        """Whether the text called `key` was blocked."""
        state = self.open.get(key)
        return state is not None and (state.channel.blocked or state.stopped)

    def changed(self, key: Hashable) -> bool:
        """Whether the text called `key` may differ from what the model wrote."""
        state = self.open.get(key)
        may_repair = self.final is not None and self.final.holds
        return state is not None and (may_repair or state.channel.changed or state.channel.blocked)

    def forget(self, key: Hashable) -> None:
        """Drops the state of the text called `key`, which has ended."""
        self.open.pop(key, None)

    def whole(self, text: str, *, escaped: bool = False, main: bool = False, lead: str = "") -> tuple[str, bool]:
        """Filters a text that is whole, with the same result as piece by piece. What is found is not noted.

        Returns the text, and whether it was blocked.
        """
        channel, unmask = self.make(escaped, lead), Unmask(self.masks, escaped=escaped)
        first, last = channel.feed(text), channel.finish()
        out = unmask.feed(first.text + last.text)
        if channel.blocked:
            return out, True
        out += unmask.finish()
        checked = self.final(out, quiet=True) if main and self.final is not None else out
        return checked or "", checked is None

    def lets_out(self, details: Any) -> bool:
        """Whether nothing is to be left out of the strings in `details`, which repeat a text in parts, as log
        probabilities do."""
        strings = set(_strings_in(details))
        short = {text for text in strings if len(text) <= MOST_SHORT}
        return all(self.whole(text) == (text, False) for text in (strings - short) | suspects(short, self.may_match))

    def filtered(self, value: Any, place: FormatPlace) -> Any:
        """Returns a JSON value at `place` of the wire format with all texts in it filtered as whole ones.

        What is found is not noted.
        """
        return walked(value, Spot(place), self._whole_at, type_of)

    def _whole_at(self, text: str, spot: Spot) -> str:
        return self.whole(text, escaped=spot.name in ESCAPED, main=is_main(spot), lead=spot.lead)[0]

    def _gather(self, state: _Text, text: str) -> str:
        """Keeps text for the final check, and returns what goes out now."""
        if not state.main or self.final is None:
            return text
        state.gathered += text
        self.gathered += len(text)
        if not self.final.holds:
            return text
        # A blocked text has no final check: what came before the block goes out.
        return state.gathered if state.channel.blocked else ""

    def _unmask(self, state: _Text, released: Released) -> str:
        if released.spans:
            self.note(released)
        return state.unmask.feed(released.text)


def is_main(spot: Spot) -> bool:
    """Whether the text at a spot is the answer's own."""
    if spot.name not in ("content", "text") or spot.place.kind == "free":
        return False
    return not any(other in spot.within for other in _NOT_MAIN)


def type_of(value: Mapping[str, Any], _spot: Spot) -> str:
    """Returns the type that an object says it is of, empty for none."""
    return str(value.get("type", ""))


def _strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _strings_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings_in(item)


class _BlockingWatch:
    """A `TextWatch` that blocks every text."""

    def feed(self, text: str) -> WatchState:
        """Reports a block at the first character."""
        return WatchState([FoundSpan(start=0, end=OPEN, guard="", rule="barred", kind="BARRED", action="block")], 1)

    def finish(self) -> WatchState:
        """Reports nothing more."""
        return WatchState([], 0)


def blocked_texts() -> AnswerTexts:
    """Returns the texts of an answer that may not go out: each is blocked at its first character."""
    return AnswerTexts(
        make=lambda escaped, lead: Channel([_BlockingWatch()], lambda span: ""),
        note=lambda released: None,
        masks=Masks(),
    )
