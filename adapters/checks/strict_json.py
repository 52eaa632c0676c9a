"""A strict JSON decoder by RFC 8259, for untrusted bytes."""

import json
from collections.abc import Callable
from typing import Any


def decode(raw: bytes, *, parse_int: Callable[[str], int] = int) -> Any:
    """Decodes the JSON value in `raw`. `NaN` and `Infinity` come out as floats, for the caller to judge.

    Raises ValueError where it is not UTF-8 or not JSON, nests too deep, or gives a key twice, which readers resolve
    differently. `parse_int`: makes an integer of its digits. A byte order mark, which editors on Windows write, is
    passed over.
    """
    try:
        return json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_unique, parse_int=parse_int)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise ValueError("it nests too deep") from error


def shown(text: str) -> str:
    """Returns `text` as one bounded line, since names come from the adapter and go to logs."""
    whole = text if text.isprintable() else ascii(text)
    return whole if len(whole) <= 200 else whole[:200] + "…"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key '{shown(key)}' is given twice")
        found[key] = value
    return found
