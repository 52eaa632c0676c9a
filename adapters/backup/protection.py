"""The protection in a registry (keys, disabled tenants, limits), and the part of it that a restore would lose. Pure,
but for reading."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchbay.core.errors import RegistryError

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Protection:
    """The protection that a registry gives.

    `ends`: by key's id, the time at which it ends or was ended, None where it does not; `disabled`: names of tenants;
    `limits`: each tenant's own.
    """

    ends: Mapping[str, str | None]
    disabled: frozenset[str]
    limits: Mapping[str, Mapping[str, float]]


def protection_in(file: Path, *, alone: bool) -> Protection:
    """Reads the protection in the registry `file`. Raises RegistryError where it cannot be read.

    `alone`: whether no process writes to the file.
    """
    uri = f"{file.absolute().as_uri()}?{'immutable=1' if alone else 'mode=ro'}"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=15)) as reader:
            keys = _rows(reader, "SELECT id, coalesce(revoked_at, expires_at) FROM keys")
            tenants = _rows(reader, "SELECT name, disabled, limits FROM tenants")
    except sqlite3.Error as error:
        raise RegistryError(f"Cannot read the registry {file}: {error}.") from error
    limits = {name: dict(json.loads(document)) for name, _, document in tenants}
    return Protection(dict(keys), frozenset(name for name, disabled, _ in tenants if disabled), limits)


def losses(now: Protection | None, then: Protection) -> Iterator[str]:
    """Yields messages about protection that `now` gives and that of the backup, `then`, does not.

    `now`: None where it is unknown.
    """
    if not then.ends and (now is None or now.ends):
        had = f"the registry has {len(now.ends)}" if now else "it is unknown whether the lost registry had any"
        yield f"it has no keys, and {had}, so anyone who reaches a router on loopback could use it"
    if now is None:
        return
    again = sorted(key for key, end in now.ends.items() if end and key in then.ends and _later(then.ends[key], end))
    if again:
        yield f"keys that were ended since are valid again ({_some(again)})"
    if enabled := sorted(name for name in now.disabled - then.disabled if name in then.limits):
        yield f"tenants that were disabled since are enabled again ({_some(enabled)})"
    looser = sorted(name for name in then.limits if _is_looser(then.limits[name], now.limits.get(name, {})))
    if looser:
        yield f"tenants' own limits that were set since are gone or higher ({_some(looser)})"


def _later(then: str | None, now: str) -> bool:
    return then is None or then > now


def _is_looser(then: Mapping[str, float], now: Mapping[str, float]) -> bool:
    return any(name not in then or then[name] > limit for name, limit in now.items())


def _rows(reader: sqlite3.Connection, query: str) -> list[tuple[Any, ...]]:
    """Reads the rows of a query, none where the registry is older than their table."""
    table = query.rpartition(" ")[2]
    known = reader.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
    return reader.execute(query).fetchall() if known else []


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return f"{', '.join(names[:_MOST_NAMED])}{f' and {more} more' if more > 0 else ''}"
