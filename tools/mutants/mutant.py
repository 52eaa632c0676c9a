"""One change of a syntax tree: put in, compiled, shown and taken out again. No file is ever written."""

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType

# Longer texts are cut in the list of survivors.
_MOST_SHOWN = 150


@dataclass(frozen=True, slots=True)
class Change:
    """A node's replacement: in `parent`, the field `name`, or its item `index` where the field is a list. `removes`:
    the item is taken out instead."""

    parent: ast.AST
    name: str
    index: int | None
    new: ast.AST | None
    removes: bool = False

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Changes the tree while the block lasts."""
        old = getattr(self.parent, self.name)
        setattr(self.parent, self.name, self.new if self.index is None else self._list(old, self.index))
        try:
            yield
        finally:
            setattr(self.parent, self.name, old)

    def _list(self, old: list[object], index: int) -> list[object]:
        return [*old[:index], *([] if self.removes else [self.new]), *old[index + 1 :]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed module: its name (`patchbay.router.carry.transcript`), the file and line, the statement as it was and
    as it is, and the lines whose run shows that a test reaches it. `inside`: it is in a function's body, so that
    nothing but a call of that function runs it."""

    module: str
    file: str
    line: int
    before: str
    after: str
    lines: range
    inside: bool
    tree: ast.Module
    change: Change

    def compiled(self, filename: str) -> CodeType:
        """Compiles the changed module. Raises SyntaxError or ValueError where the change makes no program."""
        with self.change.applied():
            tree = ast.fix_missing_locations(self.tree)
            return compile(tree, filename, "exec", dont_inherit=True)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.before} -> {self.after}"


def shown(before: str, after: str) -> tuple[str, str]:
    """Cuts the beginning that both texts have in common, where they are long, and what is beyond the most shown."""
    same = next((at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), 0)
    cut = same - _MOST_SHOWN // 3 if same > _MOST_SHOWN // 2 else 0
    return _part(before, cut), _part(after, cut)


def _part(text: str, cut: int) -> str:
    middle = text[cut : cut + _MOST_SHOWN]
    return f"{'…' if cut else ''}{middle}{'…' if len(text) > cut + _MOST_SHOWN else ''}"
