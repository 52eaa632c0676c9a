"""What a registry protects by, and what of it a restore would give up. Pure, but for reading."""

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
    """Who may ask, by a registry. `ends`: by key's id, when it ends or was ended, None where it does not; `disabled`:
    tenants; `limits`: each tenant's own."""

    ends: Mapping[str, str | None]
    disabled: frozenset[str]
    limits: Mapping[str, Mapping[str, float]]


def protection_in(file: Path, *, alone: bool) -> Protection:
    """What the registry in `file` protects by. `alone`: nobody writes to it. Raises RegistryError where it cannot be
    read."""
    uri = f"{file.absolute().as_uri()}?{'immutable=1' if alone else 'mode=ro'}"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=15)) as reader:
            keys = _rows(reader, "SELECT id, coalesce(revoked_at, expires_at) FROM keys")
            tenants = _rows(reader, "SELECT name, disabled, limits FROM tenants")
    except sqlite3.Error as error:
        raise RegistryError(f"The registry {file} cannot be read: {error}.") from error
    limits = {name: dict(json.loads(document)) for name, _, document in tenants}
    return Protection(dict(keys), frozenset(name for name, disabled, _ in tenants if disabled), limits)


def losses(now: Protection | None, then: Protection) -> Iterator[str]:
    """What protects `now` (None: nobody can tell) and does not any more with the backup's, `then`, in words."""
    if not then.ends and (now is None or now.ends):
        had = f"the registry has {len(now.ends)}" if now else "nobody can tell whether the lost registry had any"
        yield f"there are no keys in it, and {had}, so whoever reaches a router on loopback may ask"
    if now is None:
        return
    again = sorted(key for key, end in now.ends.items() if end and key in then.ends and _later(then.ends[key], end))
    if again:
        yield f"keys that were ended since open again ({_some(again)})"
    if enabled := sorted(name for name in now.disabled - then.disabled if name in then.limits):
        yield f"tenants that were disabled since are not ({_some(enabled)})"
    looser = sorted(name for name in then.limits if _is_looser(then.limits[name], now.limits.get(name, {})))
    if looser:
        yield f"tenants' own limits that were set since are gone or higher ({_some(looser)})"


def _later(then: str | None, now: str) -> bool:
    return then is None or then > now


def _is_looser(then: Mapping[str, float], now: Mapping[str, float]) -> bool:
    return any(name not in then or then[name] > limit for name, limit in now.items())


def _rows(reader: sqlite3.Connection, query: str) -> list[tuple[Any, ...]]:
    """The rows, none where the registry is older than their table."""
    table = query.rpartition(" ")[2]
    known = reader.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
    return reader.execute(query).fetchall() if known else []


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return f"{', '.join(names[:_MOST_NAMED])}{f' and {more} more' if more > 0 else ''}"
