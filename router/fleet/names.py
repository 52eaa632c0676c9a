"""Name resolution: from a client's model name to the exact revision and the replicas that have it. Pure.

`sql` means the revision in its channel `stable`, for an adapter that the registry knows; for any other the highest
revision that a ready replica has. `sql@3` and `sql@3-1a2b3c4d5e6f` mean exactly that one.

Revisions that are being drained are not found. Failed ones are, since their replica says best what is wrong with them.
One that a replica still fetches has a target without that replica.
A name that only unready replicas know still has a target, so that "try again" and "there is no such model" stay two
answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from patchbay.core.errors import ModelNotFound, Unavailable
from patchbay.core.names import revision_name
from patchbay.core.replica import RevisionState
from patchbay.router.fleet.snapshot import Catalog, HeldRevision, Naming, Replica, Target

Table = Mapping[str, Target]

_ECHO_LIMIT = 200
_NO_NAMES = Naming()
SERVED: Final[frozenset[RevisionState]] = frozenset(("declared", "loading", "resident"))


@dataclass(slots=True, kw_only=True)
class _Model:
    """Model and the replicas that have it. `number`: the revision's, 0 for what is no adapter; `good`: replicas that
    can serve it; `failed`: replicas on which it failed."""

    label: str
    engine_name: str
    number: int
    digest: str
    good: list[str]
    failed: list[str]

    @property
    def target(self) -> Target:
        """The target that this model makes. Replicas on which it failed count only where it failed on all."""
        replicas = tuple(self.good or self.failed)
        if not self.number:
            return Target(
                label=self.label,
                engine_name=self.engine_name,
                revision=None,
                replicas=replicas,
                arm="base",
                digest=self.digest,
            )
        revision = revision_name(self.label, self.number)
        return Target(
            label=self.label,
            engine_name=self.engine_name,
            revision=revision,
            replicas=replicas,
            arm="pinned",
            digest=self.digest,
        )


def build_table(replicas: Sequence[Replica], naming: Naming = _NO_NAMES) -> Table:
    """Builds the table of all model names that mean something now.

    Ready replicas take precedence over unready ones, and the registry's `naming` of adapters' bare names over both.
    """
    ready = [replica for replica in replicas if replica.state == "ready"]
    unready = [replica for replica in replicas if replica.state != "ready"]
    names = {**_names(unready), **_names(ready)}
    bases = {replica.catalog.base for replica in replicas if replica.catalog is not None}
    for adapter, engine_name in naming.stable.items():
        if adapter not in bases:
            names.pop(adapter, None)
            if engine_name is not None:
                names[adapter] = replace(names.get(engine_name) or _absent(adapter, engine_name), arm="stable")
    return names


def settled_naming(desired: Naming, current: Naming, replicas: Iterable[Replica]) -> Naming:
    """Returns what names mean while the router learns of a change.

    That is the `desired` naming. But a name keeps its `current` meaning as long as a ready replica is known to have the
    old revision and none is known to have the new one. The registry and the replicas are polled independently, so the
    news of a move may come before the news of its revision.
    """
    catalogs = [replica.catalog for replica in replicas if replica.state == "ready" and replica.catalog is not None]
    served = {
        revision.engine_name for catalog in catalogs for revision in catalog.revisions if revision.state in SERVED
    }
    kept = {
        adapter: before
        for adapter, engine_name in desired.stable.items()
        if engine_name is not None and engine_name not in served and (before := current.stable.get(adapter)) in served
    }
    return Naming({**desired.stable, **kept}) if kept else desired


def alike(first: Catalog | None, second: Catalog | None) -> bool:
    """Whether names mean the same by both catalogs. A revision that is being loaded, or that gave up its slot, is
    served all the same."""
    if first is None or second is None:
        return first is second
    return (
        len(first.revisions) == len(second.revisions)
        and all(_is_served_alike(a, b) for a, b in zip(first.revisions, second.revisions, strict=True))
        and replace(first, revisions=()) == replace(second, revisions=())
    )


def _is_served_alike(first: HeldRevision, second: HeldRevision) -> bool:
    same = first.engine_name == second.engine_name and first.digest == second.digest and first.number == second.number
    return (
        same
        and first.adapter == second.adapter
        and (first.state == second.state or {first.state, second.state} <= SERVED)
    )


def resolve(model: str, table: Table, replicas: Iterable[Replica]) -> Target:
    """Returns the target that `model` names.

    Raises ModelNotFound, or Unavailable as long as it is unknown what any replica serves.
    """
    target = table.get(model)
    if target is not None:
        return target
    if all(replica.catalog is None for replica in replicas):
        raise Unavailable("No replica is ready yet.")
    raise ModelNotFound(model[:_ECHO_LIMIT])


def _absent(adapter: str, engine_name: str) -> Target:
    """Makes the target of a revision that no replica has. It exists, so clients are asked to try again."""
    return Target(
        label=adapter, engine_name=engine_name, revision=engine_name.rpartition("-")[0], replicas=(), arm="pinned"
    )


def _names(replicas: Iterable[Replica]) -> dict[str, Target]:
    models: dict[str, _Model] = {}
    for replica in replicas:
        if replica.catalog is not None:
            _add(models, replica.name, replica.catalog)
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


def _add(models: dict[str, _Model], replica: str, catalog: Catalog) -> None:
    """Adds what one replica serves. Kept cheap: each replica of a fleet may have hundreds of revisions."""
    if catalog.base is not None:
        _plain_model(models, catalog.base, catalog.fingerprint or "").good.append(replica)
    for listed in catalog.models:
        _plain_model(models, listed.id, "").good.append(replica)
    for revision in catalog.revisions:
        if revision.state == "draining":
            continue
        name = revision.engine_name
        model = models.get(name)
        if model is None:
            model = models[name] = _Model(
                label=revision.adapter,
                engine_name=name,
                number=revision.number,
                digest=revision.digest,
                good=[],
                failed=[],
            )
        # What a replica still fetches it answers with 503. Its name is known all the same, so requests wait for it.
        if revision.state in SERVED:
            model.good.append(replica)
        elif revision.state == "failed":
            model.failed.append(replica)


def _plain_model(models: dict[str, _Model], name: str, digest: str) -> _Model:
    return models.setdefault(name, _Model(label=name, engine_name=name, number=0, digest=digest, good=[], failed=[]))
