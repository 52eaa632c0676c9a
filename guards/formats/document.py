"""Filtering of answers that come as one JSON document.

Each text goes through a channel as it would on a stream, so the result is the same.
"""

from typing import Any

from patchbay.core.errors import AnswerUnreadable
from patchbay.guards.formats.texts import CARRIES_TEXT, ESCAPED, NEUTRAL, AnswerTexts, is_main

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
    fields = {name: value for name, value in answer.items() if name not in CARRIES_TEXT}
    choices = answer.get("choices")
    rest = {name: texts.filtered(value, name) for name, value in fields.items() if name != "choices"}
    if choices is None:
        return rest
    if not isinstance(choices, list):
        raise AnswerUnreadable
    return {**rest, "choices": [_choice(choice, texts) for choice in choices]}


def _choice(choice: dict[str, Any], texts: AnswerTexts) -> dict[str, Any]:
    walk = _Walk(texts, ("choice", choice.get("index", 0)))
    details = {name: choice[name] for name in CARRIES_TEXT if name in choice}
    filtered: dict[str, Any] = walk.filtered({name: value for name, value in choice.items() if name not in details}, ())
    if walk.blocked:
        filtered["finish_reason"] = "content_filter"
    return {**filtered, **(dict.fromkeys(details) if walk.changed else details)}


def _response(answer: dict[str, Any], texts: AnswerTexts) -> dict[str, Any]:
    walk = _Walk(texts, ("output",))
    output = walk.filtered(answer.get("output"), (), drop=frozenset({"logprobs"}))
    rest = {name: value for name, value in answer.items() if name != "output"}
    filtered: dict[str, Any] = {**texts.filtered(rest), "output": output}
    if walk.blocked:
        filtered |= {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
    return filtered


def _message(answer: dict[str, Any], texts: AnswerTexts) -> dict[str, Any]:
    walk = _Walk(texts, ("content",))
    content = walk.filtered(answer.get("content"), ())
    rest = {name: value for name, value in answer.items() if name != "content"}
    filtered: dict[str, Any] = {**texts.filtered(rest), "content": content}
    if walk.blocked:
        filtered |= {"stop_reason": "refusal", "stop_sequence": None}
    return filtered


class _Walk:
    """Filters the texts of a part of an answer. After a block there is no more text.

    `root`: the beginning of the texts' keys. `blocked`, `changed`: whether any text was.
    """

    def __init__(self, texts: AnswerTexts, root: tuple[Any, ...]) -> None:
        self._texts = texts
        self._root = root
        self.blocked = False
        self.changed = False

    def filtered(self, value: Any, path: tuple[Any, ...], drop: frozenset[str] = frozenset(), kind: str = "") -> Any:
        """Returns `value` with its texts filtered.

        `path`: its place in the part; `drop`: keys whose lists are emptied; `kind`: the type of the object around it.
        """
        if isinstance(value, str):
            return self._text(value, path, kind)
        if isinstance(value, list):
            return [self.filtered(item, (*path, number), drop, kind) for number, item in enumerate(value)]
        if isinstance(value, dict):
            kind = str(value.get("type", ""))
            return {
                self._name(name): [] if name in drop and item else self.filtered(item, (*path, name), drop, kind)
                for name, item in value.items()
            }
        return value

    def _name(self, name: str) -> str:
        """Filters a key that the model chose, as those of a tool's input are: it may carry text like any value."""
        return name if name.isidentifier() else self._texts.whole(name)[0]

    def _text(self, value: str, path: tuple[Any, ...], kind: str) -> str:
        name = next((part for part in reversed(path) if isinstance(part, str)), "")
        if name in NEUTRAL:
            return value
        if self.blocked:
            return ""
        key = (*self._root, path)
        main = is_main(name, kind) and "input" not in path
        out = self._texts.feed(key, value, escaped=name in ESCAPED, main=main) + self._texts.finish(key)
        self.blocked = self._texts.blocked(key)
        self.changed = self.changed or self._texts.changed(key)
        self._texts.forget(key)
        return out
