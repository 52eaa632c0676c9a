"""Filtering of answers that come as one JSON document.

Each text goes through a channel as it would on a stream, so the result is the same.
"""

from typing import Any

from patchbay.core.errors import AnswerUnreadable
from patchbay.guards.formats.protocol import FREE, FormatPlace, answer_places
from patchbay.guards.formats.texts import CARRIES_TEXT, ESCAPED, AnswerTexts, is_main, type_of
from patchbay.guards.formats.walk import Spot, walked

# Endpoints that answer with text. The answers of others (vectors, counts) hold none.
WITH_TEXT = ("chat_completions", "completions", "responses", "messages")


def filtered_answer(endpoint: str, answer: dict[str, Any], texts: AnswerTexts) -> dict[str, Any]:
    """Returns an answer of `endpoint` with its texts filtered by `texts`.

    For use in `shut()`: raises what reading raises where the answer is not in its format, and AnswerUnreadable.
    """
    if endpoint == "responses":
        return _response(answer, texts)
    if endpoint == "messages":
        return _message(answer, texts)
    top = answer_places(endpoint)
    fields = {name: value for name, value in answer.items() if name not in CARRIES_TEXT}
    choices = answer.get("choices")
    rest: dict[str, Any] = texts.filtered({name: value for name, value in fields.items() if name != "choices"}, top)
    if choices is None:
        return rest
    if not isinstance(choices, list):
        raise AnswerUnreadable
    return {**rest, "choices": [_choice(choice, texts, top.below("choices")) for choice in choices]}


def filtered_error(error: Any, texts: AnswerTexts) -> tuple[Any, bool]:
    """Returns the body of an error, decoded, with its texts filtered, and whether one of them was blocked."""
    walk = TextWalk(texts, ("error",))
    return walk.filtered(error, FREE), walk.blocked


def _choice(choice: dict[str, Any], texts: AnswerTexts, place: FormatPlace) -> dict[str, Any]:
    walk = TextWalk(texts, ("choice", choice.get("index", 0)))
    details = {name: choice[name] for name in CARRIES_TEXT if name in choice}
    rest = {name: value for name, value in choice.items() if name not in details}
    filtered: dict[str, Any] = walk.filtered(rest, place)
    if walk.blocked:
        filtered["finish_reason"] = "content_filter"
    go_out = not walk.changed and texts.lets_out(details)
    return {**filtered, **(details if go_out else dict.fromkeys(details))}


def _response(answer: dict[str, Any], texts: AnswerTexts) -> dict[str, Any]:
    top = answer_places("responses")
    walk = TextWalk(texts, ("output",))
    output = walk.filtered(_without_logprobs(answer.get("output")), top.below("output"))
    rest = {name: value for name, value in answer.items() if name != "output"}
    filtered: dict[str, Any] = {**texts.filtered(rest, top), "output": output}
    if walk.blocked:
        filtered |= {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
    return filtered


def _message(answer: dict[str, Any], texts: AnswerTexts) -> dict[str, Any]:
    top = answer_places("messages")
    walk = TextWalk(texts, ("content",))
    content = walk.filtered(answer.get("content"), top.below("content"))
    rest = {name: value for name, value in answer.items() if name != "content"}
    filtered: dict[str, Any] = {**texts.filtered(rest, top), "content": content}
    if walk.blocked:
        filtered |= {"stop_reason": "refusal", "stop_sequence": None}
    return filtered


def _without_logprobs(value: Any) -> Any:
    """Returns a response's output with its log probabilities, which repeat the text, emptied."""
    if isinstance(value, list):
        return [_without_logprobs(item) for item in value]
    if isinstance(value, dict):
        return {name: [] if name == "logprobs" and item else _without_logprobs(item) for name, item in value.items()}
    return value


class TextWalk:
    """Filters the texts of a part of an answer, and reports what is found. After a block there is no more text.

    `root`: the beginning of the texts' keys. `blocked`, `changed`: whether any text was.
    """

    def __init__(self, texts: AnswerTexts, root: tuple[Any, ...]) -> None:
        self._texts = texts
        self._root = root
        self.blocked = False
        self.changed = False

    def filtered(self, value: Any, place: FormatPlace) -> Any:
        """Returns `value`, which stands at `place` in the wire format, with its texts filtered."""
        return walked(value, Spot(place), self._text, type_of)

    def _text(self, value: str, spot: Spot) -> str:
        if self.blocked:
            return ""
        key = (*self._root, spot.path)
        escaped, main = spot.name in ESCAPED, is_main(spot)
        out = self._texts.feed(key, value, escaped=escaped, main=main, lead=spot.lead) + self._texts.finish(key)
        self.blocked = self._texts.blocked(key)
        self.changed = self.changed or self._texts.changed(key)
        self._texts.forget(key)
        return out
