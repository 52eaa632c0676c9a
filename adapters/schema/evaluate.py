"""Each keyword of a compiled schema, held to a value. All of it takes its steps from one budget.

A keyword is a function of a value and of what the keyword's own value was compiled to. It returns whether the value is
right, and tells what is wrong where somebody listens: of the branches of a choice (`anyOf`) nobody does.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from adapters.schema.budget import Budget, BudgetSpent
from adapters.schema.patterns import Pattern
from adapters.schema.values import frozen, is_multiple, is_number, shown

# Subschemas in each other, on the way to one value: each takes three frames of Python's stack.
_DEEPEST: Final = 290
# Bytes times instructions that RE2 takes in a step, at worst.
_MATCHED_A_STEP: Final = 150
# A value's place: its parent's, and its name or number there.
Place = tuple[Any, str | int] | None


@dataclass(slots=True, eq=False)
class Node:
    """A subschema. `base`: the URI of the resource that it is in; `always`: what it says of any value, where it is true
    or false; `checks`: its keywords, with what their values were compiled to."""

    base: str
    always: bool | None
    checks: "list[tuple[Keyword, Any]]" = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Holder:
    """A reference. `node`: where it leads, once that is known; `others`: where a dynamic one does, by resource."""

    node: Node
    others: dict[str, Node] = field(default_factory=dict)


@dataclass(slots=True)
class Seen:
    """The parts of a value that a schema has looked at, for `unevaluated…`: `names`, `items`, and those before
    `upto`."""

    names: set[str] = field(default_factory=set)
    items: set[int] = field(default_factory=set)
    upto: int = 0


@dataclass(slots=True)
class Run:
    """One value held to one schema. `tracks`: whether it matters what was looked at; `most`: faults that are told;
    `faults`: where, and what; `scope`: the resources that led to where it is now."""

    budget: Budget
    tracks: bool
    most: int
    faults: list[tuple[str, str]] = field(default_factory=list)
    scope: list[str] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether no more faults are told."""
        return len(self.faults) >= self.most

    def enter(self, node: Node) -> None:
        """Notes that `node` is held to a value now. Raises BudgetSpent."""
        self.scope.append(node.base)
        if len(self.scope) > _DEEPEST:
            raise BudgetSpent("nested too deeply")


@dataclass(slots=True)
class At:
    """A value, as a keyword sees it. `tells`: whether faults are told; `seen`: what was looked at, where it matters."""

    run: Run
    value: Any
    place: Place
    tells: bool
    seen: Seen | None

    def wrong(self, what: str) -> bool:
        """Tells what is wrong with the value. False."""
        return self.says(f"{shown(self.value)} {what}") if self.tells and not self.run.full else False

    def says(self, what: str) -> bool:
        """Tells what is wrong. False."""
        if self.tells and not self.run.full:
            self.run.faults.append((_path(self.place), what))
        return False

    def holds(self, node: Node) -> bool:
        """Whether the value is right by `node`, too, whose faults are its own."""
        return hold(self.run, node, self, self.seen)

    def is_one_of(self, node: Node, *, counts: bool = True) -> bool:
        """Whether the value is right by `node`, which is but a choice. `counts`: whether it was looked at then."""
        quiet = At(self.run, self.value, self.place, False, None)
        return hold(self.run, node, quiet, self.seen if counts else None)


Keyword = Callable[[At, Any], bool]


def held(node: Node, value: Any, run: Run) -> list[tuple[str, str]]:
    """The faults of `value`: where, and what. Raises BudgetSpent."""
    try:
        hold(run, node, At(run, value, None, True, None), None)
    except RecursionError as error:
        raise BudgetSpent("nested too deeply") from error
    return run.faults


def hold(run: Run, node: Node, given: At, seen: Seen | None) -> bool:
    """Whether the value that is `given` is right by `node`; what that looks at is added to `seen`. Raises
    BudgetSpent."""
    node = _meant(run, node)
    if node.always is not None:
        return node.always or given.says(f"False schema does not allow {shown(given.value) if given.tells else ''}")
    run.enter(node)
    at = At(run, given.value, given.place, given.tells, Seen() if run.tracks else None)
    right = True
    for keyword, argument in node.checks:
        if not keyword(at, argument):
            right = False
            if not at.tells or run.full:
                break
    run.scope.pop()
    if right and seen is not None and at.seen is not None:
        _add(run, seen, at.seen)
    return right


def _meant(run: Run, node: Node) -> Node:
    """Where a subschema that is but a reference leads: it takes no depth, only steps."""
    run.budget.spend()
    while len(node.checks) == 1 and node.checks[0][0] is _ref and node.checks[0][1].node.base == node.base:
        run.budget.spend()
        node = node.checks[0][1].node
    return node


def _add(run: Run, seen: Seen, more: Seen) -> None:
    run.budget.spend((len(more.names) + len(more.items)) // 8)
    seen.names |= more.names
    seen.items |= more.items
    seen.upto = max(seen.upto, more.upto)


def _path(place: Place) -> str:
    parts: list[str] = []
    while place is not None:
        place, key = place
        named = f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"
        parts.append(named)
    return "$" + "".join(reversed(parts))


def _ref(at: At, holder: Holder) -> bool:
    return at.holds(holder.node)


def _dynamic_ref(at: At, holder: Holder) -> bool:
    return at.holds(next((holder.others[base] for base in at.run.scope if base in holder.others), holder.node))


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
    "$ref": _ref,
    "$dynamicRef": _dynamic_ref,
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
