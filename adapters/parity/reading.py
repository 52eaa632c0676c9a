"""The strict reader of a parity file, which comes from anybody: whatever it holds, it is read or refused."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from patchbay.adapters.checks.folder import read_bounded
from patchbay.adapters.checks.strict_json import decode, shown
from patchbay.adapters.contents import PARITY_FILE
from patchbay.adapters.parity.file import (
    MOST_BYTES,
    MOST_MODULES,
    MOST_ROW_TOKENS,
    MOST_ROWS,
    MOST_TOKENS,
    VERSION,
    ParityFile,
    ParityRow,
)
from patchbay.core.errors import AdapterError

Value = TypeVar("Value")
_HINT = "Write it again: patchbay tune parity FOLDER --base BASE. Or remove it: then nothing is compared."
_KEYS = frozenset(
    {"version", "base", "vocabulary", "template", "max_length", "modules", "rows", "weights", "noise", "made_by"}
)
_ROW_KEYS = frozenset({"messages", "prompt", "ids", "start", "adapted", "plain"})
_MOST_TEXT = 1024**2
_MOST_MESSAGES = 64
_MOST_NAME = 512
# The least logarithm of a probability that a row may have, in nats, and how far above 0 rounding may put one.
_LEAST, _ABOVE = -1000.0, 0.01
_MOST_ID = 2**31 - 1


def read_parity(folder: Path, *, vocabulary: int | None = None) -> ParityFile | None:
    """Reads the parity file in the adapter's `folder`, None where it has none.

    `vocabulary`: the ids of the base's tokens are below that, where it is known. Raises AdapterError where the file is
    no parity file, is larger than one may be, or has a token that the base has not.
    """
    path = folder / PARITY_FILE
    if not path.is_file():
        return None
    try:
        return parse_parity(decode(read_bounded(path, MOST_BYTES)), vocabulary=vocabulary)
    except ValueError as error:
        raise AdapterError(f"{path}: {error}.", hint=_HINT, reason="parity") from error


def parse_parity(document: Any, *, vocabulary: int | None = None) -> ParityFile:
    """Reads a decoded parity file. Raises ValueError, which says where it is wrong. `vocabulary`: as in
    `read_parity`."""
    fields = _object(document, "the file", _KEYS)
    if fields.get("version") != VERSION:
        raise ValueError(f"the version is {_brief(fields.get('version'))}, expected {VERSION}")
    rows = _rows(fields.get("rows"), vocabulary)
    return ParityFile(
        base=_digest(fields.get("base"), "base"),
        vocabulary=_digest(fields.get("vocabulary"), "vocabulary"),
        template=_digest(fields.get("template"), "template"),
        max_length=_optional(fields.get("max_length"), lambda value: _whole(value, 1, _MOST_ID, "max_length")),
        modules=_modules(fields.get("modules")),
        rows=rows,
        weights=_digest(fields.get("weights"), "weights"),
        noise=_optional(fields.get("noise"), lambda value: _number(value, 0, 1, "noise")),
        made_by=_optional(fields.get("made_by"), lambda value: _text(value, "made_by", _MOST_NAME)),
    )


def _rows(value: Any, vocabulary: int | None) -> tuple[ParityRow, ...]:
    listed = _list(value, MOST_ROWS, "rows")
    if not listed:
        raise ValueError("rows is empty, expected at least one")
    rows = tuple(_row(row, f"row {number}", vocabulary) for number, row in enumerate(listed, start=1))
    if (total := sum(len(row.ids) for row in rows)) > MOST_TOKENS:
        raise ValueError(f"the rows have {total} tokens, expected at most {MOST_TOKENS}")
    return rows


def _row(value: Any, where: str, vocabulary: int | None) -> ParityRow:
    fields = _object(value, where, _ROW_KEYS)
    ids = _ids(fields.get("ids"), where, vocabulary)
    return ParityRow(
        messages=_messages(fields.get("messages"), where),
        prompt=_text(fields.get("prompt"), f"{where}: prompt"),
        ids=ids,
        start=_whole(fields.get("start"), 1, len(ids) - 1, f"{where}: start"),
        adapted=_logprobs(fields.get("adapted"), len(ids) - 1, f"{where}: adapted"),
        plain=_logprobs(fields.get("plain"), len(ids) - 1, f"{where}: plain"),
    )


def _ids(value: Any, where: str, vocabulary: int | None) -> tuple[int, ...]:
    most = _MOST_ID if vocabulary is None else vocabulary - 1
    ids = tuple(_list(value, MOST_ROW_TOKENS, f"{where}: ids"))
    if len(ids) < 2:
        raise ValueError(f"{where}: ids has {len(ids)} tokens, expected at least 2")
    for token in ids:
        if type(token) is not int or not 0 <= token <= most:
            known = "" if vocabulary is None else f": the base's tokenizer has {vocabulary}"
            raise ValueError(f"{where}: {_brief(token)} is no token{known}")
    return ids


def _logprobs(value: Any, count: int, where: str) -> tuple[float, ...]:
    numbers = _list(value, MOST_ROW_TOKENS, where)
    if len(numbers) != count:
        raise ValueError(f"{where} has {len(numbers)} numbers, expected {count}, one for each token but the first")
    return tuple(_number(number, _LEAST, _ABOVE, where) for number in numbers)


def _messages(value: Any, where: str) -> tuple[Mapping[str, str], ...]:
    return tuple(_message(message, where) for message in _list(value, _MOST_MESSAGES, f"{where}: messages"))


def _message(value: Any, where: str) -> Mapping[str, str]:
    fields = _object(value, f"{where}: a message", frozenset({"role", "content"}))
    return {name: _text(fields.get(name), f"{where}: {name}") for name in ("role", "content")}


def _modules(value: Any) -> dict[str, float]:
    if not isinstance(value, dict) or len(value) > MOST_MODULES:
        raise ValueError(f"modules must be an object of at most {MOST_MODULES} modules, each with its scale")
    return {
        _text(name, "a module's name", _MOST_NAME): _number(scale, -1e6, 1e6, "a module's scale")
        for name, scale in value.items()
    }


def _object(value: Any, where: str, keys: frozenset[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {_brief(value)}, expected an object")
    if unknown := sorted(value.keys() - keys):
        raise ValueError(f"{where} has the key '{shown(unknown[0])}', which a parity file has not")
    return value


def _list(value: Any, most: int, where: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"{where} must be a list of at most {most}")
    return value


def _text(value: Any, where: str, most: int = _MOST_TEXT) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise ValueError(f"{where} must be a text of at most {most} characters")
    return value


def _number(value: Any, least: float, most: float, where: str) -> float:
    """Returns a number within bounds, which one that is not finite is not."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"{where} has {_brief(value)}, expected a number from {least:g} to {most:g}")
    return float(value)


def _whole(value: Any, least: int, most: int, where: str) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{where} is {_brief(value)}, expected a whole number from {least} to {most}")
    return value


def _digest(value: Any, where: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise ValueError(f"{where} is {_brief(value)}, expected a SHA-256 in hex, or null")
    return value


def _optional(value: Any, read: Callable[[Any], Value]) -> Value | None:
    return None if value is None else read(value)


def _brief(value: Any) -> str:
    """Returns a value as a bounded line: of a list or an object its kind alone, which may hold anything."""
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "an object"
    if type(value) is int and abs(value) > 10**18:
        return "a number beyond all bounds"
    return shown(repr(value))[:80] if not isinstance(value, float) or math.isfinite(value) else str(value)
