"""The trial of two tokenizers on a text, in a process of its own: a tokenizer's patterns are anybody's code."""

import importlib.util
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.sandbox.bounds import Bounds, Task
from patchbay.adapters.sandbox.process import run

_MIB = 1024**2
_BOUNDS = Bounds(cpu_s=60, memory_bytes=2048 * _MIB, file_bytes=_MIB, timeout_s=120)
_ENVIRONMENT = {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}


def differing_text(path: Path, rules: Mapping[str, Any], limits: FolderLimits) -> tuple[str | None, bool]:
    """Finds a text that the tokenizer in the file `path` takes apart otherwise than one with the same tokens and these
    `rules`. Blocks.

    Returns the text, None where there is none, and whether it could be tried at all, which takes the package
    `tokenizers`. Raises AdapterError where the tokenizer cannot be read, TooCostly where that takes too much.
    """
    if importlib.util.find_spec("tokenizers") is None:
        return None, False
    with tempfile.TemporaryDirectory() as workdir:
        work = {"path": str(path.absolute()), "rules": dict(rules), "limit": limits.tokenizer_bytes}
        found = run(Task("tokens", work, _ENVIRONMENT), _BOUNDS, workdir=Path(workdir))
    return (found if isinstance(found, str) else None), True
