"""What the registry holds, as frozen values. Times are aware UTC datetimes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from patchbay.core.names import engine_name, revision_name
from patchbay.core.replica import RevisionState
from patchbay.core.tenancy import Limits
from patchbay.registry.canary_records import CanaryRecord

Channel = Literal["stable", "canary"]
CHANNELS: tuple[Channel, ...] = ("stable", "canary")
MoveKind = Literal["promote", "rollback", "clear"]
RolloutState = Literal["pending", "staging", "testing", "done", "failed", "superseded"]
UNFINISHED: tuple[RolloutState, ...] = ("pending", "staging", "testing")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of a revision: its POSIX name in the folder, its SHA-256 in hex, its size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class GoldenPrompt:
    """A prompt that a revision must answer before it serves. `messages`: as OpenAI's chat has them. `expect`: the
    whole answer; `contains`: a part of it; `differs_from_base`: whether the base must answer something else."""

    messages: tuple[Mapping[str, str], ...]
    max_tokens: int = 32
    expect: str | None = None
    contains: str | None = None
    differs_from_base: bool = False


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a revision comes from. `source`: what was pushed; `data_hash`: of what it was trained on; `commit`: of the
    code that trained it; `evaluations`: scores by name."""

    source: str | None = None
    owner: str | None = None
    licence: str | None = None
    data_hash: str | None = None
    commit: str | None = None
    evaluations: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    tags: tuple[str, ...] = ()
    expires: datetime | None = None
    notes: str | None = None
    merged_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RevisionDraft:
    """A revision that is not in the registry yet. `base`: the fingerprint of the base model that it was checked
    against, None where none was known; `signed_by`: the identity of a signature that was verified."""

    adapter: str
    digest: str
    base: str | None
    rank: int
    alpha: float
    targets: tuple[str, ...]
    files: tuple[FileRecord, ...]
    provenance: Provenance = field(default_factory=Provenance)
    golden: tuple[GoldenPrompt, ...] = ()
    signed_by: str | None = None

    @property
    def size_bytes(self) -> int:
        """All its files together."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision in the registry. All but `retired_at` never changes."""

    number: int
    draft: RevisionDraft
    created_at: datetime
    created_by: str
    retired_at: datetime | None = None

    @property
    def adapter(self) -> str:
        """The adapter's name."""
        return self.draft.adapter

    @property
    def name(self) -> str:
        """What a client calls it: `sql@3`."""
        return revision_name(self.draft.adapter, self.number)

    @property
    def engine_name(self) -> str:
        """What the engine calls it: `sql@3-1a2b3c4d5e6f`."""
        return engine_name(self.draft.adapter, self.number, self.draft.digest)


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """A channel of an adapter. `number`: the revision that it means, None once cleared; `previous`: the one that a
    rollback goes to; `version`: goes up by one at every move."""

    adapter: str
    channel: Channel
    number: int | None
    previous: int | None
    version: int
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Move:
    """One move of a channel, for ever in its history."""

    id: int
    adapter: str
    channel: Channel
    kind: MoveKind
    before: int | None
    after: int | None
    actor: str
    why: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class ChannelChange:
    """That a channel mean a revision, or nothing (`number` None); who wants it, and why."""

    adapter: str
    number: int | None
    channel: Channel
    actor: str
    why: str | None = None
    kind: MoveKind = "promote"


@dataclass(frozen=True, slots=True)
class Rollout:
    """A promotion under way: the revision is staged on every replica and smoke-tested, then the channel moves.

    `expected`: the channel's number when it was asked for; where it is another by then, the rollout fails."""

    id: int
    adapter: str
    channel: Channel
    number: int
    expected: int | None
    state: RolloutState
    reason: str | None
    actor: str
    why: str | None
    created_at: datetime
    updated_at: datetime
    kind: MoveKind = "promote"


@dataclass(frozen=True, slots=True)
class AdapterSettings:
    """How an adapter is kept on replicas. `preload`: loaded before its first request; `pin`: evicted last."""

    preload: bool = True
    pin: bool = False


@dataclass(frozen=True, slots=True)
class BaseModelRecord:
    """A base model. `layout`: what the gate knows of it, as JSON (adapters.admission.base)."""

    fingerprint: str
    name: str
    source: str
    layout: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RevisionBrief:
    """What a router must know of a revision that is not retired. `expires`: it is not promoted any more after that."""

    number: int
    digest: str
    base: str | None
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class AdapterView:
    """One adapter in a snapshot. `revisions`: those that are not retired, by number."""

    name: str
    settings: AdapterSettings
    channels: Mapping[Channel, ChannelRecord]
    revisions: Mapping[int, RevisionBrief]

    def number(self, channel: Channel) -> int | None:
        """The number of the revision that `channel` means, or None."""
        record = self.channels.get(channel)
        return record.number if record else None


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """A tenant. `limits`: its own, which go before its tier's."""

    name: str
    tier: str
    limits: Limits
    disabled: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Scope:
    """What a key opens: `routes` and `adapters` by name, those and nothing else; everything where both are None."""

    routes: tuple[str, ...] | None = None
    adapters: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key, without its text: `digest` is the SHA-256 of that."""

    id: str
    tenant: str
    digest: str = field(repr=False)
    note: str
    scope: Scope
    created_by: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask: tenants, and keys that were not revoked. `keyed`: whether there ever was a key."""

    tenants: tuple[TenantRecord, ...] = ()
    keys: tuple[KeyRecord, ...] = ()
    keyed: bool = False


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What a tenant used of a model by a route within the hour that begins at `hour`. `billionths`: what it cost, of
    the prices' currency."""

    hour: datetime
    tenant: str
    route: str
    model: str
    requests: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    billionths: int = 0


@dataclass(frozen=True, slots=True)
class UsageBatch:
    """What one router counted, to be added once: its `source` numbers its batches from 1 on, in order."""

    source: str
    number: int
    rows: tuple[UsageRow, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The registry at one moment. `generation`: goes up at every change of what is in here; `rollouts`: those that are
    not finished; `recent`: channel moves of the last hour, the newest last; `canaries`: those that have not ended, or
    have just now; `installation`: the registry's own id, made once with it."""

    generation: int
    adapters: Mapping[str, AdapterView]
    rollouts: tuple[Rollout, ...] = ()
    recent: tuple[Move, ...] = ()
    access: Access = Access()
    canaries: tuple[CanaryRecord, ...] = ()
    installation: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit trail. `action`: `push`, `promote`, `retire`, ...; `subject`: `sql@3`, `sql`, ..."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RouterBeat:
    """A router that is alive. `generation`: of the snapshot that it routes by, `since`: since when it does."""

    name: str
    generation: int
    seen_at: datetime
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReplicaAddress:
    """A replica that routers find in the registry."""

    name: str
    url: str
    added_by: str
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Placement:
    """How a revision stands on a replica, in the words of the reconciler. `pending`: not there yet."""

    replica: str
    adapter: str
    number: int
    state: Literal["pending", "staged", "resident", "failed"]
    reason: str | None = None
    detail: RevisionState | None = None


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """A replica as last seen by the reconciler. `usage`: its working set, as JSON (adapters.replica.Usage)."""

    name: str
    base: str | None
    ready: bool
    slots: int
    cpu: int
    usage: Mapping[str, Any]
    placements: tuple[Placement, ...]
    seen_at: datetime
