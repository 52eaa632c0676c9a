"""Responses as they stream.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from collections.abc import Hashable
from typing import Any

from patchbay.guards.formats.codec import StreamStopped, Used
from patchbay.guards.formats.sse import split, written
from patchbay.guards.formats.texts import ESCAPED, AnswerTexts

_PLACES = ("item_id", "output_index", "content_index", "summary_index")


class ResponsesCodec:
    """A `Codec`. What ends a text, and the response as a whole, says the text again: it is filtered as a whole, which
    comes to the same."""

    def __init__(self, texts: AnswerTexts, used: Used) -> None:
        self._texts = texts
        self._used = used
        self._number = 0
        self._response: dict[str, Any] = {}
        self._said: dict[Hashable, tuple[dict[str, Any], str]] = {}

    def feed(self, events: bytes) -> bytes:
        """Filters events; see `Codec`."""
        return b"".join(self._event(event, data) for event, data in split(events))

    def finish(self) -> bytes:
        """Ends a stream that did not end by itself; see `Codec`."""
        return b"".join(map(self._rest, list(self._said)))

    def stop(self, held: bytes) -> bytes:
        """Ends the answer where it is; see `Codec`."""
        return self._ending()

    def _event(self, event: bytes, data: Any) -> bytes:
        if data is None:
            return event
        if isinstance(data.get("response"), dict):
            self._response = data["response"]
        kind = str(data.get("type", ""))
        stem, _, step = kind.rpartition(".")
        key = (stem, *(data.get(name) for name in _PLACES))
        if step == "delta" and isinstance(data.get("delta"), str):
            return self._delta(key, data, escaped=stem.endswith(tuple(ESCAPED)))
        before = self._rest(key) if step == "done" else b""
        _without_logprobs(data)
        return before + self._written(self._texts.filtered(data))

    def _delta(self, key: Hashable, data: dict[str, Any], *, escaped: bool) -> bytes:
        main = str(data["type"]).startswith("response.output_text")
        text = self._texts.feed(key, data["delta"], escaped=escaped, main=main)
        base, said = self._said.get(key, (data, ""))
        self._said[key] = (base, said + text)
        out = self._as_delta(base, text) if text else b""
        if self._texts.blocked(key):
            raise StreamStopped(out + self._ending())
        return out

    def _rest(self, key: Hashable) -> bytes:
        if key not in self._said:
            return b""
        text = self._texts.finish(key)
        base, said = self._said[key]
        self._said[key] = (base, said + text)
        out = self._as_delta(base, text) if text else b""
        if self._texts.blocked(key):
            raise StreamStopped(out + self._ending())
        return out

    def _as_delta(self, base: dict[str, Any], text: str) -> bytes:
        told = {**base, "delta": text}
        if "logprobs" in told:
            told["logprobs"] = []
        return self._written(told)

    def _written(self, data: dict[str, Any]) -> bytes:
        if "sequence_number" in data:
            data = {**data, "sequence_number": self._number}
            self._number += 1
        return written(data, str(data.get("type", "")))

    def _ending(self) -> bytes:
        prompt, answer = self._used()
        output = [
            {
                "type": "message",
                "id": base.get("item_id", ""),
                "role": "assistant",
                "status": "incomplete",
                "content": [{"type": "output_text", "text": said, "annotations": []}],
            }
            for base, said in self._said.values()
            if str(base.get("type", "")).startswith("response.output_text")
        ]
        usage = {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": answer,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + answer,
        }
        whole = {
            **self._texts.filtered(self._response),
            "status": "incomplete",
            "incomplete_details": {"reason": "content_filter"},
            "output": output,
            "usage": usage,
        }
        return self._written({"type": "response.incomplete", "sequence_number": 0, "response": whole})


def _without_logprobs(value: Any) -> None:
    """Takes out what carries the text beside it."""
    if isinstance(value, dict):
        if value.get("logprobs"):
            value["logprobs"] = []
        for one in value.values():
            _without_logprobs(one)
    elif isinstance(value, list):
        for one in value:
            _without_logprobs(one)
