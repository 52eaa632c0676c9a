"""The trial of two tokenizers on texts, in a process of its own: a tokenizer's patterns are anybody's code."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.sandbox.bounds import Bounds, Task
from patchbay.adapters.sandbox.process import run

_MIB = 1024**2
_BOUNDS = Bounds(cpu_s=60, memory_bytes=2048 * _MIB, file_bytes=_MIB, timeout_s=120)


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of a trial. `text`: one that the two take apart otherwise, None where there is none.

    `possible`: whether it could be tried at all, which takes the package `tokenizers`.
    """

    text: str | None = None
    possible: bool = True


# What tries the tokenizer in a file against one with the same tokens and other rules.
Try = Callable[[Path, Mapping[str, Any], FolderLimits], Trial]


def tried_apart(path: Path, rules: Mapping[str, Any], limits: FolderLimits) -> Trial:
    """Tries the tokenizer in the file `path` against one with the same tokens and these `rules`. Blocks.

    Raises AdapterError where it cannot be read, TooCostly where that takes too much.
    """
    with tempfile.TemporaryDirectory() as workdir:
        work = {"path": str(path.absolute()), "rules": dict(rules), "limit": limits.tokenizer_bytes}
        return Trial(**run(Task("tokens", work), _BOUNDS, workdir=Path(workdir)))
