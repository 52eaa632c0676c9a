"""The codec of streamed responses, by OpenAI's Responses API.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from collections.abc import Hashable
from typing import Any

from patchbay.guards.formats.codec import StreamStopped, Used, each_event
from patchbay.guards.formats.protocol import answer_places
from patchbay.guards.formats.sse import written
from patchbay.guards.formats.texts import ESCAPED, AnswerTexts

_TOP = answer_places("responses")
# Fields that tell the texts of a response apart.
_PLACES = ("item_id", "output_index", "content_index", "summary_index")


class ResponsesCodec:
    """A `Codec` of the Responses API. `texts`: filters the texts; `used`: returns the tokens used so far.

    The events that end a text, and the response, repeat the text. It is filtered there as a whole, with the same
    result.
    """

    def __init__(self, texts: AnswerTexts, used: Used) -> None:
        self._texts = texts
        self._used = used
        self._sequence_number = 0
        self._response: dict[str, Any] = {}
        # The first delta of each text, without it, and the text that was sent.
        self._sent: dict[Hashable, tuple[dict[str, Any], str]] = {}

    def feed(self, events: bytes) -> bytes:
        """Filters events; see `Codec`."""
        return each_event(events, self._event)

    def finish(self) -> bytes:
        """Ends a stream that did not end by itself; see `Codec`."""
        return b"".join(map(self._rest, list(self._sent)))

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
        _empty_logprobs(data)
        return before + self._written(self._texts.filtered(data, _TOP))

    def _delta(self, key: Hashable, data: dict[str, Any], *, escaped: bool) -> bytes:
        main = str(data["type"]).startswith("response.output_text")
        text = self._texts.feed(key, data["delta"], escaped=escaped, main=main)
        base, sent = self._sent.get(key) or (self._base(data), "")
        self._sent[key] = (base, sent + text)
        out = self._as_delta(base, text) if text else b""
        if self._texts.blocked(key):
            raise StreamStopped(out + self._ending())
        return out

    def _rest(self, key: Hashable) -> bytes:
        if key not in self._sent:
            return b""
        text = self._texts.finish(key)
        base, sent = self._sent[key]
        self._sent[key] = (base, sent + text)
        out = self._as_delta(base, text) if text else b""
        if self._texts.blocked(key):
            raise StreamStopped(out + self._ending())
        return out

    def _as_delta(self, base: dict[str, Any], text: str) -> bytes:
        return self._written({**base, "delta": text})

    def _base(self, data: dict[str, Any]) -> dict[str, Any]:
        """Returns a delta's event without its text, the form of those made here."""
        base: dict[str, Any] = self._texts.filtered({**data, "delta": ""}, _TOP)
        return base | {"logprobs": []} if "logprobs" in base else base

    def _written(self, data: dict[str, Any]) -> bytes:
        if "sequence_number" in data:
            data = {**data, "sequence_number": self._sequence_number}
            # Counted anew: held deltas and those made here change the number of events.
            self._sequence_number += 1
        return written(data, str(data.get("type", "")))

    def _ending(self) -> bytes:
        prompt, answer = self._used()
        output = [
            {
                "type": "message",
                "id": base.get("item_id", ""),
                "role": "assistant",
                "status": "incomplete",
                "content": [{"type": "output_text", "text": text, "annotations": []}],
            }
            for base, text in self._sent.values()
            if str(base.get("type", "")).startswith("response.output_text")
        ]
        usage = {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": answer,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + answer,
        }
        response = {
            **self._texts.filtered(self._response, _TOP.below("response")),
            "status": "incomplete",
            "incomplete_details": {"reason": "content_filter"},
            "output": output,
            "usage": usage,
        }
        return self._written({"type": "response.incomplete", "sequence_number": 0, "response": response})


def _empty_logprobs(value: Any) -> None:
    """Empties log probabilities, which repeat the text."""
    if isinstance(value, dict):
        if value.get("logprobs"):
            value["logprobs"] = []
        for item in value.values():
            _empty_logprobs(item)
    elif isinstance(value, list):
        for item in value:
            _empty_logprobs(item)
