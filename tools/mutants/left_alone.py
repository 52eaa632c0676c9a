"""The rules of what is not mutated: what no run of the program shows, and what stands for a person or a type checker.

- docstrings, annotations, imports, `__all__`, `__slots__`, type variables, and what is under `if TYPE_CHECKING`;
- calls of a logger;
- `assert`, and `strict` of `zip`: checks of ourselves, which no input reaches;
- `encoding`: a machine of ours says UTF-8 anyway; `description` and `help`: text for people, as a docstring is;
- decorators of classes and the keywords of a class (`frozen`, `slots`, `kw_only`): a type checker holds us to them;
- types that are passed as values: the second argument of `isinstance`, the first of `cast`, what a type is subscripted
  with (`list[str]`), `Literal`, and unions of types (`Tail | None`).
"""

import ast

_LOGGERS = ("log", "_log", "logger", "_logger", "logging")
_KEYWORDS = ("encoding", "description", "help")
_TYPED = ("TypeVar", "ParamSpec", "NewType", "TypeAlias")
_GENERIC = {
    *("dict", "list", "set", "tuple", "frozenset", "type", "deque", "defaultdict", "Counter", "OrderedDict"),
    *("Callable", "Literal", "Annotated", "Iterator", "Iterable", "Mapping", "Sequence", "Final", "ClassVar"),
}
_BUILT_IN = ("int", "str", "float", "bool", "bytes", "dict", "list", "set", "tuple", "frozenset")
_DUNDERS = ("__all__", "__slots__")


def is_left_alone(node: ast.AST, parent: ast.AST | None, name: str) -> bool:
    """Says whether a node and all that is in it is left as it is. `name`: the parent's field in which it stands."""
    return (
        name in ("annotation", "returns", "type_comment")
        or isinstance(node, ast.Import | ast.ImportFrom | ast.Assert)
        or _is_docstring(node)
        or _is_logged(node)
        or _is_declared(node)
        or _is_a_type(node, parent, name)
        or (isinstance(parent, ast.ClassDef) and name in ("decorator_list", "keywords", "bases"))
        or (isinstance(node, ast.keyword) and _is_quiet_keyword(node, parent))
    )


def called(node: ast.AST | None) -> str:
    """Returns the last name of what a call calls, or "" where `node` is none."""
    return last_name(node.func) if isinstance(node, ast.Call) else ""


def last_name(node: ast.AST) -> str:
    """Returns `c` of `a.b.c`, or "" for what is no name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_logged(node: ast.AST) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and last_name(call.func.value).lower() in _LOGGERS
    )


def _is_declared(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return last_name(node.test) == "TYPE_CHECKING"
    if not isinstance(node, ast.Assign):
        return False
    targets = [last_name(target) for target in node.targets]
    return called(node.value) in _TYPED or any(name in _DUNDERS for name in targets)


def _is_a_type(node: ast.AST, parent: ast.AST | None, name: str) -> bool:
    if isinstance(node, ast.BinOp) and _is_union_of_types(node):
        return True
    if isinstance(parent, ast.Subscript):
        return name == "slice" and last_name(parent.value) in _GENERIC
    if not isinstance(parent, ast.Call) or name != "args":
        return False
    at = parent.args.index(node) if node in parent.args else -1
    return (called(parent), at) in {("isinstance", 1), ("issubclass", 1), ("cast", 0)}


def _is_quiet_keyword(node: ast.keyword, parent: ast.AST | None) -> bool:
    return node.arg in _KEYWORDS or (node.arg == "strict" and called(parent) == "zip")


def _is_union_of_types(node: ast.BinOp) -> bool:
    """Tells `int | None` from a number, by a None or a name that begins as a class does."""
    return isinstance(node.op, ast.BitOr) and any(map(_names_a_type, (node.left, node.right)))


def _names_a_type(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return node.value is None
    if isinstance(node, ast.BinOp):
        return _is_union_of_types(node)
    last = last_name(node)
    return last in _BUILT_IN or (last[:1].isupper() and not last.isupper())
