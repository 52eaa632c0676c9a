"""The changes that are made to one node of a syntax tree. Pure: each function returns the nodes that replace it."""

import ast
from collections.abc import Callable, Iterator

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_CALCULATED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}


def replacements(node: ast.AST) -> list[ast.AST]:
    """Returns the nodes that may stand instead of `node`, each a mutant."""
    return [new for kind, change in _CHANGES if isinstance(node, kind) for new in change(node)]


def negated_tests(node: ast.AST) -> list[ast.expr]:
    """Returns the condition of an `if`, a `while` or a conditional expression turned round, which swaps its branches.
    A comparison and a `not` are turned round elsewhere."""
    if isinstance(node, ast.If | ast.While | ast.IfExp) and not isinstance(node.test, ast.Compare | ast.UnaryOp):
        return [ast.UnaryOp(ast.Not(), node.test)]
    return []


def _comparisons(node: ast.Compare) -> Iterator[ast.AST]:
    for at, operator in enumerate(node.ops):
        for other in _COMPARED[type(operator)]:
            yield ast.Compare(node.left, [*node.ops[:at], other(), *node.ops[at + 1 :]], node.comparators)


def _arithmetic(node: ast.BinOp) -> Iterator[ast.AST]:
    if other := _CALCULATED.get(type(node.op)):
        yield ast.BinOp(node.left, other(), node.right)


def _in_place(node: ast.AugAssign) -> Iterator[ast.AST]:
    if other := _CALCULATED.get(type(node.op)):
        yield ast.AugAssign(node.target, other(), node.value)
    yield ast.Pass()


def _and_or(node: ast.BoolOp) -> Iterator[ast.AST]:
    yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)


def _without_sign(node: ast.UnaryOp) -> Iterator[ast.AST]:
    if isinstance(node.op, ast.Not | ast.USub):
        yield node.operand


def _constants(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield from (ast.Constant(value + 1), ast.Constant(value - 1))
    elif isinstance(value, str | bytes):
        mark: str | bytes = "XX" if isinstance(value, str) else b"XX"
        yield ast.Constant(value + mark)  # type: ignore[operator]
    elif value is None:
        yield ast.Constant(True)


def _returns(node: ast.Return) -> Iterator[ast.AST]:
    if node.value is None:
        yield ast.Pass()
    elif not isinstance(node.value, ast.Constant):
        yield ast.Return(ast.Constant(None))


def _removed(node: ast.stmt) -> Iterator[ast.AST]:
    yield ast.Pass()


def _removed_assignment(node: ast.Assign) -> Iterator[ast.AST]:
    """A name that is never bound would fail at once: only what is put into an object or a container is left out."""
    if all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets):
        yield ast.Pass()


def _rethrown(node: ast.ExceptHandler) -> Iterator[ast.AST]:
    if not any(isinstance(inner, ast.Raise) for inner in node.body):
        yield ast.ExceptHandler(node.type, node.name, [ast.Raise(None, None)])


_CHANGES: tuple[tuple[type[ast.AST] | tuple[type[ast.AST], ...], Callable[..., Iterator[ast.AST]]], ...] = (
    (ast.Compare, _comparisons),
    (ast.BinOp, _arithmetic),
    (ast.AugAssign, _in_place),
    (ast.BoolOp, _and_or),
    (ast.UnaryOp, _without_sign),
    (ast.Constant, _constants),
    (ast.Return, _returns),
    ((ast.Expr, ast.Raise, ast.Continue, ast.Break, ast.Delete), _removed),
    (ast.Assign, _removed_assignment),
    (ast.ExceptHandler, _rethrown),
)
