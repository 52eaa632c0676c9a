"""Evaluation of a value by a compiled schema: from node to node, along references, with one budget of steps.

The value that is evaluated is called the instance, as in JSON Schema. A keyword is a function of the instance and of
the compiled value of the keyword. It returns whether the instance is valid, and reports faults where they are asked
for: the branches of a choice (`anyOf`) report none. The keywords are in `keywords.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from patchbay.core.schema.budget import BudgetSpent, StepBudget
from patchbay.core.schema.values import shown

# Nested subschemas on the way to one value: each takes three frames of Python's stack.
_DEEPEST: Final = 290
# A value's place: the place of its parent, and its name or number there; None for the whole value.
Place = tuple[Any, str | int] | None


@dataclass(slots=True, eq=False)
class Node:
    """A compiled subschema.

    `base`: the URI of the resource that it is in; `always`: the result for every value, where the subschema is true or
    false; `checks`: its keywords, with their compiled values.
    """

    base: str
    always: bool | None
    checks: "list[tuple[Keyword, Any]]" = field(default_factory=list)


@dataclass(slots=True, eq=False)
class SchemaReference:
    """A compiled reference. `node`: its target, once that is known; `others`: the targets of a dynamic one, by
    resource."""

    node: Node
    others: dict[str, Node] = field(default_factory=dict)


@dataclass(slots=True)
class EvaluatedParts:
    """The parts of a value that a schema has evaluated, for the keywords `unevaluated…`.

    `names`: of an object; `items`: numbers in a list; `upto`: all items before this number, too.
    """

    names: set[str] = field(default_factory=set)
    items: set[int] = field(default_factory=set)
    upto: int = 0


@dataclass(slots=True, kw_only=True)
class SchemaEvaluation:
    """The state of evaluating one value by one schema.

    `budget`: pays for each step; `tracks`: whether evaluated parts are kept track of; `most`: the faults that are
    reported; `faults`: the faults so far, as place and message; `scope`: the resources on the way to the current node.
    """

    budget: StepBudget
    tracks: bool
    most: int
    faults: list[tuple[str, str]] = field(default_factory=list)
    scope: list[str] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether no more faults are reported."""
        return len(self.faults) >= self.most

    def enter(self, node: Node) -> None:
        """Adds `node` to the scope. Raises BudgetSpent where it is nested too deeply."""
        self.scope.append(node.base)
        if len(self.scope) > _DEEPEST:
            raise BudgetSpent("nested too deeply")


@dataclass(slots=True)
class Instance:
    """The instance that a keyword evaluates.

    `run`: the evaluation that it belongs to; `place`: of the value; `reports`: whether faults are reported;
    `evaluated`: its evaluated parts, None where nothing depends on them.
    """

    run: SchemaEvaluation
    value: Any
    place: Place
    reports: bool
    evaluated: EvaluatedParts | None = field(default=None, kw_only=True)

    def fail(self, what: str) -> bool:
        """Reports a fault, with the value before `what`. Returns False."""
        return self.report(f"{shown(self.value)} {what}") if self.reports and not self.run.full else False

    def report(self, what: str) -> bool:
        """Reports a fault. Returns False."""
        if self.reports and not self.run.full:
            self.run.faults.append((_path(self.place), what))
        return False

    def is_valid_by(self, node: Node) -> bool:
        """Whether the value is valid by `node`. Faults are reported as its own."""
        return evaluate(self.run, node, self, self.evaluated)

    def is_valid_choice(self, node: Node, *, counts: bool = True) -> bool:
        """Whether the value is valid by `node`, which is only a choice: no faults are reported.

        `counts`: whether the parts that `node` evaluates count as evaluated.
        """
        quiet = Instance(run=self.run, value=self.value, place=self.place, reports=False)
        return evaluate(self.run, node, quiet, self.evaluated if counts else None)


# Takes the instance and the keyword's compiled value. Returns whether the instance is valid.
Keyword = Callable[[Instance, Any], bool]


def faults_of(node: Node, value: Any, run: SchemaEvaluation) -> list[tuple[str, str]]:
    """Evaluates `value` by `node`, and returns its faults, as place and message. Raises BudgetSpent."""
    try:
        evaluate(run, node, Instance(run=run, value=value, place=None, reports=True), None)
    except RecursionError as error:
        raise BudgetSpent("nested too deeply") from error
    return run.faults


def evaluate(run: SchemaEvaluation, node: Node, given: Instance, evaluated: EvaluatedParts | None) -> bool:
    """Evaluates the value of `given` by `node`, and returns whether it is valid.

    `evaluated`: gets the parts that `node` evaluates, where the value is valid. Raises BudgetSpent.
    """
    node = _target(run, node)
    if node.always is not None:
        return node.always or given.report(f"False schema does not allow {shown(given.value) if given.reports else ''}")
    run.enter(node)
    instance = Instance(run=run, value=given.value, place=given.place, reports=given.reports)
    instance.evaluated = EvaluatedParts() if run.tracks else None
    valid = True
    for keyword, argument in node.checks:
        if not keyword(instance, argument):
            valid = False
            if not instance.reports or run.full:
                break
    run.scope.pop()
    if valid and evaluated is not None and instance.evaluated is not None:
        _add(run, evaluated, instance.evaluated)
    return valid


def _target(run: SchemaEvaluation, node: Node) -> Node:
    """Follows a subschema that is only a reference to its target. This takes steps, and no depth."""
    run.budget.spend()
    while len(node.checks) == 1 and node.checks[0][0] is refer and node.checks[0][1].node.base == node.base:
        run.budget.spend()
        node = node.checks[0][1].node
    return node


def _add(run: SchemaEvaluation, evaluated: EvaluatedParts, more: EvaluatedParts) -> None:
    run.budget.spend((len(more.names) + len(more.items)) // 8)
    evaluated.names |= more.names
    evaluated.items |= more.items
    evaluated.upto = max(evaluated.upto, more.upto)


def _path(place: Place) -> str:
    parts: list[str] = []
    while place is not None:
        place, key = place
        step = f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"
        parts.append(step)
    return "$" + "".join(reversed(parts))


def refer(instance: Instance, reference: SchemaReference) -> bool:
    """The keyword `$ref`."""
    return instance.is_valid_by(reference.node)


def refer_dynamically(instance: Instance, reference: SchemaReference) -> bool:
    """The keyword `$dynamicRef`: its target is in the first resource of the scope that has one."""
    return instance.is_valid_by(
        next((reference.others[base] for base in instance.run.scope if base in reference.others), reference.node)
    )
