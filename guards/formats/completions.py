"""Chat completions and completions as they stream.

What carries the text beside it, log probabilities and token ids, waits for its choice's end, and goes out only where
nothing was left out of that.

Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from patchbay.core.errors import AnswerUnreadable
from patchbay.guards.formats.codec import StreamStopped, Used
from patchbay.guards.formats.sse import DONE, split, written
from patchbay.guards.formats.texts import CARRIES_TEXT, ESCAPED, NEUTRAL, AnswerTexts
from patchbay.guards.verdict import Side

# What a choice has beside its text.
_PLAIN = frozenset({"index", "finish_reason", "stop_reason", *CARRIES_TEXT})
_WHOLE = frozenset({"name"})
_MAIN = (("delta", "content"), ("text",))
_MOST_BESIDE = 20_000
# Choices that are taken where fewer were asked for.
_MOST_UNASKED = 16
Path = tuple[str | int, ...]
Results = Callable[[Side], Mapping[str, Any]]


@dataclass(slots=True)
class _Choice:
    paths: dict[Path, None] = field(default_factory=dict)
    beside: dict[str, list[Any]] = field(default_factory=dict)
    over: bool = False


@dataclass(frozen=True, slots=True)
class RequestedAnswer:
    """`choices`: how many answers were asked for; `usage`: whether a last chunk with it was, too; `results`: whether
    guards' verdicts were."""

    choices: int
    usage: bool = False
    results: bool = False


class ChoicesCodec:
    """A `Codec`. `results`: guards' verdicts on a side so far."""

    def __init__(self, texts: AnswerTexts, used: Used, results: Results, wanted: RequestedAnswer) -> None:
        self._texts = texts
        self._used = used
        self._results = results
        self._wanted = wanted.choices
        self._usage = wanted.usage
        self._tells_results = wanted.results
        self._told_prompt = not wanted.results
        self._choices: dict[int, _Choice] = {}
        self._last: dict[str, Any] = {}

    def feed(self, events: bytes) -> bytes:
        """As `Codec` says."""
        out = [self._event(event, data) for event, data in split(events)]
        return b"".join(out)

    def finish(self) -> bytes:
        """As `Codec` says."""
        rests = [self._flushed(index, choice) for index, choice in self._choices.items() if not choice.over]
        return b"".join(self._chunk([rest]) for rest in rests if rest is not None)

    def stop(self, held: bytes) -> bytes:
        """As `Codec` says."""
        if not self._last:
            first: dict[str, Any] = next(
                (data for _, data in split(held) if data is not None and data.get("choices")), {}
            )
            self._last = _frame(first)
        left: dict[str, Any] = {"text": ""} if self._last.get("object") == "text_completion" else {"delta": {}}
        over = {index for index, choice in self._choices.items() if choice.over}
        ended = [self._ended({"index": index, **left}) for index in range(self._wanted) if index not in over]
        return (self._chunk(ended) if ended else b"") + self._ending()

    def _event(self, event: bytes, data: Any) -> bytes:
        if data is None:
            return self.finish() + event if event.startswith(b"data: [DONE]") else event
        choices = data.get("choices")
        if not choices:
            return written(self._texts.filtered(data))
        self._last = _frame(data)
        data.pop("prompt_token_ids", None)
        kept = [one for choice in choices if (one := self._choice(choice)) is not None]
        if not kept and not data.get("usage"):
            return b""
        data["choices"] = kept
        self._tell_prompt(data)
        out = written(data)
        if self._all_over and any(map(self._blocked, self._choices)):
            raise StreamStopped(out + self._ending())
        return out

    @property
    def _all_over(self) -> bool:
        return len(self._choices) >= self._wanted and all(choice.over for choice in self._choices.values())

    def _choice(self, choice: dict[str, Any]) -> dict[str, Any] | None:
        index = choice.get("index", 0)
        known = self._known(index)
        if known.over:
            return None
        for name in CARRIES_TEXT:
            if (value := choice.pop(name, None)) is not None:
                self._set_aside(known, name, value)
        said = {name: value for name, value in choice.items() if name not in _PLAIN}
        told, came = self._filtered(said, (), index, known)
        if self._blocked(index):
            known.over = True
            return self._ended({"index": index, **told})
        ends = choice.get("finish_reason") is not None
        if ends:
            known.over = True
            self._flush_into(told, index, known)
            if self._blocked(index):
                return self._ended({"index": index, **told})
            self._give_back(choice, index, known)
        if came and not ends and not _has_text(told):
            return None
        return {**choice, **told}

    def _known(self, index: int) -> _Choice:
        known = self._choices.get(index)
        if known is None:
            if len(self._choices) >= max(self._wanted, _MOST_UNASKED):
                raise AnswerUnreadable("The answer has more choices than were asked for, so it was not let through.")
            known = self._choices[index] = _Choice()
        return known

    def _ended(self, choice: dict[str, Any]) -> dict[str, Any]:
        """A choice that a guard ends."""
        ended = {"logprobs": None, "finish_reason": "content_filter"}
        return {**choice, **ended, "content_filter_results": self._results("output")}

    def _tell_prompt(self, data: dict[str, Any]) -> None:
        if not self._told_prompt:
            self._told_prompt = True
            data["prompt_filter_results"] = prompt_results(self._results("input"))

    def _filtered(self, value: Any, path: Path, index: int, known: _Choice) -> tuple[Any, bool]:
        """`value` with its texts put through their channels, and whether it had any."""
        if isinstance(value, str):
            name = next((part for part in reversed(path) if isinstance(part, str)), "")
            if name in NEUTRAL or not value:
                return value, False
            if name in _WHOLE:
                return self._texts.whole(value)[0], False
            known.paths[path] = None
            main = path in _MAIN
            return self._texts.feed((index, path), value, escaped=name in ESCAPED, main=main), True
        if isinstance(value, dict):
            made = {name: self._filtered(one, (*path, name), index, known) for name, one in value.items()}
            return {name: one for name, (one, _) in made.items()}, any(came for _, came in made.values())
        if isinstance(value, list):
            parts = [self._filtered(one, (*path, _place(one, at)), index, known) for at, one in enumerate(value)]
            return [one for one, _ in parts], any(came for _, came in parts)
        return value, False

    def _flush_into(self, told: dict[str, Any], index: int, known: _Choice) -> None:
        for path in known.paths:
            if rest := self._texts.finish((index, path)):
                _put(told, path, rest)

    def _flushed(self, index: int, known: _Choice) -> dict[str, Any] | None:
        told: dict[str, Any] = {}
        self._flush_into(told, index, known)
        return {"index": index, **told, "finish_reason": None} if told else None

    def _set_aside(self, known: _Choice, name: str, value: Any) -> None:
        parts = known.beside.setdefault(name, [])
        if sum(map(len, known.beside.values())) < _MOST_BESIDE:
            parts.append(value)

    def _give_back(self, choice: dict[str, Any], index: int, known: _Choice) -> None:
        """Adds to a choice's last part what waited for it."""
        if self._tells_results:
            choice["content_filter_results"] = self._results("output")
        if any(self._texts.changed((index, path)) for path in known.paths):
            return
        for name, values in known.beside.items():
            choice[name] = _joined(values)

    def _blocked(self, index: int) -> bool:
        return any(self._texts.blocked((index, path)) for path in self._choices[index].paths)

    def _chunk(self, choices: list[dict[str, Any]]) -> bytes:
        return written({**self._last, "choices": choices})

    def _ending(self) -> bytes:
        if not self._usage:
            return DONE
        prompt, answer = self._used()
        usage = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
        return written({**self._last, "choices": [], "usage": usage}) + DONE


def prompt_results(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Verdicts on a prompt, in Azure's form.

    Source: https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter
    """
    return [{"prompt_index": 0, "content_filter_results": results}]


def _frame(data: dict[str, Any]) -> dict[str, Any]:
    """What all chunks of an answer have."""
    return {name: data[name] for name in data if name not in ("choices", "usage", *CARRIES_TEXT)}


def _place(value: Any, at: int) -> int:
    """Where a part of a list belongs, which is not where it stands in a chunk that has only some of them."""
    index = value.get("index") if isinstance(value, dict) else None
    return index if isinstance(index, int) else at


def _has_text(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_text(one) for name, one in value.items() if name not in ("type", "index"))
    if isinstance(value, list):
        return any(map(_has_text, value))
    return isinstance(value, str) and value != ""


def _put(told: dict[str, Any], path: Path, text: str) -> None:
    """Adds `text` to what is at `path`."""
    place: Any = told
    for part, after in pairwise(path):
        fresh: Any = [] if isinstance(after, int) else {}
        if isinstance(part, int):
            found = next((one for one in place if one.get("index") == part), None)
            if found is None:
                found = {"index": part}
                place.append(found)
            place = found
        else:
            if not place.get(part):
                place[part] = fresh
            place = place[part]
    last: Hashable = path[-1]
    place[last] = (place.get(last) or "") + text


def _joined(values: list[Any]) -> Any:
    """Parts that came one after the other, as one."""
    if all(isinstance(value, list) for value in values):
        return [one for value in values for one in value]
    if all(isinstance(value, dict) for value in values):
        names = dict.fromkeys(name for value in values for name in value)
        found = {name: [value[name] for value in values if value.get(name) is not None] for name in names}
        return {name: _joined(parts) if parts else None for name, parts in found.items()}
    return values[-1]
