"""The keywords of JSON schemas that say something of a value, each held to one. Pure but for the run's steps and
faults.

Source: https://json-schema.org/draft/2020-12 (validation, and the applicators of core).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from patchbay.core.schema.evaluate import At, Keyword, Node, hold, refer, refer_dynamically
from patchbay.core.schema.patterns import Pattern
from patchbay.core.schema.values import frozen, is_multiple, is_number, shown

# Bytes times instructions that RE2 takes in a step, at worst.
_MATCHED_A_STEP: Final = 150


def _type(at: At, given: tuple[Sequence[str], Sequence[Callable[[Any], bool]]]) -> bool:
    names, tests = given
    if any(test(at.value) for test in tests):
        return True
    return at.wrong(f"is not of type {', '.join(map(repr, names))}")


def _enum(at: At, given: frozenset[Any]) -> bool:
    return frozen(at.value, at.run.budget.spend) in given or at.wrong("is not one of the values that there may be")


def _const(at: At, given: frozenset[Any]) -> bool:
    return frozen(at.value, at.run.budget.spend) in given or at.wrong("is not the value that it must be")


def _multiple_of(at: At, of: float) -> bool:
    if not is_number(at.value):
        return True
    at.run.budget.spend(20)
    return is_multiple(at.value, of) or at.wrong(f"is not a multiple of {shown(of)}")


def _number(fits: Callable[[float, float], bool], what: str) -> Keyword:
    def checked(at: At, bound: float) -> bool:
        return not is_number(at.value) or fits(at.value, bound) or at.wrong(f"{what} {shown(bound)}")

    return checked


def _size(kind: type[str | list[Any] | dict[str, Any]], fits: Callable[[int, float], bool], what: str) -> Keyword:
    def checked(at: At, bound: float) -> bool:
        return not isinstance(at.value, kind) or fits(len(at.value), bound) or at.wrong(what)

    return checked


def _matches(at: At, pattern: Pattern, text: str) -> bool:
    at.run.budget.spend(1 + len(text) * pattern.size // _MATCHED_A_STEP)
    return pattern.found_in(text)


def _pattern(at: At, pattern: Pattern) -> bool:
    if not isinstance(at.value, str):
        return True
    return _matches(at, pattern, at.value) or at.wrong(f"does not match {shown(pattern.written)}")


def _unique_items(at: At, unique: bool) -> bool:
    if not unique or not isinstance(at.value, list):
        return True
    known = {frozen(one, at.run.budget.spend) for one in at.value}
    return len(known) == len(at.value) or at.wrong("has non-unique elements")


def _contains(at: At, given: tuple[Node, float, float | None]) -> bool:
    node, least, most = given
    if not isinstance(at.value, list):
        return True
    found = [
        number
        for number, one in enumerate(at.value)
        if hold(at.run, node, At(at.run, one, (at.place, number), False, None), None)
    ]
    if at.seen is not None:
        at.seen.items.update(found)
    if len(found) < least:
        return at.wrong("does not contain items matching the given schema")
    return most is None or len(found) <= most or at.wrong("contains too many items matching the given schema")


def _prefix_items(at: At, nodes: Sequence[Node]) -> bool:
    if not isinstance(at.value, list):
        return True
    if at.seen is not None:
        at.seen.upto = max(at.seen.upto, min(len(nodes), len(at.value)))
    return _every(at, ((node, one, number) for number, (node, one) in enumerate(zip(nodes, at.value, strict=False))))


def _every(at: At, parts: Iterable[tuple[Node, Any, str | int]]) -> bool:
    """Whether all parts are right: all are looked at where faults are told."""
    right = True
    for node, value, key in parts:
        if not hold(at.run, node, At(at.run, value, (at.place, key), at.tells, None), None):
            right = False
            if not at.tells or at.run.full:
                break
    return right


def _items(at: At, given: tuple[Node, int]) -> bool:
    node, start = given
    if not isinstance(at.value, list):
        return True
    if at.seen is not None:
        at.seen.upto = len(at.value)
    return _every(at, ((node, at.value[number], number) for number in range(start, len(at.value))))


def _properties(at: At, nodes: Mapping[str, Node]) -> bool:
    if not isinstance(at.value, dict):
        return True
    at.run.budget.spend(len(nodes) // 8)
    found = [name for name in nodes if name in at.value]
    if at.seen is not None:
        at.seen.names.update(found)
    return _every(at, ((nodes[name], at.value[name], name) for name in found))


def _pattern_properties(at: At, given: Sequence[tuple[Pattern, Node]]) -> bool:
    if not isinstance(at.value, dict):
        return True
    found = [
        (node, one, name) for pattern, node in given for name, one in at.value.items() if _matches(at, pattern, name)
    ]
    if at.seen is not None:
        at.seen.names.update(name for _, _, name in found)
    return _every(at, found)


def _additional_properties(at: At, given: tuple[Node, frozenset[str], Sequence[Pattern]]) -> bool:
    node, names, patterns = given
    if not isinstance(at.value, dict):
        return True
    at.run.budget.spend(len(at.value) // 8)
    others = [
        name for name in at.value if name not in names and not any(_matches(at, pattern, name) for pattern in patterns)
    ]
    if at.seen is not None:
        at.seen.names.update(others)
    if others and node.always is False:
        return at.says(f"Additional properties are not allowed ({_listed(others)})")
    return _every(at, ((node, at.value[name], name) for name in others))


def _listed(names: Sequence[Any]) -> str:
    return f"{', '.join(map(shown, names[:3]))}{'…' if len(names) > 3 else ''} unexpected"


def _property_names(at: At, node: Node) -> bool:
    if not isinstance(at.value, dict):
        return True
    return _every(at, ((node, name, name) for name in at.value))


def _required(at: At, names: Sequence[str]) -> bool:
    if not isinstance(at.value, dict):
        return True
    at.run.budget.spend(len(names) // 8)
    missing = [name for name in names if name not in at.value]
    for name in missing:
        at.says(f"{shown(name)} is a required property")
    return not missing


def _dependent_required(at: At, given: Mapping[str, Sequence[str]]) -> bool:
    if not isinstance(at.value, dict):
        return True
    at.run.budget.spend(len(given))
    needed = {other: name for name, others in given.items() if name in at.value for other in others}
    missing = [other for other in needed if other not in at.value]
    return not missing or at.says(f"{shown(missing[0])} is a dependency of {shown(needed[missing[0]])}")


def _dependent_schemas(at: At, given: Mapping[str, Node]) -> bool:
    if not isinstance(at.value, dict):
        return True
    return _all_of(at, [node for name, node in given.items() if name in at.value])


def _all_of(at: At, nodes: Sequence[Node]) -> bool:
    right = True
    for node in nodes:
        if not at.holds(node):
            right = False
            if not at.tells or at.run.full:
                break
    return right


def _any_of(at: At, nodes: Sequence[Node]) -> bool:
    # Each that holds looks at more, so all are asked where that matters.
    right = [at.is_one_of(node) for node in nodes] if at.seen is not None else map(at.is_one_of, nodes)
    return any(right) or at.wrong("is not valid under any of the given schemas")


def _one_of(at: At, nodes: Sequence[Node]) -> bool:
    right = 0
    for node in nodes:
        right += at.is_one_of(node)
        if right > 1:
            return at.wrong("is valid under more than one of the given schemas")
    return right == 1 or at.wrong("is not valid under any of the given schemas")


def _not(at: At, node: Node) -> bool:
    return not at.is_one_of(node, counts=False) or at.wrong("should not be valid under a given schema")


def _if(at: At, given: tuple[Node, Node | None, Node | None]) -> bool:
    condition, then, other = given
    branch = then if at.is_one_of(condition) else other
    return branch is None or at.holds(branch)


def _unevaluated_items(at: At, node: Node) -> bool:
    if not isinstance(at.value, list) or at.seen is None:
        return True
    others = [number for number in range(at.seen.upto, len(at.value)) if number not in at.seen.items]
    at.run.budget.spend(len(at.value) // 8)
    at.seen.upto = len(at.value)
    if others and node.always is False:
        return at.says(f"Unevaluated items are not allowed ({_listed([at.value[number] for number in others])})")
    return _every(at, ((node, at.value[number], number) for number in others))


def _unevaluated_properties(at: At, node: Node) -> bool:
    if not isinstance(at.value, dict) or at.seen is None:
        return True
    others = [name for name in at.value if name not in at.seen.names]
    at.run.budget.spend(len(at.value) // 8)
    at.seen.names.update(others)
    if others and node.always is False:
        return at.says(f"Unevaluated properties are not allowed ({_listed(others)})")
    return _every(at, ((node, at.value[name], name) for name in others))


KEYWORDS: Final[Mapping[str, Keyword]] = {
    "$ref": refer,
    "$dynamicRef": refer_dynamically,
    "type": _type,
    "enum": _enum,
    "const": _const,
    "multipleOf": _multiple_of,
    "maximum": _number(lambda value, most: value <= most, "is greater than the maximum of"),
    "minimum": _number(lambda value, least: value >= least, "is less than the minimum of"),
    "exclusiveMaximum": _number(lambda value, most: value < most, "is greater than or equal to the maximum of"),
    "exclusiveMinimum": _number(lambda value, least: value > least, "is less than or equal to the minimum of"),
    "maxLength": _size(str, lambda size, most: size <= most, "is too long"),
    "minLength": _size(str, lambda size, least: size >= least, "is too short"),
    "maxItems": _size(list, lambda size, most: size <= most, "is too long"),
    "minItems": _size(list, lambda size, least: size >= least, "is too short"),
    "maxProperties": _size(dict, lambda size, most: size <= most, "has too many properties"),
    "minProperties": _size(dict, lambda size, least: size >= least, "does not have enough properties"),
    "pattern": _pattern,
    "uniqueItems": _unique_items,
    "contains": _contains,
    "prefixItems": _prefix_items,
    "items": _items,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "propertyNames": _property_names,
    "required": _required,
    "dependentRequired": _dependent_required,
    "dependentSchemas": _dependent_schemas,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
    "unevaluatedItems": _unevaluated_items,
    "unevaluatedProperties": _unevaluated_properties,
}


def last_of_all(name: object) -> bool:
    """Whether a keyword looks at what others have left, and so comes after them."""
    return isinstance(name, str) and name.startswith("unevaluated")
