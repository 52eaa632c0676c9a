"""The trials of an adapter's tokenizer and chat template beside the base's, each in a process of its own: patterns and
templates are anybody's code."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.sandbox.bounds import Bounds, Task
from patchbay.adapters.sandbox.process import run

_MIB = 1024**2
_BOUNDS = Bounds(cpu_s=60, memory_bytes=2048 * _MIB, file_bytes=_MIB, timeout_s=120)


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of a trial. `text`: one that the two read otherwise, None where there is none.

    `possible`: whether it could be tried at all, which takes the package `tokenizers`, or `jinja2`.
    """

    text: str | None = None
    possible: bool = True


@dataclass(frozen=True, slots=True)
class Trials:
    """The ways to try. `tokens`: tries the tokenizer in a file against one with the same tokens and other rules;
    `templates`: tries an adapter's chat template against the base's, with the names and texts of special tokens. Both
    raise AdapterError and TooCostly."""

    tokens: Callable[[Path, Mapping[str, Any], FolderLimits], Trial]
    templates: Callable[[str, str, Mapping[str, str]], Trial]


def _tokens_apart(path: Path, rules: Mapping[str, Any], limits: FolderLimits) -> Trial:
    return _apart(Task("tokens", {"path": str(path.absolute()), "rules": dict(rules), "limit": limits.tokenizer_bytes}))


def _templates_apart(own: str, base: str, special: Mapping[str, str]) -> Trial:
    return _apart(Task("templates", {"own": own, "base": base, "special": dict(special)}))


def _apart(task: Task) -> Trial:
    with tempfile.TemporaryDirectory() as workdir:
        return Trial(**run(task, _BOUNDS, workdir=Path(workdir)))


# In processes of their own. They block.
APART: Final = Trials(tokens=_tokens_apart, templates=_templates_apart)
