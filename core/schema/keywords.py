"""Keywords of JSON schemas: one function for each that constrains a value.

They are pure, except for the steps and faults of the evaluation.

Source: https://json-schema.org/draft/2020-12 (validation, and the applicators of core).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from patchbay.core.schema.evaluate import Instance, Keyword, Node, evaluate, refer, refer_dynamically
from patchbay.core.schema.formats import meets
from patchbay.core.schema.patterns import Pattern
from patchbay.core.schema.values import frozen, is_multiple, is_number, shown

# Bytes times instructions that RE2 gets through in a step, at worst.
_MATCHED_A_STEP: Final = 150


def _type(instance: Instance, given: tuple[Sequence[str], Sequence[Callable[[Any], bool]]]) -> bool:
    names, tests = given
    if any(test(instance.value) for test in tests):
        return True
    return instance.fail(f"is not of type {', '.join(map(repr, names))}")


def _enum(instance: Instance, given: frozenset[Any]) -> bool:
    allowed = frozen(instance.value, instance.run.budget.spend) in given
    return allowed or instance.fail("is not one of the values that there may be")


def _const(instance: Instance, given: frozenset[Any]) -> bool:
    equal = frozen(instance.value, instance.run.budget.spend) in given
    return equal or instance.fail("is not the value that it must be")


def _multiple_of(instance: Instance, of: float) -> bool:
    if not is_number(instance.value):
        return True
    instance.run.budget.spend(20)
    return is_multiple(instance.value, of) or instance.fail(f"is not a multiple of {shown(of)}")


def _number(fits: Callable[[float, float], bool], what: str) -> Keyword:
    def checked(instance: Instance, bound: float) -> bool:
        return not is_number(instance.value) or fits(instance.value, bound) or instance.fail(f"{what} {shown(bound)}")

    return checked


def _size(kind: type[str | list[Any] | dict[str, Any]], fits: Callable[[int, float], bool], what: str) -> Keyword:
    def checked(instance: Instance, bound: float) -> bool:
        return not isinstance(instance.value, kind) or fits(len(instance.value), bound) or instance.fail(what)

    return checked


def _format(instance: Instance, name: str) -> bool:
    if not isinstance(instance.value, str):
        return True
    instance.run.budget.spend(1 + len(instance.value) // _MATCHED_A_STEP)
    return meets(instance.value, name) or instance.fail(f"is not of the format {shown(name)}")


def _matches(instance: Instance, pattern: Pattern, text: str) -> bool:
    instance.run.budget.spend(1 + len(text) * pattern.size // _MATCHED_A_STEP)
    return pattern.found_in(text)


def _pattern(instance: Instance, pattern: Pattern) -> bool:
    if not isinstance(instance.value, str):
        return True
    return _matches(instance, pattern, instance.value) or instance.fail(f"does not match {shown(pattern.written)}")


def _unique_items(instance: Instance, unique: bool) -> bool:
    if not unique or not isinstance(instance.value, list):
        return True
    distinct = {frozen(item, instance.run.budget.spend) for item in instance.value}
    return len(distinct) == len(instance.value) or instance.fail("has non-unique elements")


def _contains(instance: Instance, given: tuple[Node, float, float | None]) -> bool:
    node, least, most = given
    if not isinstance(instance.value, list):
        return True
    found = [
        number
        for number, item in enumerate(instance.value)
        if evaluate(
            instance.run,
            node,
            Instance(run=instance.run, value=item, place=(instance.place, number), reports=False),
            None,
        )
    ]
    if instance.evaluated is not None:
        instance.evaluated.items.update(found)
    if len(found) < least:
        return instance.fail("does not contain items matching the given schema")
    return most is None or len(found) <= most or instance.fail("contains too many items matching the given schema")


def _prefix_items(instance: Instance, nodes: Sequence[Node]) -> bool:
    if not isinstance(instance.value, list):
        return True
    if instance.evaluated is not None:
        instance.evaluated.upto = max(instance.evaluated.upto, min(len(nodes), len(instance.value)))
    pairs = zip(nodes, instance.value, strict=False)
    return _every(instance, ((node, item, number) for number, (node, item) in enumerate(pairs)))


def _every(instance: Instance, parts: Iterable[tuple[Node, Any, str | int]]) -> bool:
    """Whether all parts are valid. All are evaluated where faults are reported, and the first wrong one ends it
    otherwise."""
    valid = True
    for node, value, key in parts:
        part = Instance(run=instance.run, value=value, place=(instance.place, key), reports=instance.reports)
        if not evaluate(instance.run, node, part, None):
            valid = False
            if not instance.reports or instance.run.full:
                break
    return valid


def _items(instance: Instance, given: tuple[Node, int]) -> bool:
    node, start = given
    if not isinstance(instance.value, list):
        return True
    if instance.evaluated is not None:
        instance.evaluated.upto = len(instance.value)
    return _every(instance, ((node, instance.value[number], number) for number in range(start, len(instance.value))))


def _properties(instance: Instance, nodes: Mapping[str, Node]) -> bool:
    if not isinstance(instance.value, dict):
        return True
    instance.run.budget.spend(len(nodes) // 8)
    found = [name for name in nodes if name in instance.value]
    if instance.evaluated is not None:
        instance.evaluated.names.update(found)
    return _every(instance, ((nodes[name], instance.value[name], name) for name in found))


def _pattern_properties(instance: Instance, given: Sequence[tuple[Pattern, Node]]) -> bool:
    if not isinstance(instance.value, dict):
        return True
    found = [
        (node, item, name)
        for pattern, node in given
        for name, item in instance.value.items()
        if _matches(instance, pattern, name)
    ]
    if instance.evaluated is not None:
        instance.evaluated.names.update(name for _, _, name in found)
    return _every(instance, found)


def _additional_properties(instance: Instance, given: tuple[Node, frozenset[str], Sequence[Pattern]]) -> bool:
    node, names, patterns = given
    if not isinstance(instance.value, dict):
        return True
    instance.run.budget.spend(len(instance.value) // 8)
    others = [
        name
        for name in instance.value
        if name not in names and not any(_matches(instance, pattern, name) for pattern in patterns)
    ]
    if instance.evaluated is not None:
        instance.evaluated.names.update(others)
    if others and node.always is False:
        return instance.report(f"Additional properties are not allowed ({_listed(others)})")
    return _every(instance, ((node, instance.value[name], name) for name in others))


def _listed(names: Sequence[Any]) -> str:
    return f"{', '.join(map(shown, names[:3]))}{'…' if len(names) > 3 else ''} unexpected"


def _property_names(instance: Instance, node: Node) -> bool:
    if not isinstance(instance.value, dict):
        return True
    return _every(instance, ((node, name, name) for name in instance.value))


def _required(instance: Instance, names: Sequence[str]) -> bool:
    if not isinstance(instance.value, dict):
        return True
    instance.run.budget.spend(len(names) // 8)
    missing = [name for name in names if name not in instance.value]
    for name in missing:
        instance.report(f"{shown(name)} is a required property")
    return not missing


def _dependent_required(instance: Instance, given: Mapping[str, Sequence[str]]) -> bool:
    if not isinstance(instance.value, dict):
        return True
    instance.run.budget.spend(len(given))
    needed = {other: name for name, others in given.items() if name in instance.value for other in others}
    missing = [other for other in needed if other not in instance.value]
    return not missing or instance.report(f"{shown(missing[0])} is a dependency of {shown(needed[missing[0]])}")


def _dependent_schemas(instance: Instance, given: Mapping[str, Node]) -> bool:
    if not isinstance(instance.value, dict):
        return True
    return _all_of(instance, [node for name, node in given.items() if name in instance.value])


def _all_of(instance: Instance, nodes: Sequence[Node]) -> bool:
    valid = True
    for node in nodes:
        if not instance.is_valid_by(node):
            valid = False
            if not instance.reports or instance.run.full:
                break
    return valid


def _any_of(instance: Instance, nodes: Sequence[Node]) -> bool:
    # Each valid branch adds evaluated parts, so all are evaluated where those are kept track of.
    valid = (
        [instance.is_valid_choice(node) for node in nodes]
        if instance.evaluated is not None
        else map(instance.is_valid_choice, nodes)
    )
    return any(valid) or instance.fail("is not valid under any of the given schemas")


def _one_of(instance: Instance, nodes: Sequence[Node]) -> bool:
    valid = 0
    for node in nodes:
        valid += instance.is_valid_choice(node)
        if valid > 1:
            return instance.fail("is valid under more than one of the given schemas")
    return valid == 1 or instance.fail("is not valid under any of the given schemas")


def _not(instance: Instance, node: Node) -> bool:
    return not instance.is_valid_choice(node, counts=False) or instance.fail("should not be valid under a given schema")


def _if(instance: Instance, given: tuple[Node, Node | None, Node | None]) -> bool:
    condition, then, other = given
    branch = then if instance.is_valid_choice(condition) else other
    return branch is None or instance.is_valid_by(branch)


def _unevaluated_items(instance: Instance, node: Node) -> bool:
    if not isinstance(instance.value, list) or instance.evaluated is None:
        return True
    others = [
        number
        for number in range(instance.evaluated.upto, len(instance.value))
        if number not in instance.evaluated.items
    ]
    instance.run.budget.spend(len(instance.value) // 8)
    instance.evaluated.upto = len(instance.value)
    if others and node.always is False:
        return instance.report(
            f"Unevaluated items are not allowed ({_listed([instance.value[number] for number in others])})"
        )
    return _every(instance, ((node, instance.value[number], number) for number in others))


def _unevaluated_properties(instance: Instance, node: Node) -> bool:
    if not isinstance(instance.value, dict) or instance.evaluated is None:
        return True
    others = [name for name in instance.value if name not in instance.evaluated.names]
    instance.run.budget.spend(len(instance.value) // 8)
    instance.evaluated.names.update(others)
    if others and node.always is False:
        return instance.report(f"Unevaluated properties are not allowed ({_listed(others)})")
    return _every(instance, ((node, instance.value[name], name) for name in others))


KEYWORDS: Final[Mapping[str, Keyword]] = {
    "$ref": refer,
    "$dynamicRef": refer_dynamically,
    "type": _type,
    "enum": _enum,
    "const": _const,
    "format": _format,
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


def comes_last(name: object) -> bool:
    """Whether a keyword depends on what other keywords have evaluated, and so comes after them."""
    return isinstance(name, str) and name.startswith("unevaluated")
