"""From a client's model name to the exact revision, and to the replicas that have it. Pure.

`sql` means the revision in its channel `stable`, for an adapter that the registry knows; for any other the highest that
a ready replica has. `sql@3` and `sql@3-1a2b3c4d5e6f` mean that one.
Revisions that are being drained are not found. Failed ones are: their replica says best what is wrong with them.
A name that only replicas know which are not ready now still has a target, so that "try again" and "there is no such
model" stay two answers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from adapters.errors import ModelNotFound, Unavailable
from adapters.names import revision_name
from adapters.replica import RevisionState
from router.snapshot import Naming, Replica, Target

Table = Mapping[str, Target]

_ECHO_LIMIT = 200
_NO_NAMES = Naming()
_SERVED: tuple[RevisionState, ...] = ("declared", "loading", "resident")


@dataclass(frozen=True, slots=True)
class _Offer:
    """One replica serves one model. `number`: the revision's, 0 for what is no adapter."""

    label: str
    engine_name: str
    number: int
    replica: str
    failed: bool = False
    digest: str = ""

    @property
    def revision(self) -> str | None:
        return revision_name(self.label, self.number) if self.number else None


def build_table(replicas: Sequence[Replica], naming: Naming = _NO_NAMES) -> Table:
    """Every model name that means something now. What ready replicas say goes before what the others said, and what the
    registry says of adapters' bare names before both."""
    ready = [replica for replica in replicas if replica.state == "ready"]
    names = {**_names(replicas), **_names(ready)}
    bases = {replica.catalog.base for replica in replicas if replica.catalog is not None}
    for adapter, engine_name in naming.stable.items():
        if adapter not in bases:
            names.pop(adapter, None)
            if engine_name is not None:
                names[adapter] = replace(names.get(engine_name) or _absent(adapter, engine_name), arm="stable")
    return names


def settled_naming(wished: Naming, shown: Naming, replicas: Iterable[Replica]) -> Naming:
    """What names mean while routers learn of a change: what is `wished`, but for each name that goes from a revision
    that a ready replica is known to have to one that none is known to have yet, as `shown`.

    The registry and the replicas are looked at apart, so the news of a move may come before that of its revision.
    """
    catalogs = [replica.catalog for replica in replicas if replica.state == "ready" and replica.catalog is not None]
    here = {one.engine_name for catalog in catalogs for one in catalog.revisions if one.state in _SERVED}
    late = {
        adapter: before
        for adapter, engine_name in wished.stable.items()
        if engine_name is not None and engine_name not in here and (before := shown.stable.get(adapter)) in here
    }
    return Naming({**wished.stable, **late}) if late else wished


def resolve(model: str, table: Table, replicas: Iterable[Replica]) -> Target:
    """The target that `model` names.

    Raises ModelNotFound, or Unavailable as long as no replica at all has told what it serves.
    """
    target = table.get(model)
    if target is not None:
        return target
    if all(replica.catalog is None for replica in replicas):
        raise Unavailable("No replica is ready yet.")
    raise ModelNotFound(model[:_ECHO_LIMIT])


def _absent(adapter: str, engine_name: str) -> Target:
    """The target of a revision that no replica has: it exists, so that it can only be asked to try again."""
    return Target(adapter, engine_name, engine_name.rpartition("-")[0], (), "pinned")


def _names(replicas: Iterable[Replica]) -> dict[str, Target]:
    offers = [offer for replica in replicas for offer in _offers(replica)]
    targets = _targets(offers)
    names: dict[str, Target] = {}
    for offer in sorted(offers, key=lambda offer: offer.number, reverse=True):
        target = targets[offer.engine_name]
        names.setdefault(offer.label, replace(target, arm="stable"))
        names.setdefault(offer.revision or offer.label, target)
        names.setdefault(offer.engine_name, target)
    bases = (offer for offer in offers if not offer.number)
    return names | {offer.label: targets[offer.engine_name] for offer in bases}


def _targets(offers: Iterable[_Offer]) -> dict[str, Target]:
    """By engine name. Replicas on which the revision failed count only where it failed on all of them."""
    by_name: dict[str, list[_Offer]] = {}
    for offer in offers:
        by_name.setdefault(offer.engine_name, []).append(offer)
    return {name: _target(same) for name, same in by_name.items()}


def _target(same: Sequence[_Offer]) -> Target:
    good = [offer.replica for offer in same if not offer.failed]
    first = same[0]
    replicas = tuple(good or [offer.replica for offer in same])
    arm = "pinned" if first.number else "base"
    return Target(first.label, first.engine_name, first.revision, replicas, arm, first.digest)


def _offers(replica: Replica) -> Iterator[_Offer]:
    catalog = replica.catalog
    if catalog is None:
        return
    if catalog.base is not None:
        yield _Offer(catalog.base, catalog.base, 0, replica.name, digest=catalog.fingerprint or "")
    for model in catalog.models:
        yield _Offer(model.id, model.id, 0, replica.name)
    for revision in catalog.revisions:
        if revision.state != "draining":
            failed = revision.state == "failed"
            number, digest = revision.number, revision.digest
            yield _Offer(revision.adapter, revision.engine_name, number, replica.name, failed, digest)
