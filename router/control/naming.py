"""From a snapshot of the registry to what names mean. Pure."""

from adapters.names import engine_name
from adapters.registry.records import AdapterView, Snapshot
from router.snapshot import Naming


def naming_of(snapshot: Snapshot) -> Naming:
    """What each adapter's bare name means: the revision in `stable`, or nothing where that is empty."""
    return Naming({name: _stable(view) for name, view in snapshot.adapters.items()})


def _stable(view: AdapterView) -> str | None:
    number = view.number("stable")
    brief = view.revisions.get(number) if number is not None else None
    return engine_name(view.name, brief.number, brief.digest) if brief else None
