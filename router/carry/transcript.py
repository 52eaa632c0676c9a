"""Transcript of a stream so far: the token ids that its replica sends beside it, and its first and last events."""

import re
from typing import Any

import msgspec

# Asks a replica of ours for the token ids, which come as comments in the event stream (server/token_ids.py).
TOKEN_IDS = b"x-patchbay-token-ids"
_COMMENT = re.compile(rb"^: (?P<kind>prompt|ids) (?P<ids>[\d,]+)\n", re.MULTILINE)


_IDS = b": ids "
_IDS_BYTES = len(_IDS)


class Transcript:
    """Transcript of one stream, fed by whole reads. It costs a few bytes a token, and is parsed only when needed.

    `prompt_count`, `answer_count`: the tokens of prompt and answer so far.
    """

    def __init__(self) -> None:
        self._prompt = b""
        self._ids = bytearray()
        self._first = b""
        self._last = b""
        self.prompt_count = self.answer_count = 0

    def strip(self, events: bytes) -> bytes:
        """Removes and keeps the comments with ids in `events`, which are whole. Returns the rest."""
        if not events.startswith(b": "):
            return _COMMENT.sub(self._take, events) if b"\n: " in events else events
        # The usual case, which must cost little: one token's id, and its event.
        comment, _, rest = events.partition(b"\n")
        token = comment[_IDS_BYTES:]
        if comment.startswith(_IDS) and token.isdigit() and events.find(b"\n: ", len(comment)) < 0:
            self._ids += token + b","
            self.answer_count += 1
            return rest
        return _COMMENT.sub(self._take, events)

    def note(self, events: bytes) -> None:
        """Notes events that the client is sent."""
        if not self._first:
            self._first = events
        self._last = events

    @property
    def empty(self) -> bool:
        """Whether the client has no event yet."""
        return not self._first

    @property
    def prompt(self) -> list[int]:
        """The prompt's token ids, empty where the replica did not send them."""
        return _numbers(self._prompt)

    @property
    def tokens(self) -> list[int]:
        """The ids of the tokens that the client has."""
        return _numbers(bytes(self._ids))

    @property
    def first(self) -> dict[str, Any]:
        """The first event, whose id, time and model are the whole stream's."""
        return _event(self._first, 0)

    @property
    def last(self) -> dict[str, Any]:
        """The last event."""
        return _event(self._last, -1)

    def _take(self, match: re.Match[bytes]) -> bytes:
        if match["kind"] == b"ids":
            self._ids += match["ids"] + b","
            self.answer_count += match["ids"].count(b",") + 1
        elif not self._prompt:
            self._prompt = match["ids"]
            self.prompt_count = self._prompt.count(b",") + 1
        return b""


def _numbers(text: bytes) -> list[int]:
    return [int(number) for number in text.split(b",") if number]


def _event(events: bytes, index: int) -> dict[str, Any]:
    data = [line[5:].strip() for line in events.splitlines() if line.startswith(b"data:")]
    try:
        event = msgspec.json.decode(data[index])
    except (IndexError, msgspec.DecodeError):
        return {}
    return event if isinstance(event, dict) else {}
