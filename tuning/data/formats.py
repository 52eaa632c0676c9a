"""The formats of records that people have, and the translation of each into canonical rows, pure.

Known are: chats (`messages`), ShareGPT (`conversations`), Alpaca (`instruction`, `input`, `output`), prompt and
completion under their usual names, preference pairs (`chosen`, `rejected`) and votes (`completion`, `label`).
Sources: OpenAI's fine-tuning format; https://huggingface.co/docs/trl/dataset_formats; Stanford Alpaca; ShareGPT.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from patchbay.core.errors import ConfigError
from patchbay.core.names import meant
from patchbay.tuning.data.rows import ANSWERER, MARKS, Message, Row, RowFault, keys, messages_of, row_of

# Names under which people have what was asked, and what was answered, the likeliest first.
ASKED: Final = ("prompt", "question", "instruction", "query", "input", "text")
ANSWERED: Final = ("completion", "response", "answer", "output", "target")
_SHAREGPT_ROLES: Final[Mapping[str, str]] = MappingProxyType(
    {"human": "user", "gpt": ANSWERER, "bot": ANSWERER, "chatgpt": ANSWERER, "observation": "tool", "model": ANSWERER}
)
Record = Mapping[str, Any]
_NO_MAP: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordReading:
    """The way in which records are read.

    `columns`: the column of each field of ours (`prompt`, `completion`, `messages`, a mark); `system`: a text that goes
    before every conversation that has no system message; `format`: the one to read by, found by each record's keys
    where None; `marks`: set on every row that does not have them, by name.
    """

    columns: Mapping[str, str] = field(default_factory=lambda: _NO_MAP)
    system: str | None = None
    format: str | None = None
    marks: Mapping[str, str] = field(default_factory=lambda: _NO_MAP)


@dataclass(frozen=True, slots=True)
class Converted:
    """A record as a row. `format`: how it was read; `unused`: keys of the record that have no place in a row."""

    row: Row
    format: str
    unused: tuple[str, ...]


def convert(record: Any, reading: RecordReading) -> Converted:
    """Translates one record. Raises RowFault, with what is wrong."""
    if not isinstance(record, Mapping):
        raise RowFault("it is no object with names and values.")
    mapped = _mapped(record, reading.columns)
    name = reading.format or found_format(mapped)
    document, used = FORMATS[name](mapped)
    marked = {mark: mapped[mark] for mark in MARKS if mapped.get(mark) is not None}
    if "label" in marked or name == "vote":
        used = (*used, "label")
    row = row_of({**reading.marks, **marked, **document})
    if reading.system is not None:
        row = with_system(row, reading.system)
    unused = tuple(key for key in mapped if key not in used and key not in MARKS and mapped[key] is not None)
    return Converted(row, name, unused)


def found_format(record: Record) -> str:
    """Says by its keys which format a record has. Raises RowFault where it has none that is known."""
    for name, needed in _SIGNS:
        if all(any(_is_there(record, key) for key in alternatives) for alternatives in needed):
            return name
    raise RowFault(f"its format is not known: {keys(record)}.")


def check_format(name: str | None) -> str | None:
    """Returns `name` where it is a format or None. Raises ConfigError."""
    if name is not None and name not in FORMATS:
        raise ConfigError(f"There is no format '{name}' ({meant(name, FORMATS)}).")
    return name


def with_system(row: Row, text: str) -> Row:
    """Returns the row with a system message before its conversation, where it has none."""
    part = "messages" if row.kind == "chat" else "prompt"
    turns = row.parts[part]
    if turns and turns[0]["role"] in ("system", "developer"):
        return row
    said: Message = {"role": "system", "content": text}
    return row_of({**row.document(), part: [said, *turns]})


def _chat(record: Record) -> tuple[Record, Sequence[str]]:
    found = {"messages": _listed(record["messages"]), "tools": _listed(record.get("tools"))}
    return found, ("messages", "tools")


def _sharegpt(record: Record) -> tuple[Record, Sequence[str]]:
    turns = _listed(record["conversations"])
    if not isinstance(turns, Sequence) or isinstance(turns, str):
        raise RowFault("conversations is no list.")
    messages = [_sharegpt_turn(turn, index) for index, turn in enumerate(turns)]
    if record.get("system"):
        messages.insert(0, {"role": "system", "content": record["system"]})
    return {"messages": messages, "tools": _listed(record.get("tools"))}, ("conversations", "system", "tools")


def _sharegpt_turn(turn: Any, index: int) -> Any:
    if not isinstance(turn, Mapping):
        raise RowFault(f"conversations[{index}] is no object with from and value.")
    if "role" in turn:
        return turn
    role = turn.get("from")
    return {"role": _SHAREGPT_ROLES.get(str(role), role), "content": turn.get("value")}


def _alpaca(record: Record) -> tuple[Record, Sequence[str]]:
    given = record.get("input")
    asked = _said(record["instruction"]) + (f"\n\n{_said(given)}" if given else "")
    messages = [*_system(record), *_history(record), *_turns(asked, _said(record["output"]))]
    return {"messages": messages}, ("instruction", "input", "output", "system", "history")


def _pairs(record: Record) -> tuple[Record, Sequence[str]]:
    asked, answered = _first(record, ASKED), _first(record, ANSWERED, before=_first(record, ASKED))
    prompt, completion = _listed(record[asked]), _listed(record[answered])
    said = messages_of(prompt if _is_talk(prompt) else _said(prompt), "prompt")
    answer = messages_of(completion if _is_talk(completion) else _said(completion), "completion")
    messages = [*_system(record), *said, *answer]
    return {"messages": messages, "tools": _listed(record.get("tools"))}, (asked, answered, "system", "tools")


def _preference(record: Record) -> tuple[Record, Sequence[str]]:
    chosen, rejected = (_answer(record[name], name) for name in ("chosen", "rejected"))
    asked = _maybe_first(record, ASKED)
    if asked is None:
        shared = _shared(chosen, rejected)
        prompt, chosen, rejected = chosen[:shared], chosen[shared:], rejected[shared:]
    else:
        prompt = [*_system(record), *messages_of(_listed(record[asked]), "prompt")]
        # A chosen answer that repeats its whole conversation, as some have it.
        cut = len(prompt) if tuple(chosen[: len(prompt)]) == tuple(prompt) and len(chosen) > len(prompt) else 0
        chosen, rejected = chosen[cut:], rejected[cut:]
    if not prompt or not chosen or not rejected:
        raise RowFault("there is nothing that both chosen and rejected answer: it needs a prompt.")
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}, ("chosen", "rejected", asked or "", "system")


def _vote(record: Record) -> tuple[Record, Sequence[str]]:
    asked, answered = _first(record, ASKED), _first(record, ANSWERED)
    prompt = [*_system(record), *messages_of(_listed(record[asked]), "prompt")]
    completion = _answer(record[answered], "completion")
    label = record.get("label", record.get("vote"))
    return {"prompt": prompt, "completion": completion, "label": label}, (asked, answered, "label", "vote", "system")


FORMATS: Final[Mapping[str, Callable[[Record], tuple[Record, Sequence[str]]]]] = MappingProxyType(
    {
        "chat": _chat,
        "sharegpt": _sharegpt,
        "preference": _preference,
        "vote": _vote,
        "alpaca": _alpaca,
        "prompt-completion": _pairs,
    }
)
# The keys that a record of each format has: of each tuple one.
_SIGNS: Final[Sequence[tuple[str, Sequence[Sequence[str]]]]] = (
    ("chat", (("messages",),)),
    ("sharegpt", (("conversations",),)),
    ("preference", (("chosen",), ("rejected",))),
    ("vote", (ASKED, ANSWERED, ("label", "vote"))),
    ("alpaca", (("instruction",), ("output",))),
    ("prompt-completion", (ASKED, ANSWERED)),
)


def _mapped(record: Record, columns: Mapping[str, str]) -> Record:
    if not columns:
        return record
    missing = [column for column in columns.values() if column not in record]
    if missing:
        raise RowFault(f"it has no '{missing[0]}': {keys(record)}.")
    # Only what was named counts then: a column `output` beside a mapped `completion` is another thing.
    taken = set(columns.values())
    known = {*ASKED, *ANSWERED, "messages", "conversations", "chosen", "rejected", "label"}
    rest = {name: value for name, value in record.items() if name not in taken and name not in known}
    return rest | {ours: record[theirs] for ours, theirs in columns.items()}


def _is_there(record: Record, key: str) -> bool:
    return record.get(key) is not None


def _first(record: Record, names: Sequence[str], before: str = "") -> str:
    found = _maybe_first(record, [name for name in names if name != before])
    if found is None:
        raise RowFault(f"it has none of {', '.join(names)}.")
    return found


def _maybe_first(record: Record, names: Sequence[str]) -> str | None:
    return next((name for name in names if _is_there(record, name)), None)


def _listed(value: Any) -> Any:
    """Reads a list that a column of text holds as JSON, which is how CSV has it."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            read = json.loads(value)
        except ValueError:
            return value
        return read if _is_talk(read) or (isinstance(read, list) and read and isinstance(read[0], dict)) else value
    return value


def _is_talk(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and bool(value)
        and all(isinstance(one, Mapping) and "role" in one for one in value)
    )


def _said(value: Any) -> str:
    """Returns a value as the text to learn: an object as JSON with its keys in their order."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RowFault(f"it holds a {type(value).__name__}, which is no text.") from error


def _system(record: Record) -> Sequence[Message]:
    text = record.get("system") or record.get("system_prompt")
    return [{"role": "system", "content": _said(text)}] if text else []


def _history(record: Record) -> Sequence[Message]:
    turns = _listed(record.get("history")) or ()
    if not all(isinstance(turn, Sequence) and len(turn) == 2 for turn in turns):
        raise RowFault("history is no list of pairs of a question and its answer.")
    return [message for asked, answered in turns for message in _turns(_said(asked), _said(answered))]


def _turns(asked: str, answered: str) -> Sequence[Message]:
    return [{"role": "user", "content": asked}, {"role": ANSWERER, "content": answered}]


def _answer(value: Any, name: str) -> Sequence[Message]:
    return list(messages_of(_listed(value), name))


def _shared(one: Sequence[Message], other: Sequence[Message]) -> int:
    most = min(len(one), len(other)) - 1
    return next((at for at in range(most) if one[at] != other[at]), max(most, 0))
