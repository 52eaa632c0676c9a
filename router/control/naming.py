"""From a snapshot of the registry to what names mean, and for how long. Pure."""

from patchbay.core.names import engine_name, revision_name
from patchbay.registry.records import AdapterView, Snapshot
from patchbay.router.fleet.snapshot import Naming


def naming_of(snapshot: Snapshot) -> Naming:
    """What each adapter's bare name means: the revision in `stable`, or nothing where that is empty."""
    return Naming({name: _stable(view) for name, view in snapshot.adapters.items()})


def expiries_of(snapshot: Snapshot) -> dict[tuple[str, str], float]:
    """When revisions that channels mean expire, by adapter and revision: Unix time. Without those that do not."""
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
