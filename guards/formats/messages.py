"""The codec of streamed messages in Anthropic's format.

Source: https://docs.anthropic.com/en/api/messages-streaming
"""

from typing import Any

from patchbay.guards.formats.codec import StreamStopped, Used
from patchbay.guards.formats.sse import split, written
from patchbay.guards.formats.texts import ESCAPED, NEUTRAL, AnswerTexts

# A content block's index, and the name of its text in a delta.
Key = tuple[Any, str]


class MessagesCodec:
    """A `Codec` of Anthropic's messages. `texts`: filters the texts; `used`: returns the tokens used so far."""

    def __init__(self, texts: AnswerTexts, used: Used) -> None:
        self._texts = texts
        self._used = used
        # The first delta of each text that has not ended: the form of those made here.
        self._open: dict[Key, dict[str, Any]] = {}
        self._blocks: set[Any] = set()

    def feed(self, events: bytes) -> bytes:
        """Filters events; see `Codec`."""
        return b"".join(self._event(event, data) for event, data in split(events))

    def finish(self) -> bytes:
        """Ends a stream that did not end by itself; see `Codec`."""
        return b"".join(map(self._rest, list(self._open)))

    def stop(self, held: bytes) -> bytes:
        """Ends the answer where it is; see `Codec`."""
        ends = [written({"type": "content_block_stop", "index": index}, "content_block_stop") for index in self._blocks]
        return b"".join(ends) + self._ending()

    def _event(self, event: bytes, data: Any) -> bytes:
        if data is None:
            return event
        kind = str(data.get("type", ""))
        if kind == "content_block_delta":
            return self._delta(data)
        before = b""
        if kind == "content_block_start":
            self._blocks.add(data.get("index"))
        if kind == "content_block_stop":
            self._blocks.discard(data.get("index"))
            before = b"".join(self._rest(key) for key in list(self._open) if key[0] == data.get("index"))
        elif kind == "message_stop":
            before = self.finish()
        return before + written(self._texts.filtered(data), kind)

    def _delta(self, data: dict[str, Any]) -> bytes:
        delta = data.get("delta") or {}
        names = [name for name, value in delta.items() if isinstance(value, str) and name not in NEUTRAL]
        if not names:
            return written(self._texts.filtered(data), "content_block_delta")
        out = b""
        for name in names:
            key = (data.get("index"), name)
            self._open.setdefault(key, data)
            out += self._as_delta(key, self._texts.feed(key, delta[name], escaped=name in ESCAPED, main=name == "text"))
            self._check(key, out)
        return out

    def _rest(self, key: Key) -> bytes:
        out = self._as_delta(key, self._texts.finish(key))
        self._check(key, out)
        self._open.pop(key, None)
        return out

    def _as_delta(self, key: Key, text: str) -> bytes:
        base = self._open[key]
        return written({**base, "delta": {**base["delta"], key[1]: text}}, "content_block_delta") if text else b""

    def _check(self, key: Key, out: bytes) -> None:
        if self._texts.blocked(key):
            out += written({"type": "content_block_stop", "index": key[0]}, "content_block_stop")
            raise StreamStopped(out + self._ending())

    def _ending(self) -> bytes:
        usage = {"output_tokens": self._used()[1]}
        ending = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_sequence": None}, "usage": usage}
        return written(ending, "message_delta") + written({"type": "message_stop"}, "message_stop")
