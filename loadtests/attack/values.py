"""Values for a field of a request, made from the JSON schema of its type: valid, edges, null, wrong. Pure."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

Schema = Mapping[str, Any]

_LONG_TEXT = "ab " * 8000
_TEXTS = ("", "hi", " ", "\x00", "ü💥\u200d\ufeff", "{{ 7 * 7 }}", "<|im_end|>", "%s%n", "../../etc/passwd", _LONG_TEXT)
_INTEGERS = (0, 1, -1, 2, 3, 1000, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, -(2**63), -(2**70))
_NUMBERS = (0, 1, -1, 0.5, 2, 1e-9, 5e-324, 1e38, 1e308, -1e308, 2**53 + 1)
_COERCIBLE: Mapping[str, tuple[Any, ...]] = {
    "string": (1, True, ["hi"]),
    "integer": ("1", 1.0, 1.5, True, "", [1]),
    "number": ("0.5", True, "", "nan", "inf", [0.5]),
    "boolean": (0, 1, "true", "no", 2, []),
    "array": ("hi", {}, 1, {"0": 1}),
    "object": ([], "{}", 1, [["a", 1]]),
    "null": (0, False),
}
_MANY = 2000
_DEEPEST = 3


def values_of(schema: Schema, definitions: Mapping[str, Schema]) -> tuple[Any, ...]:
    """Values for a field of this type, each once: null is always among them."""
    found: dict[str, Any] = {}
    for value in chain(_values(schema, definitions, 0), (None,)):
        found.setdefault(_key(value), value)
    return tuple(found.values())


def valid_value(schema: Schema, definitions: Mapping[str, Schema], depth: int = 0) -> Any:
    """One plain value that this schema allows (null where it is nested too deeply)."""
    if depth > _DEEPEST:
        return None
    branch = next(_branches(schema, definitions))
    if "const" in branch or "enum" in branch:
        return branch["const"] if "const" in branch else branch["enum"][0]
    kind = branch.get("type")
    if kind == "object":
        return _object(branch, definitions, depth)
    if kind == "array":
        return [valid_value(branch.get("items", {}), definitions, depth + 1)]
    plain: Mapping[Any, Any] = {"integer": 1, "number": 1, "boolean": True, "null": None}
    return plain.get(kind, "hi")


def _object(schema: Schema, definitions: Mapping[str, Schema], depth: int) -> dict[str, Any]:
    fields = schema.get("properties", {})
    return {name: valid_value(fields.get(name, {}), definitions, depth + 1) for name in schema.get("required", ())}


def _values(schema: Schema, definitions: Mapping[str, Schema], depth: int) -> Iterator[Any]:
    if depth > _DEEPEST:
        return
    for branch in _branches(schema, definitions):
        if "const" in branch:
            yield branch["const"]
        yield from branch.get("enum", ())
        kind = branch.get("type")
        yield from _plain(branch, kind)
        yield from _COERCIBLE.get(str(kind), ("hi", 1, {}, []))
        if kind == "array":
            yield from _arrays(branch, definitions, depth)
        elif kind == "object":
            yield from _objects(branch, definitions, depth)


def _branches(schema: Schema, definitions: Mapping[str, Schema]) -> Iterator[Schema]:
    """`schema` with its reference followed, or each of its alternatives."""
    if "$ref" in schema:
        yield from _branches(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
        return
    inner = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    if not inner:
        yield schema
    for alternative in inner:
        yield from _branches(alternative, definitions)


def _plain(schema: Schema, kind: Any) -> Iterator[Any]:
    if kind == "string" and "enum" not in schema:
        yield from _TEXTS
    elif kind == "integer":
        yield from _INTEGERS
        yield from (schema[edge] + step for edge in ("minimum", "maximum") if edge in schema for step in (-1, 0, 1))
    elif kind == "number":
        yield from _NUMBERS
    elif kind == "boolean":
        yield from (True, False)


def _arrays(schema: Schema, definitions: Mapping[str, Schema], depth: int) -> Iterator[Any]:
    items = schema.get("items", {})
    item = valid_value(items, definitions, depth + 1)
    yield from ([], [item], [item, item], [None], [[]], [{}], [item] * _MANY)
    yield from ([value] for value in _values(items, definitions, depth + 1))


def _objects(schema: Schema, definitions: Mapping[str, Schema], depth: int) -> Iterator[Any]:
    least = _object(schema, definitions, depth)
    yield from ({}, least, {**least, "": 1, "\x00": None}, {**least, **{f"k{place}": place for place in range(_MANY)}})
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        yield from ({"1": value} for value in _values(extra, definitions, depth + 1))
    elif not schema.get("properties"):
        yield from ({"a": {"b": [None, 2**70]}}, {"a": _LONG_TEXT})
    for name, inner in schema.get("properties", {}).items():
        yield from ({**least, name: value} for value in (None, *_values(inner, definitions, depth + 1)))


def _key(value: Any) -> str:
    """Returns the key by which values are told apart: `1`, `True` and `1.0` are three."""
    return repr(value)
