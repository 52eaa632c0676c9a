"""The codec of streamed messages in Anthropic's format.

Source: https://docs.anthropic.com/en/api/messages-streaming
"""

from typing import Any

from patchbay.guards.formats.codec import StreamStopped, Used, block_number, each_event
from patchbay.guards.formats.document import TextWalk
from patchbay.guards.formats.protocol import answer_places
from patchbay.guards.formats.sse import written
from patchbay.guards.formats.texts import ESCAPED, AnswerTexts

# A content block's index, and the name of its text in a delta.
Key = tuple[Any, str]
_TOP = answer_places("messages")
_IN_DELTA, _IN_BLOCK = _TOP.below("delta"), _TOP.below("content_block")
# The texts that a block may begin with, and the type of the deltas that they go on in.
_BEGUN = {"text": "text_delta", "thinking": "thinking_delta"}


class MessagesCodec:
    """A `Codec` of Anthropic's messages. `texts`: filters the texts; `used`: returns the tokens used so far."""

    def __init__(self, texts: AnswerTexts, used: Used) -> None:
        self._texts = texts
        self._used = used
        # The first delta of each text that has not ended, without its texts: the form of those made here.
        self._open: dict[Key, dict[str, Any]] = {}
        self._blocks: set[Any] = set()

    def feed(self, events: bytes) -> bytes:
        """Filters events; see `Codec`."""
        return each_event(events, self._event)

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
        if kind == "content_block_start":
            return self._start(data)
        before = b""
        if kind == "content_block_stop":
            self._blocks.discard(block_number(data.get("index")))
            before = b"".join(self._rest(key) for key in list(self._open) if key[0] == block_number(data.get("index")))
        elif kind == "message_stop":
            before = self.finish()
        out = self._texts.filtered(data, _TOP)
        return before + written(out, str(out.get("type", "")))

    def _start(self, data: dict[str, Any]) -> bytes:
        """Begins a block. A text that it begins with is one with the deltas that follow, so it becomes one of them."""
        index, block = block_number(data.get("index")), dict(data.get("content_block") or {})
        self._blocks.add(index)
        begun = {name: block[name] for name in _BEGUN if isinstance(block.get(name), str) and block[name]}
        walk = TextWalk(self._texts, ("start", index))
        block = walk.filtered({**block, **dict.fromkeys(begun, "")}, _IN_BLOCK)
        rest = self._texts.filtered({name: value for name, value in data.items() if name != "content_block"}, _TOP)
        out = written({**rest, "content_block": block}, "content_block_start")
        if walk.blocked:
            raise StreamStopped(out + self._stopped(index))
        for name, text in begun.items():
            delta = {"type": _BEGUN[name], name: text}
            out += self._delta({"type": "content_block_delta", "index": index, "delta": delta})
        return out

    def _delta(self, data: dict[str, Any]) -> bytes:
        delta = data.get("delta") or {}
        texts = {name: value for name, value in delta.items() if _is_delta_text(name, value)}
        if not texts:
            return written(self._texts.filtered(data, _TOP), "content_block_delta")
        out = b""
        for name, text in texts.items():
            key = (block_number(data.get("index")), name)
            if key not in self._open:
                rest = {other: value for other, value in delta.items() if other not in texts}
                self._open[key] = self._texts.filtered({**data, "delta": rest}, _TOP)
            out += self._as_delta(key, self._texts.feed(key, text, escaped=name in ESCAPED, main=name == "text"))
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
            raise StreamStopped(out + self._stopped(key[0]))

    def _stopped(self, index: Any) -> bytes:
        return written({"type": "content_block_stop", "index": index}, "content_block_stop") + self._ending()

    def _ending(self) -> bytes:
        usage = {"output_tokens": self._used()[1]}
        ending = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_sequence": None}, "usage": usage}
        return written(ending, "message_delta") + written({"type": "message_stop"}, "message_stop")


def _is_delta_text(name: str, value: Any) -> bool:
    return isinstance(value, str) and name != "type" and _IN_DELTA.below(name).is_text(name, value)
