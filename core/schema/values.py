"""JSON values: their types, whether two are equal, and how they are shown. Pure."""

import math
import reprlib
from collections.abc import Callable, Hashable, Mapping
from fractions import Fraction
from typing import Any, Final

# Python's hash of a number is known to everybody; strings' is not. From here on numbers are told apart as strings.
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
    """What is equal for two values where JSON Schema has them equal: 1 is 1.0, and not true. `spend`: is told of each
    value in it."""
    spend(1)
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, int | float):
        whole = int(value) if isinstance(value, float) and value.is_integer() else value
        return ("number", hex(whole)) if isinstance(whole, int) and abs(whole) >= _KNOWN_HASH else whole
    if isinstance(value, list):
        return ("array", tuple(frozen(one, spend) for one in value))
    if isinstance(value, dict):
        return ("object", frozenset((name, frozen(one, spend)) for name, one in value.items()))
    spend(len(value) // 1000 if isinstance(value, str) else 0)
    return value if isinstance(value, str) or value is None else repr(value)


def is_multiple(value: Any, of: Any) -> bool:
    """Whether `value` is `of` times a whole number, both as they are written in decimals. Infinity is no number's."""
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return _exact(value) % _exact(of) == 0


def _exact(value: Any) -> Fraction:
    return Fraction(value) if isinstance(value, int) else Fraction(repr(value))


def shown(value: Any) -> str:
    """`value` as Python writes it, its beginning where it is long: the time that takes is bounded."""
    return _shower().repr(value)


def _shower() -> reprlib.Repr:
    shower = reprlib.Repr()
    shower.maxlevel, shower.maxdict, shower.maxlist, shower.maxstring, shower.maxlong = 3, 6, 6, 120, 60
    return shower
