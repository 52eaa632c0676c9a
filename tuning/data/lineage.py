"""The walk from a revision back to the rows that taught it: its data set, and what that was made from.

A step that is not of data, such as the run that trained the revision, is told by a `StepFinder`, of which others bring
their own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from types import MappingProxyType
from typing import Final

from patchbay.adapters.lineage import link_data
from patchbay.core.errors import NotFound
from patchbay.registry.dataset_records import DatasetRecord
from patchbay.registry.records import Revision
from patchbay.registry.registry import Registry
from patchbay.tuning.data.rows import Row
from patchbay.tuning.data.store import DataSets

# A data set is made from others, those from others, and so on; more steps than these are no history but a fault.
_MOST_STEPS: Final = 200
_NO_FACTS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageStep:
    """One step back. `kind`: `revision`, `run`, `data`, or another's; `name`: of what it is, `tickets@3`; `made_from`:
    the names of the steps before it; `facts`: what is known, by name; `warning`: where the walk cannot go on."""

    kind: str
    name: str
    made_from: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=lambda: _NO_FACTS)
    warning: str | None = None


StepFinder = Callable[[Revision], Sequence[LineageStep]]


def walk_back(registry: Registry, revision: Revision, finders: Sequence[StepFinder] = ()) -> Iterator[LineageStep]:
    """Yields the steps from a revision to where its rows came from, the nearest first, each data set once.

    `finders`: find further steps of a revision, such as its run. Raises RegistryError.
    """
    provenance = revision.draft.provenance
    link = link_data(registry, provenance.data_hash)
    facts = {
        "digest": revision.draft.digest,
        "made": f"{revision.created_at:%Y-%m-%d %H:%M} by {revision.created_by}",
        "source": provenance.source or "",
        "commit": provenance.commit or "",
        "data_hash": provenance.data_hash or "",
    }
    made_from = (link.record.name,) if link.record is not None else ()
    warning = None if link.record is not None else link.warning or _no_data(provenance.data_hash)
    yield LineageStep(kind="revision", name=revision.name, made_from=made_from, facts=_said(facts), warning=warning)
    for finder in finders:
        yield from finder(revision)
    if link.record is not None:
        yield from walk_data(registry, link.record)


def walk_data(registry: Registry, record: DatasetRecord) -> Iterator[LineageStep]:
    """Yields a data set and all that it was made from, the nearest first. Raises RegistryError."""
    waiting, seen = [record.name], set[str]()
    while waiting and len(seen) < _MOST_STEPS:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        try:
            found = registry.datasets.resolve(name)
        except NotFound:
            yield LineageStep(kind="data", name=name, warning="the registry does not have it")
            continue
        waiting += found.draft.parents
        yield _data_step(found)


def _data_step(record: DatasetRecord) -> LineageStep:
    draft = record.draft
    facts = {
        "digest": draft.digest,
        "rows": ", ".join(f"{split.name} {split.rows}" for split in draft.splits),
        "command": draft.command,
        "source": draft.source or "",
        "licence": draft.licence or "",
        "consent": draft.consent or "",
        "made": f"{record.created_at:%Y-%m-%d %H:%M} by {record.created_by}",
        **draft.notes,
    }
    retired = "it is retired: its rows may be gone" if record.retired_at is not None else None
    return LineageStep(kind="data", name=record.name, made_from=draft.parents, facts=_said(facts), warning=retired)


def sampled(
    data: DataSets, record: DatasetRecord, count: int, seed: int, split: str | None = None
) -> list[tuple[str, Row]]:
    """Draws `count` rows evenly from a data set, or one of its splits, in their order; the same seed draws the same.
    Source: reservoir sampling, Vitter, 1985 (algorithm R)."""
    dice = Random(seed)  # noqa: S311 - a sample, no secret
    lines = enumerate(data.lines(record, split))
    drawn = list(islice(lines, count))
    for at, line in lines:
        place = dice.randrange(at + 1)
        if place < count:
            drawn[place] = (at, line)
    from patchbay.tuning.data.rows import read_row

    return [(name, read_row(line)) for _, (name, line) in sorted(drawn)]


def _no_data(data_hash: str | None) -> str:
    if data_hash is None:
        return "it says nothing of its data (data_hash in patchbay-adapter.yaml)"
    return f"its data_hash is no digest of a data set here: {data_hash[:80]}"


def _said(facts: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in facts.items() if value}
