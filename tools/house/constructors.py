"""Constructors whose arguments are easily mixed up: too many by position, or two neighbours of the same type. Pure."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from tools.house.modules import Module

CHECKED = ("core", "guards", "registry", "router", "server")
MOST_BY_POSITION = 4


@dataclass(frozen=True, slots=True)
class Constructor:
    """A class's constructor: the class's dotted place, and the arguments that it takes by position, with their types
    as they are written."""

    place: str
    by_position: tuple[tuple[str, str], ...]

    @property
    def is_unclear(self) -> bool:
        """Whether a call by position does not show which argument is which."""
        types = [written for _, written in self.by_position]
        alike = any(first == second for first, second in pairwise(types))
        return alike or len(types) > MOST_BY_POSITION


def constructors_of(modules: Iterable[Module]) -> list[Constructor]:
    """Lists the constructors of classes, dataclasses and msgspec's structs in the packages that are checked."""
    classes = [(module.name, node) for module in modules if _is_checked(module) for node in _classes(module)]
    known = {node.name: node for _, node in classes}
    return [
        Constructor(f"{module}.{node.name}", tuple(_by_position(node, known)))
        for module, node in classes
        if _own_init(node) is not None or _takes_fields(node)
    ]


def _is_checked(module: Module) -> bool:
    return module.name.partition(".")[0] in CHECKED


def _classes(module: Module) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef))


def _own_init(node: ast.ClassDef) -> ast.FunctionDef | None:
    methods = (child for child in node.body if isinstance(child, ast.FunctionDef))
    return next((method for method in methods if method.name == "__init__"), None)


def _takes_fields(node: ast.ClassDef) -> bool:
    return _dataclass_of(node) is not None or _is_struct(node)


def _dataclass_of(node: ast.ClassDef) -> ast.expr | None:
    return next((one for one in node.decorator_list if "dataclass" in ast.unparse(one).partition("(")[0]), None)


def _is_struct(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base) == "msgspec.Struct" for base in node.bases)


def _by_position(node: ast.ClassDef, known: Mapping[str, ast.ClassDef]) -> Iterator[tuple[str, str]]:
    init = _own_init(node)
    if init is not None:
        taken = [*init.args.posonlyargs, *init.args.args][1:]
        yield from ((argument.arg, _written(argument.annotation)) for argument in taken)
        return
    for base in node.bases:
        if (parent := known.get(ast.unparse(base))) is not None and _takes_fields(parent):
            yield from _by_position(parent, known)
    if not _is_by_keyword(node):
        yield from _fields(node)


def _is_by_keyword(node: ast.ClassDef) -> bool:
    decorator = _dataclass_of(node)
    keywords = decorator.keywords if isinstance(decorator, ast.Call) else node.keywords
    return any(one.arg == "kw_only" and ast.unparse(one.value) == "True" for one in keywords)


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Finds the fields that a constructor takes by position: those before `KW_ONLY`, but for what it does not take."""
    for child in node.body:
        if not isinstance(child, ast.AnnAssign) or not isinstance(child.target, ast.Name):
            continue
        written = _written(child.annotation)
        if written.endswith("KW_ONLY"):
            return
        value = _written(child.value)
        if not written.startswith("ClassVar") and "init=False" not in value and "kw_only=True" not in value:
            yield child.target.id, written


def _written(node: ast.expr | None) -> str:
    return ast.unparse(node) if node is not None else ""
