"""The codec of streamed chat completions and completions.

Log probabilities and token ids repeat the text. They wait for the end of their choice, and go out only where nothing
was left out of its text.

Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from patchbay.core.errors import AnswerUnreadable
from patchbay.guards.formats.codec import StreamStopped, Used, block_number, each_event
from patchbay.guards.formats.protocol import answer_places
from patchbay.guards.formats.sse import DONE, split, written
from patchbay.guards.formats.texts import CARRIES_TEXT, ESCAPED, AnswerTexts
from patchbay.guards.verdict import Side

# Fields of a choice that have no text of their own.
_PLAIN = frozenset({"index", *CARRIES_TEXT})
# Keys whose text comes in one piece, and is filtered as a whole.
_WHOLE = frozenset({"name", "id", "finish_reason", "stop_reason", "type", "role"})
# Fields of a chunk that the next one does not share.
_OF_CHUNK = frozenset({"choices", "usage", *CARRIES_TEXT})
# One table for both formats: they differ in the names of their texts alone.
_TOP = answer_places("chat_completions")
_IN_CHOICE = _TOP.below("choices")
# Paths of the answer's own text.
_MAIN = (("delta", "content"), ("text",))
# Entries of log probabilities and token ids that are kept for one choice.
_MOST_DETAILS = 20_000
# Choices that an answer may have where the request asks for fewer.
_MOST_UNASKED = 16
# A text's place in a choice: keys of objects and numbers in lists.
Path = tuple[str | int, ...]
# Returns the verdicts of guards on a side so far.
Results = Callable[[Side], Mapping[str, Any]]


@dataclass(slots=True)
class _Choice:
    """The state of one choice. `paths`: the texts that it has; `details`: log probabilities and token ids that wait for
    its end, by field; `over`: whether it has ended."""

    paths: dict[Path, None] = field(default_factory=dict)
    details: dict[str, list[Any]] = field(default_factory=dict)
    over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedAnswer:
    """The parts of an answer that the request asks for.

    `choices`: the number of choices; `usage`: whether a last chunk gives the usage; `results`: whether guards' verdicts
    are in the answer.
    """

    choices: int
    usage: bool = False
    results: bool = False


class ChoicesCodec:
    """A `Codec` of chat completions and completions.

    `texts`: filters the texts; `used`: returns the tokens used so far; `results`: returns the verdicts on a side so
    far; `wanted`: what the request asks for.
    """

    def __init__(self, texts: AnswerTexts, used: Used, results: Results, wanted: RequestedAnswer) -> None:
        self._texts = texts
        self._used = used
        self._results = results
        self._wanted_choices = wanted.choices
        self._wants_usage = wanted.usage
        self._wants_results = wanted.results
        self._prompt_results_sent = not wanted.results
        self._choices: dict[int, _Choice] = {}
        # The fields that all chunks share, from the last chunk: as they came, and as they go out.
        self._came: dict[str, Any] = {}
        self._frame: dict[str, Any] = {}

    def feed(self, events: bytes) -> bytes:
        """Filters events; see `Codec`."""
        return each_event(events, self._event)

    def finish(self) -> bytes:
        """Ends a stream that did not end by itself; see `Codec`."""
        rests = [self._rest_of(index, choice) for index, choice in self._choices.items() if not choice.over]
        return b"".join(self._chunk([rest]) for rest in rests if rest is not None)

    def stop(self, held: bytes) -> bytes:
        """Ends the answer where it is; see `Codec`."""
        if not self._frame:
            # Nothing has passed yet: the first chunk that was held gives the form.
            self._take_frame(next((data for _, data in split(held) if data and data.get("choices")), {}))
        empty: dict[str, Any] = {"text": ""} if self._frame.get("object") == "text_completion" else {"delta": {}}
        over = {index for index, choice in self._choices.items() if choice.over}
        ended = [self._ended({"index": index, **empty}) for index in range(self._wanted_choices) if index not in over]
        return (self._chunk(ended) if ended else b"") + self._ending()

    def _event(self, event: bytes, data: Any) -> bytes:
        if data is None:
            return self.finish() + event if event.startswith(b"data: [DONE]") else event
        choices = data.get("choices")
        if not choices:
            rest = {name: value for name, value in data.items() if name not in CARRIES_TEXT}
            return written(self._texts.filtered(rest, _TOP))
        self._take_frame(data)
        kept = [filtered for choice in choices if (filtered := self._choice(choice)) is not None]
        usage = data.get("usage")
        if not kept and not usage:
            return b""
        chunk = {**self._frame, "choices": kept}
        if "usage" in data:
            chunk["usage"] = self._texts.filtered(usage, _TOP.below("usage"))
        self._add_prompt_results(chunk)
        out = written(chunk)
        if self._all_over and any(map(self._blocked, self._choices)):
            raise StreamStopped(out + self._ending())
        return out

    @property
    def _all_over(self) -> bool:
        return len(self._choices) >= self._wanted_choices and all(choice.over for choice in self._choices.values())

    def _choice(self, choice: dict[str, Any]) -> dict[str, Any] | None:
        """Returns a chunk's choice as it may go out; None where nothing of it may."""
        index = block_number(choice.get("index", 0))
        state = self._state_of(index)
        if state.over:
            return None
        for name in CARRIES_TEXT:
            if (value := choice.pop(name, None)) is not None:
                self._keep_detail(state, name, value)
        content = {name: value for name, value in choice.items() if name not in _PLAIN}
        filtered, had_text = self._filtered(content, (), index, state)
        if self._blocked(index):
            state.over = True
            return self._ended({"index": index, **filtered})
        ends = choice.get("finish_reason") is not None
        if ends:
            state.over = True
            self._flush_into(filtered, index, state)
            if self._blocked(index):
                return self._ended({"index": index, **filtered})
            self._add_details(filtered, index, state)
        # All of the text is held: there is nothing to send yet.
        if had_text and not ends and not _has_text(filtered):
            return None
        return {**({"index": index} if "index" in choice else {}), **filtered}

    def _state_of(self, index: int) -> _Choice:
        """Returns the state of a choice. Raises AnswerUnreadable where the answer has too many choices."""
        state = self._choices.get(index)
        if state is None:
            if len(self._choices) >= max(self._wanted_choices, _MOST_UNASKED):
                raise AnswerUnreadable("The answer has more choices than were asked for, so it was not let through.")
            state = self._choices[index] = _Choice()
        return state

    def _ended(self, choice: dict[str, Any]) -> dict[str, Any]:
        """Returns `choice` with the end that a guard puts to it."""
        ended = {"logprobs": None, "finish_reason": "content_filter"}
        return {**choice, **ended, "content_filter_results": self._results("output")}

    def _take_frame(self, data: dict[str, Any]) -> None:
        came = {name: data[name] for name in data if name not in _OF_CHUNK}
        if came != self._came:
            self._came = came
            self._frame = self._texts.filtered(came, _TOP)

    def _add_prompt_results(self, data: dict[str, Any]) -> None:
        if not self._prompt_results_sent:
            self._prompt_results_sent = True
            data["prompt_filter_results"] = prompt_results(self._results("input"))

    def _filtered(self, value: Any, path: Path, index: int, state: _Choice) -> tuple[Any, bool]:
        """Returns `value` with its texts filtered, and whether it had any.

        `path`: its place in the choice with the number `index`, whose state is `state`.
        """
        if isinstance(value, str):
            name = next((part for part in reversed(path) if isinstance(part, str)), "")
            if not value or not _IN_CHOICE.is_text(name, value):
                return value, False
            if name in _WHOLE:
                return self._texts.whole(value)[0], False
            state.paths[path] = None
            main = path in _MAIN
            return self._texts.feed((index, path), value, escaped=name in ESCAPED, main=main), True
        if isinstance(value, dict):
            items = {self._key(name): self._filtered(item, (*path, name), index, state) for name, item in value.items()}
            return {name: item for name, (item, _) in items.items()}, any(had_text for _, had_text in items.values())
        if isinstance(value, list):
            parts = [
                self._filtered(item, (*path, _number(item, position)), index, state)
                for position, item in enumerate(value)
            ]
            return [item for item, _ in parts], any(had_text for _, had_text in parts)
        return value, False

    def _key(self, name: str) -> str:
        return self._texts.whole(name)[0] if _IN_CHOICE.has_text_key(name) else name

    def _flush_into(self, content: dict[str, Any], index: int, state: _Choice) -> None:
        """Adds to `content` what was held of a choice's texts."""
        for path in state.paths:
            if rest := self._texts.finish((index, path)):
                _put(content, path, rest)

    def _rest_of(self, index: int, state: _Choice) -> dict[str, Any] | None:
        content: dict[str, Any] = {}
        self._flush_into(content, index, state)
        return {"index": index, **content, "finish_reason": None} if content else None

    def _keep_detail(self, state: _Choice, name: str, value: Any) -> None:
        parts = state.details.setdefault(name, [])
        if sum(map(len, state.details.values())) < _MOST_DETAILS:
            parts.append(value)

    def _add_details(self, choice: dict[str, Any], index: int, state: _Choice) -> None:
        """Adds the details that waited for a choice's end to its last part."""
        if self._wants_results:
            choice["content_filter_results"] = self._results("output")
        if any(self._texts.changed((index, path)) for path in state.paths) or not self._texts.lets_out(state.details):
            return
        for name, values in state.details.items():
            choice[name] = _joined(values)

    def _blocked(self, index: int) -> bool:
        return any(self._texts.blocked((index, path)) for path in self._choices[index].paths)

    def _chunk(self, choices: list[dict[str, Any]]) -> bytes:
        return written({**self._frame, "choices": choices})

    def _ending(self) -> bytes:
        if not self._wants_usage:
            return DONE
        prompt, answer = self._used()
        usage = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
        return written({**self._frame, "choices": [], "usage": usage}) + DONE


def prompt_results(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the verdicts on a prompt in Azure's form.

    Source: https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter
    """
    return [{"prompt_index": 0, "content_filter_results": results}]


def _number(value: Any, position: int) -> int:
    """Returns the number of a part in its list: by its `index`, as a chunk may have only some of the parts."""
    index = value.get("index") if isinstance(value, dict) else None
    return index if isinstance(index, int) else position


def _has_text(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_text(item) for name, item in value.items() if name not in ("type", "index"))
    if isinstance(value, list):
        return any(map(_has_text, value))
    return isinstance(value, str) and value != ""


def _put(content: dict[str, Any], path: Path, text: str) -> None:
    """Adds `text` to the text at `path` in `content`, and makes what is missing on the way."""
    place: Any = content
    for part, after in pairwise(path):
        fresh: Any = [] if isinstance(after, int) else {}
        if isinstance(part, int):
            entry = next((item for item in place if item.get("index") == part), None)
            if entry is None:
                entry = {"index": part}
                place.append(entry)
            place = entry
        else:
            if not place.get(part):
                place[part] = fresh
            place = place[part]
    last: Hashable = path[-1]
    place[last] = (place.get(last) or "") + text


def _joined(values: list[Any]) -> Any:
    """Joins parts that came one after the other."""
    if all(isinstance(value, list) for value in values):
        return [item for value in values for item in value]
    if all(isinstance(value, dict) for value in values):
        names = dict.fromkeys(name for value in values for name in value)
        by_name = {name: [value[name] for value in values if value.get(name) is not None] for name in names}
        return {name: _joined(parts) if parts else None for name, parts in by_name.items()}
    return values[-1]
