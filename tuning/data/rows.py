"""The rows of data sets in their one canonical form: a JSON object a line, as TRL's conversational forms are.

A `chat` row has `messages` (and maybe `tools`), a `preference` row `prompt`, `chosen` and `rejected`, a `vote` row
`prompt`, `completion` and `label`; each of these but `label` is a list of messages. Beside them a row may have marks:
`id`, `group`, `source`, `tags`, `language`, `safety`.
Source: https://huggingface.co/docs/trl/dataset_formats (conversational).
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Final, Literal

from patchbay.core.errors import DataError

Kind = Literal["chat", "preference", "vote"]
Message = Mapping[str, Any]
PARTS: Final[Mapping[Kind, tuple[str, ...]]] = MappingProxyType(
    {"chat": ("messages",), "preference": ("prompt", "chosen", "rejected"), "vote": ("prompt", "completion")}
)
ANSWERER: Final = "assistant"


class RowFault(DataError):
    """A record that cannot be a row. The message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The marks of a row: what is known of it beside its texts.

    `id`: its own name; `group`: of rows that belong into one split, such as a customer's; `source`: where it came from;
    `tags`: words to choose by; `language`: an ISO 639 code; `safety`: it teaches what to refuse.
    """

    id: str | None = None
    group: str | None = None
    source: str | None = None
    tags: tuple[str, ...] = ()
    language: str | None = None
    safety: bool | None = None


MARKS: Final = tuple(one.name for one in fields(Marks))


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPlace:
    """One text of a row. `part`: such as `messages`; `index`: of the message in it; `role`: whose text it is."""

    part: str
    index: int
    role: str
    text: str

    def __str__(self) -> str:
        return f"{self.part}[{self.index}].content"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row. `parts`: its lists of messages by name, those of its kind; `label`: of a vote, whether the answer was
    good; `tools`: of a chat, what the model may call, as OpenAI's `tools`."""

    kind: Kind
    parts: Mapping[str, tuple[Message, ...]]
    label: bool | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    marks: Marks = field(default_factory=Marks)

    def document(self) -> dict[str, Any]:
        """Returns the row as plain JSON."""
        found: dict[str, Any] = {name: [dict(message) for message in turns] for name, turns in self.parts.items()}
        if self.label is not None:
            found["label"] = self.label
        if self.tools:
            found["tools"] = [dict(tool) for tool in self.tools]
        kept = {name: getattr(self.marks, name) for name in MARKS}
        return found | {name: _plain(value) for name, value in kept.items() if value not in (None, ())}

    def line(self) -> bytes:
        """Returns the row's canonical line, in UTF-8 with its newline: sorted keys, no spaces, nothing escaped that
        need not be."""
        return canonical(self.document())

    @property
    def digest(self) -> str:
        """The SHA-256 of what the row teaches, in hex: its texts, label and tools, without its marks."""
        return hashlib.sha256(replace(self, marks=Marks()).line()).hexdigest()

    def places(self) -> Iterator[TextPlace]:
        """Yields each text that people wrote or a model answered, in order; not those of calls of tools."""
        for part, turns in self.parts.items():
            for index, message in enumerate(turns):
                if message.get("content"):
                    yield TextPlace(part=part, index=index, role=message["role"], text=message["content"])

    @property
    def asked(self) -> str:
        """The question: the texts of users before the last answer."""
        turns = self.parts["messages"][:-1] if self.kind == "chat" else self.parts["prompt"]
        return "\n".join(
            message["content"] for message in turns if message["role"] == "user" and message.get("content")
        )

    @property
    def answers(self) -> tuple[str, ...]:
        """The texts that are learnt from: all of the assistant's in a chat, the chosen or judged answer else."""
        part = {"chat": "messages", "preference": "chosen", "vote": "completion"}[self.kind]
        return tuple(answer_text(message) for message in self.parts[part] if message["role"] == ANSWERER)

    def conversation(self) -> tuple[Message, ...]:
        """Returns the row as one conversation that ends with the answer to learn."""
        if self.kind == "chat":
            return self.parts["messages"]
        return self.parts["prompt"] + self.parts["chosen" if self.kind == "preference" else "completion"]

    def marked(self, **changes: Any) -> "Row":
        """Returns the row with some marks changed."""
        return replace(self, marks=replace(self.marks, **changes))

    def with_texts(self, texts: Mapping[tuple[str, int], str]) -> "Row":
        """Returns the row with the contents at some places, (part, index), replaced."""
        parts = {
            part: tuple(
                {**message, "content": texts[part, index]} if (part, index) in texts else message
                for index, message in enumerate(turns)
            )
            for part, turns in self.parts.items()
        }
        return replace(self, parts=parts)


def canonical(document: Mapping[str, Any]) -> bytes:
    """Returns `document` as its canonical line."""
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode() + b"\n"


def answer_text(message: Message) -> str:
    """Returns what a message of the assistant says: its content, and its calls of tools as JSON."""
    calls = message.get("tool_calls")
    said = message.get("content") or ""
    return said + (json.dumps(calls, ensure_ascii=False, sort_keys=True) if calls else "")


def read_row(line: bytes) -> Row:
    """Reads a canonical line. Raises RowFault."""
    try:
        document = json.loads(line)
    except ValueError as error:
        raise RowFault(f"it is no JSON: {error}") from error
    return row_of(document)


def row_of(document: Any) -> Row:
    """Reads a row in canonical form. Raises RowFault, with what is wrong."""
    if not isinstance(document, Mapping):
        raise RowFault("it is no JSON object.")
    kind = kind_of(document)
    parts = {name: messages_of(document[name], name) for name in PARTS[kind]}
    row = Row(
        kind=kind,
        parts=parts,
        label=_label(document.get("label")) if kind == "vote" else None,
        tools=_tools(document.get("tools")) if kind == "chat" else (),
        marks=marks_of(document),
    )
    _check(row)
    return row


def kind_of(document: Mapping[str, Any]) -> Kind:
    """Says which kind of row has these keys. Raises RowFault."""
    for kind, parts in PARTS.items():
        if all(document.get(part) is not None for part in parts):
            return kind
    raise RowFault(
        f"it has neither messages, nor prompt and chosen and rejected, nor prompt and completion: {keys(document)}."
    )


def keys(document: Mapping[str, Any]) -> str:
    """Names the keys of a record, for a message."""
    return f"its keys are {', '.join(sorted(map(str, document))[:8]) or 'none'}"


def messages_of(value: Any, name: str) -> tuple[Message, ...]:
    """Reads a list of messages, or a text, which is one message: of the user in `prompt`, of the assistant elsewhere.
    Raises RowFault."""
    if isinstance(value, str):
        role = "user" if name in ("prompt", "messages") else ANSWERER
        return ({"role": role, "content": _text(value, name)},)
    if not isinstance(value, Sequence) or not value:
        raise RowFault(f"{name} is neither a text nor a list of messages." if value else f"{name} is empty.")
    return tuple(_message(message, f"{name}[{index}]") for index, message in enumerate(value))


ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


def _message(value: Any, where: str) -> Message:
    if not isinstance(value, Mapping):
        raise RowFault(f"{where} is no object with role and content.")
    role = value.get("role")
    if role not in ROLES:
        raise RowFault(f"{where}.role is {_shown(role)}; it can be {', '.join(sorted(ROLES))}.")
    message: dict[str, Any] = {"role": role, "content": _content(value.get("content"), where)}
    calls = _from_text(value.get("tool_calls"), f"{where}.tool_calls")
    if calls:
        if role != ANSWERER:
            raise RowFault(f"{where} calls tools, and is of '{role}'.")
        message["tool_calls"] = [_call(call, f"{where}.tool_calls[{at}]") for at, call in enumerate(calls)]
    elif value.get("content") is None:
        raise RowFault(f"{where} has no content.")
    for name in ("name", "tool_call_id"):
        if value.get(name) is not None:
            message[name] = _text(value[name], f"{where}.{name}")
    return message


def _from_text(value: Any, where: str) -> Any:
    """Reads a list that stands as a text of JSON, as columns of tables have it."""
    if not isinstance(value, str) or not value:
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise RowFault(f"{where} is a text that is no JSON.") from error


def _content(value: Any, where: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, Sequence) and all(isinstance(one, Mapping) and one.get("type") == "text" for one in value):
        return "".join(_text(one.get("text"), where) for one in value)
    raise RowFault(f"{where}.content is no text: images and other parts cannot be trained on here.")


def _call(value: Any, where: str) -> Mapping[str, Any]:
    function = value.get("function", value) if isinstance(value, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise RowFault(f"{where} has no function with a name.")
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError as error:
            raise RowFault(f"{where}: the arguments are no JSON.") from error
    if not isinstance(arguments, Mapping):
        raise RowFault(f"{where}: the arguments are no JSON object.")
    named = {"id": value["id"]} if isinstance(value.get("id"), str) else {}
    return {**named, "type": "function", "function": {"name": function["name"], "arguments": _sound(arguments, where)}}


def _tools(value: Any) -> tuple[Mapping[str, Any], ...]:
    if not value:
        return ()
    if not isinstance(value, Sequence) or not all(isinstance(tool, Mapping) for tool in value):
        raise RowFault("tools is no list of objects.")
    for index, tool in enumerate(value):
        if not isinstance(tool.get("function", tool).get("name"), str):
            raise RowFault(f"tools[{index}] has no name.")
    return tuple(
        _sound(tool if "function" in tool else {"type": "function", "function": tool}, "tools") for tool in value
    )


_GOOD: Final = frozenset({"true", "1", "yes", "up", "good", "👍", "thumbs_up", "positive"})
_BAD: Final = frozenset({"false", "0", "-1", "no", "down", "bad", "👎", "thumbs_down", "negative"})


def _label(value: Any) -> bool:
    said = str(value).strip().lower()
    if said in _GOOD or said in _BAD:
        return said in _GOOD
    raise RowFault(f"label is {_shown(value)}; it can be true or false, 1 or 0, up or down.")


def marks_of(document: Mapping[str, Any]) -> Marks:
    """Reads the marks of a record. Raises RowFault."""
    tags = document.get("tags") or ()
    tags = [tag.strip() for tag in tags.split(",")] if isinstance(tags, str) else tags
    if not isinstance(tags, Sequence) or not all(isinstance(tag, str) for tag in tags):
        raise RowFault("tags is no list of words.")
    named = {name: document.get(name) for name in ("id", "group", "source", "language")}
    safety = document.get("safety")
    return Marks(
        **{name: None if value in (None, "") else _text(str(value), name) for name, value in named.items()},
        tags=tuple(_text(tag, "tags") for tag in tags if tag),
        safety=None if safety in (None, "") else _label(safety),
    )


def _check(row: Row) -> None:
    part = {"chat": "messages", "preference": "chosen", "vote": "completion"}[row.kind]
    last = row.parts[part][-1]
    if last["role"] != ANSWERER:
        raise RowFault(f"{part} ends with a message of '{last['role']}': there is no answer to learn.")
    if row.kind == "preference":
        if row.parts["rejected"][-1]["role"] != ANSWERER:
            raise RowFault("rejected does not end with an answer of the assistant.")
        if row.parts["chosen"] == row.parts["rejected"]:
            raise RowFault("chosen and rejected are the same.")


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise RowFault(f"{where} is no text, but {_shown(value)}.")
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise RowFault(f"{where} holds half of a character, which no UTF-8 has.")
    return value


def _sound(value: Any, where: str) -> Any:
    """Returns plain JSON whose texts are whole. Raises RowFault."""
    if isinstance(value, Mapping):
        return {_text(str(name), where): _sound(inner, where) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_sound(inner, where) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise RowFault(f"{where} holds a number that is not finite.")
    return _text(value, where) if isinstance(value, str) else value


def _shown(value: Any) -> str:
    return (
        "missing"
        if value is None
        else f"'{str(value)[:40]}'"
        if isinstance(value, str)
        else f"a {type(value).__name__}"
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
