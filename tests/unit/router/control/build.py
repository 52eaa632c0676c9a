"""Short ways to write what the control loop decides on."""

from datetime import UTC, datetime, timedelta

from patchbay.core.names import engine_name
from patchbay.core.replica import (
    BaseModelStatus,
    ReplicaStatus,
    RequestStatus,
    RevisionState,
    RevisionStatus,
    SlotStatus,
)
from patchbay.registry.records import (
    AdapterSettings,
    AdapterView,
    Channel,
    ChannelRecord,
    Move,
    Placement,
    RevisionBrief,
    Rollout,
    Snapshot,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
BASE = "f" * 64


def at(seconds: float) -> datetime:
    """`seconds` after the start of all tests."""
    return START + timedelta(seconds=seconds)


def digest(adapter: str, number: int) -> str:
    """A digest that no other revision has."""
    return (adapter.encode().hex() + f"{number:04d}" + "0" * 64)[:64]


def name(adapter: str, number: int) -> str:
    """What the engine calls a revision."""
    return engine_name(adapter, number, digest(adapter, number))


def view(  # noqa: PLR0913 - a view has that many sides
    adapter: str,
    stable: int | None,
    *,
    previous: int | None = None,
    changed_s: float = -10_000,
    canary: int | None = None,
    revisions: int = 5,
    base: str | None = BASE,
    settings: AdapterSettings | None = None,
) -> AdapterView:
    """An adapter with revisions 1 to `revisions`."""
    channels: dict[Channel, ChannelRecord] = {
        "stable": ChannelRecord(
            adapter=adapter, channel="stable", number=stable, previous=previous, version=1, changed_at=at(changed_s)
        )
    }
    if canary is not None:
        channels["canary"] = ChannelRecord(
            adapter=adapter, channel="canary", number=canary, previous=None, version=1, changed_at=at(changed_s)
        )
    briefs = {number: RevisionBrief(number, digest(adapter, number), base) for number in range(1, revisions + 1)}
    return AdapterView(adapter, settings or AdapterSettings(), channels, briefs)


def snapshot(*views: AdapterView, rollouts: tuple[Rollout, ...] = (), recent: tuple[Move, ...] = ()) -> Snapshot:
    """A snapshot of these adapters."""
    return Snapshot(generation=1, adapters={one.name: one for one in views}, rollouts=rollouts, recent=recent)


def rollout(adapter: str, number: int, *, kind: str = "promote", created_s: float = 0) -> Rollout:
    """A rollout to `stable`."""
    moment = at(created_s)
    return Rollout(
        id=7,
        adapter=adapter,
        channel="stable",
        number=number,
        expected=None,
        state="pending",
        reason=None,
        actor="me",
        why=None,
        created_at=moment,
        updated_at=moment,
        kind="rollback" if kind == "rollback" else "promote",
    )


def move(adapter: str, before: int, after: int, *, at_s: float) -> Move:
    """A promotion."""
    return Move(
        id=1,
        adapter=adapter,
        channel="stable",
        kind="promote",
        before=before,
        after=after,
        actor="me",
        why=None,
        at=at(at_s),
    )


def here(adapter: str, number: int, state: RevisionState = "resident", *, pin: bool = False) -> RevisionStatus:
    """A revision as a replica reports it."""
    return RevisionStatus(
        adapter=adapter,
        number=number,
        digest=digest(adapter, number),
        engine_name=name(adapter, number),
        state=state,
        tier="slot" if state == "resident" else "disk",
        references=0,
        reason="it is broken" if state == "failed" else None,
        pin=pin,
    )


def status(*revisions: RevisionStatus, cpu: int = 8, base: str | None = BASE) -> ReplicaStatus:
    """A replica's status."""
    return ReplicaStatus(
        replica="r",
        phase="ready",
        base=BaseModelStatus(name="base", source="hub/base", quantization=None, max_model_len=64, fingerprint=base),
        tasks=("generate",),
        revisions=revisions,
        slots=SlotStatus(slots=4, slots_used=0, cpu=cpu, cpu_used=0),
        requests=RequestStatus(running=0, waiting=0, kv_cache_use=0),
    )


def placed(replica: str, state: str, adapter: str = "sql", number: int = 2, reason: str | None = None) -> Placement:
    """How a revision stands on a replica."""
    return Placement(replica=replica, adapter=adapter, number=number, state=state, reason=reason)  # type: ignore[arg-type]
