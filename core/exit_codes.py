"""Exit codes of all commands, and what they mean."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

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


def exit_codes_text() -> str:
    """Returns the sentence by which every command's help ends."""
    return f"Exit codes: {', '.join(f'{code} {meaning}' for code, meaning in EXIT_CODES.items())}."
