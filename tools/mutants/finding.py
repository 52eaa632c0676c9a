"""The mutants of a module, found by a walk through its syntax tree. Pure."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tools.mutants.left_alone import is_left_alone
from tools.mutants.mutant import Change, Mutant, shown
from tools.mutants.operators import negated_tests, replacements

_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")
Statement = ast.stmt | ast.ExceptHandler | ast.match_case
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class _Place:
    """The walk's place: the statement around, and whether that runs only when a function is called."""

    statement: Statement | None = None
    inside: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    change: Change
    place: _Place


def mutants_of(text: str, module: str, file: str) -> list[Mutant]:
    """Lists the mutants of a module's source, in the order of the source."""
    tree = ast.parse(text)
    found = [_mutant(one, tree, module, file) for one in _walk(tree, _Place())]
    return [one for one in found if one.before != one.after]


def _walk(node: ast.AST, place: _Place) -> Iterator[_Found]:
    for name, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        within = _place_of(node, name, place)
        for at, child in enumerate(children):
            if isinstance(child, ast.AST) and not is_left_alone(child, node, name):
                here = replace(within, statement=child) if isinstance(child, Statement) else within
                index = at if isinstance(value, list) else None
                yield from (_Found(one, here) for one in _changes(node, name, index, child))
                yield from _walk(child, here)


def _changes(parent: ast.AST, name: str, index: int | None, child: ast.AST) -> Iterator[Change]:
    for new in replacements(child):
        yield Change(parent, name, index, ast.copy_location(new, child) if hasattr(child, "lineno") else new)
    for condition in negated_tests(child):
        yield Change(child, "test", None, ast.copy_location(condition, child))
    if isinstance(child, ast.keyword) and child.arg and isinstance(parent, ast.Call):
        yield Change(parent, name, index, None, removes=True)
    if isinstance(child, ast.arguments):
        yield from (Change(child, "kw_defaults", at, None) for at, one in enumerate(child.kw_defaults) if one)
        yield from (Change(child, "defaults", 0, None, removes=True) for _ in child.defaults[:1])


def _place_of(node: ast.AST, name: str, place: _Place) -> _Place:
    """Defaults and decorators of a function run with what is around it, its body only when it is called."""
    return replace(place, inside=True) if isinstance(node, _Function) and name == "body" else place


def _mutant(found: _Found, tree: ast.Module, module: str, file: str) -> Mutant:
    statement = found.place.statement
    target = _node_at(found.change)
    line = int(getattr(target, "lineno", 0) or getattr(statement, "lineno", 1))
    before = _text(statement)
    with found.change.applied():
        after = _text(_standing(found.change, statement))
    one, other = shown(before, after) if before != after else ("", "")
    return Mutant(module, file, line, one, other, _lines(statement), found.place.inside, tree, found.change)


def _node_at(change: Change) -> object:
    value = getattr(change.parent, change.name)
    return value if change.index is None else value[change.index]


def _standing(change: Change, statement: ast.AST | None) -> ast.AST | None:
    """The statement as the change leaves it: another where it is replaced as a whole."""
    replaced = isinstance(change.new, ast.stmt | ast.ExceptHandler)
    return change.new if replaced and isinstance(change.new, ast.AST) else statement


def _text(statement: ast.AST | None) -> str:
    """A statement in one line; of one with a body, its head."""
    if statement is None:
        return ""
    text = ast.unparse(ast.fix_missing_locations(statement))
    if not hasattr(statement, "body"):
        return text
    if isinstance(statement, ast.ExceptHandler):
        return " ".join(text.split())
    return next(line for line in text.splitlines() if not line.startswith("@"))


def _lines(statement: ast.AST | None) -> range:
    """The lines of a statement; of one with a body, those of its head."""
    if statement is None:
        return range(0)
    if isinstance(statement, ast.match_case):
        return range(statement.pattern.lineno, max(statement.body[0].lineno, statement.pattern.lineno + 1))
    first, last = int(getattr(statement, "lineno", 0)), int(getattr(statement, "end_lineno", 0) or 0)
    bodies = [inner.lineno for name in _BODIES for inner in getattr(statement, name, []) if hasattr(inner, "lineno")]
    return range(first, max(min([*bodies, last + 1]), first + 1))
