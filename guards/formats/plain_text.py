"""Plain text of an answer: content, reasoning and tool calls, of a stream or a document. Pure.

It is for judges of a whole answer; an answer cannot be put together from it again.
"""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from patchbay.guards.formats.protocol import FormatPlace, answer_places
from patchbay.guards.formats.shut import shut
from patchbay.guards.formats.texts import CARRIES_TEXT

# What tells calls apart is nothing to judge an answer by.
_IDS = frozenset({"id", "item_id", "call_id"})
# Fields of the Responses API's events that repeat a text which may have come in deltas before.
_REPEATING = ("text", "arguments", "refusal", "part", "item")


class PlainText:
    """Collects the plain text of a streamed answer.

    `texts`: the text of each choice, in the order in which it came; `length`: of all texts together, in characters.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self.texts: dict[Hashable, str] = {}
        self.length = 0

    def add(self, data: Any) -> None:
        """Takes the data of a stream's next event. Raises AnswerUnreadable."""
        if not isinstance(data, dict):
            return
        with shut():
            for choice, text in _deltas_in(self._endpoint, data):
                self._append(choice, text)
            for text in _repeats_in(self._endpoint, data):
                if text not in self.texts.get("", ""):
                    self._append("", text)

    def _append(self, choice: Hashable, text: str) -> None:
        self.texts[choice] = self.texts.get(choice, "") + text
        self.length += len(text)


def spoken_in(endpoint: str, answer: Mapping[str, Any]) -> dict[Hashable, str]:
    """Returns the texts of an answer that is one document, by choice. Raises AnswerUnreadable."""
    with shut():
        return _spoken_in(endpoint, answer)


def _spoken_in(endpoint: str, answer: Mapping[str, Any]) -> dict[Hashable, str]:
    choices = answer.get("choices")
    if endpoint in ("chat_completions", "completions") and isinstance(choices, list):
        place = answer_places(endpoint).below("choices")
        texts = {number: "\n".join(_strings(choice, place)) for number, choice in enumerate(choices)}
    else:
        name = "output" if endpoint == "responses" else "content"
        texts = {0: "\n".join(_strings(answer.get(name), answer_places(endpoint).below(name)))}
    return {choice: text for choice, text in texts.items() if text}


def _deltas_in(endpoint: str, data: Mapping[str, Any]) -> Iterator[tuple[Hashable, str]]:
    """Yields the texts that an event adds, each with its choice."""
    top = answer_places(endpoint)
    if endpoint in ("chat_completions", "completions"):
        choices = data.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                yield from ((choice.get("index", 0), text) for text in _strings(choice, top.below("choices")))
    elif str(data.get("type", "")).endswith("delta"):
        yield from (("", text) for text in _strings(data.get("delta"), top.below("delta"), "delta"))


def _repeats_in(endpoint: str, data: Mapping[str, Any]) -> Iterator[str]:
    """Yields the texts of an event that may have come before."""
    top = answer_places(endpoint)
    if endpoint == "messages":
        yield from _strings(data.get("content_block"), top.below("content_block"))
    if endpoint == "responses":
        for name in _REPEATING:
            yield from _strings(data.get(name), top.below(name), name)
        response = data.get("response")
        if isinstance(response, dict):
            yield from _strings(response.get("output"), top.below("response").below("output"))


def _strings(value: Any, place: FormatPlace, name: str = "") -> Iterator[str]:
    """Yields the texts in `value`, at `place`, under the key `name`."""
    if isinstance(value, str):
        if value and place.is_text(name, value) and (place.kind == "free" or name not in _IDS):
            yield value
    elif isinstance(value, dict):
        yield from _in_object(value, place)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, place, name)


def _in_object(value: Mapping[str, Any], place: FormatPlace) -> Iterator[str]:
    for key, item in value.items():
        if place.kind == "free":
            yield key
        if key not in CARRIES_TEXT:
            yield from _strings(item, place.below(key), key)
