"""From a client's model name to the exact revision, and to the replicas that have it. Pure.

`sql` means the revision in its channel `stable`, for an adapter that the registry knows; for any other the highest that
a ready replica has. `sql@3` and `sql@3-1a2b3c4d5e6f` mean that one.
Revisions that are being drained are not found. Failed ones are: their replica says best what is wrong with them.
A name that only replicas know which are not ready now still has a target, so that "try again" and "there is no such
model" stay two answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from patchbay.core.errors import ModelNotFound, Unavailable
from patchbay.core.names import revision_name
from patchbay.core.replica import RevisionState
from patchbay.router.fleet.snapshot import Catalog, HeldRevision, Naming, Replica, Target

Table = Mapping[str, Target]

_ECHO_LIMIT = 200
_NO_NAMES = Naming()
_SERVED: frozenset[RevisionState] = frozenset(("declared", "loading", "resident"))


@dataclass(slots=True)
class _Model:
    """One model, and where it is. `number`: the revision's, 0 for what is no adapter; `failed`: replicas on which it
    failed."""

    label: str
    engine_name: str
    number: int
    digest: str
    good: list[str]
    failed: list[str]

    @property
    def target(self) -> Target:
        """Replicas on which it failed count only where it failed on all of them."""
        replicas = tuple(self.good or self.failed)
        if not self.number:
            return Target(self.label, self.engine_name, None, replicas, "base", self.digest)
        revision = revision_name(self.label, self.number)
        return Target(self.label, self.engine_name, revision, replicas, "pinned", self.digest)


def build_table(replicas: Sequence[Replica], naming: Naming = _NO_NAMES) -> Table:
    """Every model name that means something now. What ready replicas say goes before what the others said, and what the
    registry says of adapters' bare names before both."""
    ready = [replica for replica in replicas if replica.state == "ready"]
    others = [replica for replica in replicas if replica.state != "ready"]
    names = {**_names(others), **_names(ready)}
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


def alike(one: Catalog | None, other: Catalog | None) -> bool:
    """Whether names mean the same by both: a revision that is loaded, or has given up its slot, is still served."""
    if one is None or other is None:
        return one is other
    return (
        len(one.revisions) == len(other.revisions)
        and all(_is_served_alike(each, its) for each, its in zip(one.revisions, other.revisions, strict=True))
        and replace(one, revisions=()) == replace(other, revisions=())
    )


def _is_served_alike(one: HeldRevision, other: HeldRevision) -> bool:
    same = one.engine_name == other.engine_name and one.digest == other.digest and one.number == other.number
    return same and one.adapter == other.adapter and (one.state == other.state or {one.state, other.state} <= _SERVED)


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
    models: dict[str, _Model] = {}
    for replica in replicas:
        if replica.catalog is not None:
            _note(models, replica.name, replica.catalog)
    names: dict[str, Target] = {}
    bases: dict[str, Target] = {}
    for model in sorted(models.values(), key=lambda model: model.number, reverse=True):
        target = model.target
        names.setdefault(target.label, replace(target, arm="stable"))
        names.setdefault(target.revision or target.label, target)
        names.setdefault(target.engine_name, target)
        if not model.number:
            bases[target.label] = target
    return names | bases


def _note(models: dict[str, _Model], replica: str, catalog: Catalog) -> None:
    """Adds what one replica serves. A fleet's replicas have hundreds of revisions each, so each costs little here."""
    if catalog.base is not None:
        _one(models, catalog.base, catalog.fingerprint or "").good.append(replica)
    for listed in catalog.models:
        _one(models, listed.id, "").good.append(replica)
    for revision in catalog.revisions:
        if revision.state == "draining":
            continue
        name = revision.engine_name
        model = models.get(name)
        if model is None:
            model = models[name] = _Model(revision.adapter, name, revision.number, revision.digest, [], [])
        (model.failed if revision.state == "failed" else model.good).append(replica)


def _one(models: dict[str, _Model], name: str, digest: str) -> _Model:
    return models.setdefault(name, _Model(name, name, 0, digest, [], []))
