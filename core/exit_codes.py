"""Exit codes of all commands, what they mean, and the end of a command by an error."""

import contextlib
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from patchbay.core.errors import (
    AdapterError,
    AdapterRejected,
    ConfigError,
    Conflict,
    ModelNotFound,
    NotFound,
    PatchbayError,
)

EXIT_CODES: Final[Mapping[int, str]] = MappingProxyType(
    {
        0: "well",
        1: "failed, or what was looked for was found",
        2: "wrong usage, or a configuration that cannot be used",
        3: "an adapter is refused",
        4: "something does not exist",
        5: "a conflict with the present state",
        130: "ended by force (Ctrl-C)",
    }
)

_EXIT_CODES: tuple[tuple[type[PatchbayError], int], ...] = (
    (ConfigError, 2),
    (AdapterError, 3),
    (AdapterRejected, 3),
    (NotFound, 4),
    (ModelNotFound, 4),
    (Conflict, 5),
)


def exit_codes_text() -> str:
    """Returns the sentence by which every command's help ends."""
    return f"Exit codes: {', '.join(f'{code} {meaning}' for code, meaning in EXIT_CODES.items())}."


def fail(error: PatchbayError) -> int:
    """Prints `error` on standard error, if anybody still reads that, and returns its exit code.

    The code is 2 for a fault in the configuration, 3 for an adapter that is refused, 4 for something that does not
    exist, 5 for a conflict with the present state, else 1.
    """
    with contextlib.suppress(OSError):
        print(f"error: {error}", file=sys.stderr, flush=True)  # noqa: T201
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 1)
