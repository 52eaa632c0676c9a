"""Short ways to write snapshots."""

from patchbay.core.replica import RevisionState
from patchbay.router.fleet.snapshot import Catalog, HeldRevision, ListedModel, Replica, ReplicaState


def rev(reference: str, state: RevisionState = "resident", digest: str = "a" * 12) -> HeldRevision:
    """`sql@3` as a revision."""
    adapter, _, number = reference.partition("@")
    return HeldRevision(adapter=adapter, number=int(number), engine_name=f"{reference}-{digest}", state=state)


def ours(
    name: str, *revisions: HeldRevision, state: ReplicaState = "ready", base: str = "base", load: int = 0
) -> Replica:
    """One of our replicas."""
    return Replica(
        name=name,
        url=f"http://{name}",
        state=state,
        reason=None,
        catalog=Catalog(base=base, source="hub/base", revisions=revisions),
        load=load,
    )


def plain(name: str, *models: str, state: ReplicaState = "ready") -> Replica:
    """A plain OpenAI server that lists `models`."""
    return Replica(
        name=name,
        url=f"http://{name}",
        state=state,
        reason=None,
        catalog=Catalog(models=tuple(ListedModel(id=m, created=7) for m in models)),
    )
