"""Figures of the source: lengths of functions, docstrings and their beginnings, and class names that stand twice.
Pure."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median, quantiles

from tools.house.modules import Module

# A docstring says what a thing is or does. One that begins so leaves the subject or the verb to the reader.
_RIDDLES = ("what", "which", "who", "whose", "whom", "where", "how", "when", "why")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Function:
    """A function or method: its dotted place, and the number of its lines from `def` to its end."""

    place: str
    lines: int


def functions_of(modules: Iterable[Module]) -> list[Function]:
    """Lists all functions and methods, the longest first."""
    functions = (
        Function(f"{module.name}.{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1)
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return sorted(functions, key=lambda function: (-function.lines, function.place))


def spread(lengths: list[int]) -> tuple[float, float, int]:
    """Returns the median, the 90th percentile and the largest of `lengths`, which has at least two."""
    return median(lengths), quantiles(lengths, n=10)[-1], max(lengths)


def documented(modules: Iterable[Module]) -> tuple[int, int]:
    """Counts the public modules, classes, functions and methods with a docstring, and all of them.

    Methods that Python itself names (`__len__`) are left out: their names say what they do.
    """
    public = [node for module in modules for node in (module.tree, *_public(module.tree))]
    return sum(ast.get_docstring(node) is not None for node in public), len(public)


def riddles(modules: Iterable[Module]) -> list[str]:
    """Lists the modules, classes and public functions whose docstring begins with a question word or a parameter."""
    return [
        place for module in modules for place, node in _described(module) if _is_riddle(ast.get_docstring(node) or "")
    ]


def duplicate_classes(modules: Iterable[Module]) -> Mapping[str, tuple[str, ...]]:
    """Finds the names of public classes that stand in more than one module, with those modules."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for module in modules:
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module.name)
    return {name: tuple(owners) for name, owners in sorted(places.items()) if len(owners) > 1}


def comment_share(modules: Iterable[Module]) -> float:
    """Returns the share of lines that are only a comment."""
    lines = [line.lstrip() for module in modules for line in module.lines]
    return sum(line.startswith("#") for line in lines) / len(lines)


def _described(module: Module) -> Iterator[tuple[str, ast.Module | Definition]]:
    yield module.name, module.tree
    for node in ast.walk(module.tree):
        if isinstance(node, Definition) and (isinstance(node, ast.ClassDef) or not node.name.startswith("_")):
            yield f"{module.name}.{node.name}", node


def _is_riddle(docstring: str) -> bool:
    first = docstring.split(maxsplit=1)[:1]
    return docstring.startswith("`") or (first != [] and first[0].strip(",:;").lower() in _RIDDLES)


def _public(node: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    for child in node.body:
        if isinstance(child, Definition) and not child.name.startswith("_") and not _is_overload(child):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from _public(child)


def _is_overload(node: Definition) -> bool:
    return any(isinstance(decorator, ast.Name) and decorator.id == "overload" for decorator in node.decorator_list)
