"""The modules of this repository and their imports, read from the source without running it."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("core", "registry", "guards", "adapters", "tuning", "router", "server", "launch")
# All folders with code that is ours, but for the tests.
FOLDERS = (*PACKAGES, "loadtests", "observability", "src", "tools")
_PREFIX = "patchbay."


@dataclass(frozen=True, slots=True)
class Module:
    """A module: its name below `patchbay`, its file, its syntax tree, and its source's lines."""

    name: str
    file: Path
    tree: ast.Module
    lines: tuple[str, ...]


def read_modules(root: Path = ROOT, packages: tuple[str, ...] = PACKAGES) -> Mapping[str, Module]:
    """Reads the modules of `packages`, by name. `root`: the repository's folder."""
    modules = (_module(file, root) for package in packages for file in sorted((root / package).rglob("*.py")))
    return {module.name: module for module in modules}


def imports_of(module: Module, known: Mapping[str, Module]) -> frozenset[str]:
    """Returns the names of the modules in `known` that `module` imports, at its top or inside of a function."""
    imported = {name for node in ast.walk(module.tree) for name in _imported_names(node, known)}
    return frozenset(imported & known.keys()) - {module.name}


def _module(file: Path, root: Path) -> Module:
    text = file.read_text(encoding="utf-8")
    name = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    return Module(name, file, ast.parse(text), tuple(text.splitlines()))


def _imported_names(node: ast.AST, known: Mapping[str, Module]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.removeprefix(_PREFIX) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        package = node.module.removeprefix(_PREFIX)
        names = {f"{package}.{alias.name}" for alias in node.names}
        yield from names & known.keys()
        if any(name not in known for name in names):
            yield package
