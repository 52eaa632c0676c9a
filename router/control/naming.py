"""The meaning of adapters' names, and when it expires, from a snapshot of the registry. Pure."""

from patchbay.core.names import engine_name, revision_name
from patchbay.registry.records import AdapterView, Snapshot
from patchbay.router.fleet.snapshot import Naming


def naming_of(snapshot: Snapshot) -> Naming:
    """Returns the meaning of each adapter's bare name: the revision in `stable`, or nothing where that is empty."""
    return Naming({name: _stable(view) for name, view in snapshot.adapters.items()})


def expiries_of(snapshot: Snapshot) -> dict[tuple[str, str], float]:
    """Returns when the revisions in channels expire: Unix time, by adapter and revision. Those that never do are left
    out."""
    found: dict[tuple[str, str], float] = {}
    for view in snapshot.adapters.values():
        for channel in view.channels.values():
            brief = view.revisions.get(channel.number) if channel.number is not None else None
            if brief is not None and brief.expires is not None:
                found[view.name, revision_name(view.name, brief.number)] = brief.expires.timestamp()
    return found


def _stable(view: AdapterView) -> str | None:
    number = view.number("stable")
    brief = view.revisions.get(number) if number is not None else None
    return engine_name(view.name, brief.number, brief.digest) if brief else None
