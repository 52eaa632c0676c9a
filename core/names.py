"""The names of adapters and of their revisions.

Clients use `sql` (an adapter) or `sql@3` (a revision of it). The engine knows a revision by a third form,
`sql@3-1a2b3c4d5e6f`, with the first 12 digits of its digest, so that no other bytes ever have that name.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from patchbay.core.errors import AdapterError
from patchbay.core.nearest import nearest

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_NAME = re.compile(NAME_PATTERN)
_MOST_NAMED = 8
_REFERENCE = re.compile(rf"(?P<name>{NAME_PATTERN})(?:@(?P<number>[1-9][0-9]{{0,8}})(?:-(?P<digest>[0-9a-f]{{12}}))?)?")


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed model name: an adapter, maybe a revision's number, maybe the first 12 digits of a digest."""

    name: str
    number: int | None = None
    digest: str | None = None


def check_name(name: str) -> str:
    """Returns `name` where it is valid for an adapter: no slash, no `@`, at most 63 characters. Raises AdapterError."""
    if not _NAME.fullmatch(name):
        raise AdapterError(
            f"'{name}' is no adapter name.",
            hint="Use letters, digits, '.', '_' and '-', beginning with a letter or a digit, at most 63 of them.",
        )
    return name


def parse_reference(model: str) -> Reference | None:
    """Parses a model name, or returns None where it cannot be an adapter's."""
    match = _REFERENCE.fullmatch(model)
    if match is None:
        return None
    number = match["number"]
    return Reference(match["name"], int(number) if number else None, match["digest"])


def meant(name: str, known: Collection[str]) -> str:
    """Returns the end of a message about an unknown `name`: the nearest of the `known` names, or all."""
    near = nearest(name, known)
    listed = sorted(known)
    more = f" and {len(listed) - _MOST_NAMED} more" if len(listed) > _MOST_NAMED else ""
    return f"did you mean '{near}'?" if near else f"there are: {', '.join(listed[:_MOST_NAMED]) or 'none'}{more}"


def revision_name(name: str, number: int) -> str:
    """Returns the name by which clients ask for revision `number` of the adapter `name`: `sql@3`."""
    return f"{name}@{number}"


def engine_name(name: str, number: int, digest: str) -> str:
    """Returns the engine's name of a revision: `sql@3-1a2b3c4d5e6f`. `digest`: SHA-256 in hex."""
    return f"{name}@{number}-{digest[:12]}"
