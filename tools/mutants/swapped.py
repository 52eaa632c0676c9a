"""Imports of one module that find changed code instead of its file's. The file stays as it is."""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import CodeType, ModuleType


class SwappedLoader(Loader):
    """Runs the code that it was given as a module's."""

    def __init__(self, code: CodeType) -> None:
        self._code = code

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leaves the making of the module to Python (`Loader`)."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Runs the code (`Loader`)."""
        exec(self._code, module.__dict__)  # noqa: S102


class SwappedFinder(MetaPathFinder):
    """Finds `name` with the code that it was given, and no other module."""

    def __init__(self, name: str, code: CodeType) -> None:
        self._name, self._code = name, code

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns where the module is, with a loader of ours (`MetaPathFinder`)."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname == self._name else None
        if spec is not None:
            spec.loader = SwappedLoader(self._code)
        return spec


def swap(name: str, code: CodeType) -> None:
    """Has the next import of the module `name` run `code`."""
    sys.meta_path.insert(0, SwappedFinder(name, code))
