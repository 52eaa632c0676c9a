"""JSON values: their types, their equality, and their display in messages. Pure."""

import math
import reprlib
from collections.abc import Callable, Hashable, Mapping
from fractions import Fraction
from typing import Any, Final

# Anybody can make numbers whose hashes collide in Python; hashes of strings are seeded. From this value on numbers are
# compared as strings.
_KNOWN_HASH: Final = 1 << 60


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "null": lambda value: value is None,
    "number": _is_number,
    "object": lambda value: isinstance(value, dict),
    "string": lambda value: isinstance(value, str),
}
is_number = TYPES["number"]


def frozen(value: Any, spend: Callable[[int], None]) -> Hashable:
    """Returns a hashable form of a value, equal for two values where JSON Schema has them equal: 1 is 1.0, and not
    true.

    `spend`: is called with the steps that each value in it takes.
    """
    spend(1)
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, int | float):
        whole = int(value) if isinstance(value, float) and value.is_integer() else value
        return ("number", hex(whole)) if isinstance(whole, int) and abs(whole) >= _KNOWN_HASH else whole
    if isinstance(value, list):
        return ("array", tuple(frozen(item, spend) for item in value))
    if isinstance(value, dict):
        return ("object", frozenset((name, frozen(item, spend)) for name, item in value.items()))
    spend(len(value) // 1000 if isinstance(value, str) else 0)
    return value if isinstance(value, str) or value is None else repr(value)


def is_multiple(value: Any, of: Any) -> bool:
    """Whether `value` is `of` times a whole number, both as they are written in decimals. Infinity is not."""
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return _exact(value) % _exact(of) == 0


def _exact(value: Any) -> Fraction:
    return Fraction(value) if isinstance(value, int) else Fraction(repr(value))


def shown(value: Any) -> str:
    """Returns `value` as Python writes it, shortened where it is long, in bounded time."""
    return _shortened_repr().repr(value)


def _shortened_repr() -> reprlib.Repr:
    shortened = reprlib.Repr()
    shortened.maxlevel, shortened.maxdict, shortened.maxlist, shortened.maxstring, shortened.maxlong = 3, 6, 6, 120, 60
    return shortened
