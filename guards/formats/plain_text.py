"""What a model says in an answer, in plain text: content, reasoning, tool calls; streamed or whole. Pure.

For who judges an answer as a whole, not for who has to put it back together.
"""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from patchbay.guards.formats.codec import readable
from patchbay.guards.formats.texts import CARRIES_TEXT, NEUTRAL

# Where an event of the Responses API says something that it may have said before, in parts.
_AGAIN = ("text", "arguments", "refusal", "part", "item")


class PlainText:
    """An answer as it grows. `texts`: by choice, each with all that it says, in the order in which it came."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self.texts: dict[Hashable, str] = {}
        self.length = 0

    def add(self, data: Any) -> None:
        """Takes a stream's next event. Raises AnswerUnreadable."""
        if not isinstance(data, dict):
            return
        with readable():
            for choice, said in _new_in(self._endpoint, data):
                self._say(choice, said)
            for said in _again_in(self._endpoint, data):
                if said not in self.texts.get("", ""):
                    self._say("", said)

    def _say(self, choice: Hashable, said: str) -> None:
        self.texts[choice] = self.texts.get(choice, "") + said
        self.length += len(said)


def spoken_in(endpoint: str, answer: Mapping[str, Any]) -> dict[Hashable, str]:
    """The texts of an answer that is one document, by choice. Raises AnswerUnreadable."""
    with readable():
        return _spoken_in(endpoint, answer)


def _spoken_in(endpoint: str, answer: Mapping[str, Any]) -> dict[Hashable, str]:
    choices = answer.get("choices")
    if endpoint in ("chat_completions", "completions") and isinstance(choices, list):
        said = {at: "\n".join(_strings(choice)) for at, choice in enumerate(choices)}
    else:
        said = {0: "\n".join(_strings(answer.get("output" if endpoint == "responses" else "content")))}
    return {choice: text for choice, text in said.items() if text}


def _new_in(endpoint: str, data: Mapping[str, Any]) -> Iterator[tuple[Hashable, str]]:
    """What an event adds, by choice."""
    if endpoint in ("chat_completions", "completions"):
        choices = data.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                yield from ((choice.get("index", 0), said) for said in _strings(choice))
    elif str(data.get("type", "")).endswith("delta"):
        yield from (("", said) for said in _strings(data.get("delta"), "delta"))


def _again_in(endpoint: str, data: Mapping[str, Any]) -> Iterator[str]:
    """What an event says that may have been said."""
    if endpoint == "messages":
        yield from _strings(data.get("content_block"))
    if endpoint == "responses":
        for name in _AGAIN:
            yield from _strings(data.get(name), name)
        response = data.get("response")
        if isinstance(response, dict):
            yield from _strings(response.get("output"))


def _strings(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, str):
        if value and name not in NEUTRAL:
            yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            if key not in CARRIES_TEXT:
                yield from _strings(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one, name)
