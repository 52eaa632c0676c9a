"""A run of a value through the nodes of a compiled schema: its depth, its steps, its faults, and the references that
lead it from node to node. All of it takes its steps from one budget.

A keyword is a function of a value and of what the keyword's own value was compiled to. It returns whether the value is
right, and tells what is wrong where somebody listens: of the branches of a choice (`anyOf`) nobody does. `keywords.py`
has them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from patchbay.core.schema.budget import BudgetSpent, StepBudget
from patchbay.core.schema.values import shown

# Subschemas in each other, on the way to one value: each takes three frames of Python's stack.
_DEEPEST: Final = 290
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
class EvaluatedParts:
    """The parts of a value that a schema has looked at, for `unevaluated…`: `names`, `items`, and those before
    `upto`."""

    names: set[str] = field(default_factory=set)
    items: set[int] = field(default_factory=set)
    upto: int = 0


@dataclass(slots=True)
class SchemaEvaluation:
    """One value held to one schema. `tracks`: whether it matters what was looked at; `most`: faults that are told;
    `faults`: where, and what; `scope`: the resources that led to where it is now."""

    budget: StepBudget
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

    run: SchemaEvaluation
    value: Any
    place: Place
    tells: bool
    seen: EvaluatedParts | None

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


def held(node: Node, value: Any, run: SchemaEvaluation) -> list[tuple[str, str]]:
    """The faults of `value`: where, and what. Raises BudgetSpent."""
    try:
        hold(run, node, At(run, value, None, True, None), None)
    except RecursionError as error:
        raise BudgetSpent("nested too deeply") from error
    return run.faults


def hold(run: SchemaEvaluation, node: Node, given: At, seen: EvaluatedParts | None) -> bool:
    """Whether the value that is `given` is right by `node`; what that looks at is added to `seen`. Raises
    BudgetSpent."""
    node = _meant(run, node)
    if node.always is not None:
        return node.always or given.says(f"False schema does not allow {shown(given.value) if given.tells else ''}")
    run.enter(node)
    at = At(run, given.value, given.place, given.tells, EvaluatedParts() if run.tracks else None)
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


def _meant(run: SchemaEvaluation, node: Node) -> Node:
    """Where a subschema that is but a reference leads: it takes no depth, only steps."""
    run.budget.spend()
    while len(node.checks) == 1 and node.checks[0][0] is refer and node.checks[0][1].node.base == node.base:
        run.budget.spend()
        node = node.checks[0][1].node
    return node


def _add(run: SchemaEvaluation, seen: EvaluatedParts, more: EvaluatedParts) -> None:
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


def refer(at: At, holder: Holder) -> bool:
    """`$ref`."""
    return at.holds(holder.node)


def refer_dynamically(at: At, holder: Holder) -> bool:
    """`$dynamicRef`: to where the first resource on the way has it."""
    return at.holds(next((holder.others[base] for base in at.run.scope if base in holder.others), holder.node))
