"""The rows that training reads: JSON lines, checked and brought into one form, TRL's conversational one."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from patchbay.core.errors import ConfigError
from patchbay.tuning.training.methods import METHODS, MethodName

_MOST_TOLD: Final = 10
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RowPlace:
    """The place of a row: its file and its line there, from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A row in TRL's conversational form, and where it was read."""

    place: RowPlace
    row: Row


class UnlearnableRow(ValueError):
    """A row that cannot be learned from. Its text says why."""


def read_rows(files: Sequence[Path], method: MethodName) -> list[PlacedRow]:
    """Reads all rows of `files` for `method`. Raises ConfigError that lists the first rows that do not fit."""
    found: list[PlacedRow] = []
    faults: list[str] = []
    for place, line in _lines(files):
        try:
            found.append(PlacedRow(place, row_of(line, method)))
        except UnlearnableRow as fault:
            faults.append(f"{place}: {fault}")
    if faults:
        more = f" and {len(faults) - _MOST_TOLD} more" if len(faults) > _MOST_TOLD else ""
        raise ConfigError(
            f"{len(faults)} rows cannot be learned from by {method}: {'; '.join(faults[:_MOST_TOLD])}{more}.",
            hint=f"A row of {method} has {', '.join(METHODS[method].keys)}; docs/tuning.md shows one.",
        )
    if not found:
        raise ConfigError(f"There are no rows in {', '.join(map(str, files))}.")
    return found


def _lines(files: Sequence[Path]) -> Iterator[tuple[RowPlace, bytes]]:
    for file in files:
        try:
            with file.open("rb") as reader:
                for number, line in enumerate(reader, start=1):
                    if line.strip():
                        yield RowPlace(file.name, number), line
        except OSError as error:
            raise ConfigError(f"Cannot read the rows in {file}: {error.strerror}.") from error


def row_of(line: bytes, method: MethodName) -> Row:
    """Returns the row in `line` in the form that `method` learns from. Raises UnlearnableRow."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UnlearnableRow("it is not JSON") from error
    if not isinstance(row, dict):
        raise UnlearnableRow("it is not an object")
    missing = [key for key in METHODS[method].keys if key not in row]
    if missing:
        raise UnlearnableRow(f"it has no {', '.join(missing)}")
    tools = {"tools": row["tools"]} if row.get("tools") else {}
    return _FORMS[method](row) | tools


def _chat(row: Mapping[str, Any]) -> Row:
    messages = _messages(row["messages"], "messages", "user")
    if messages[-1]["role"] != "assistant":
        raise UnlearnableRow("its last message is not the assistant's")
    return {"messages": messages}


def _pair(row: Mapping[str, Any]) -> Row:
    pair = {key: _answer(row[key], key) for key in ("chosen", "rejected")}
    if pair["chosen"] == pair["rejected"]:
        raise UnlearnableRow("chosen and rejected are the same")
    return {"prompt": _messages(row["prompt"], "prompt", "user"), **pair}


def _vote(row: Mapping[str, Any]) -> Row:
    if not isinstance(row["label"], bool):
        raise UnlearnableRow("label is neither true nor false")
    prompt = _messages(row["prompt"], "prompt", "user")
    return {"prompt": prompt, "completion": _answer(row["completion"], "completion"), "label": row["label"]}


_FORMS: Final = {"sft": _chat, "dpo": _pair, "orpo": _pair, "kto": _vote}


def _answer(value: Any, key: str) -> list[Row]:
    messages = _messages(value, key, "assistant")
    if messages[-1]["role"] != "assistant":
        raise UnlearnableRow(f"the last message of {key} is not the assistant's")
    return messages


def _messages(value: Any, key: str, role: str) -> list[Row]:
    """Returns a conversation's messages; a bare text is one message of `role`. Raises UnlearnableRow."""
    if isinstance(value, str):
        value = [{"role": role, "content": value}]
    if not isinstance(value, list) or not value:
        raise UnlearnableRow(f"{key} is no list of messages")
    for message in value:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise UnlearnableRow(f"a message of {key} has no role")
        if not isinstance(message.get("content"), str | None) or not (message.get("content") or _calls(message)):
            raise UnlearnableRow(f"a message of {key} has no text")
    return value


def _calls(message: Mapping[str, Any]) -> bool:
    return bool(message.get("tool_calls"))


def held_out(rows: Sequence[PlacedRow], share: float) -> tuple[list[PlacedRow], list[PlacedRow]]:
    """Splits `rows` into those to train on and `share` of them to validate with, by a hash of the row itself: rows
    that are added later change the side of none."""
    train: list[PlacedRow] = []
    kept: list[PlacedRow] = []
    for one in rows:
        text = json.dumps(one.row, sort_keys=True, ensure_ascii=False).encode()
        number = int.from_bytes(hashlib.sha256(text).digest()[:8], "big") / 2**64
        (kept if number < share else train).append(one)
    return train, kept
