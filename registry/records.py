"""The records of the registry, as frozen values. Times are aware UTC datetimes."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """One file of a revision: its POSIX name in the folder, its SHA-256 in hex, its size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenPrompt:
    """A prompt that a revision must answer correctly before it serves.

    `messages`: as in OpenAI's chat; `expect`: the whole answer; `contains`: a part of the answer; `differs_from_base`:
    whether the base must answer something else.
    """

    messages: tuple[Mapping[str, str], ...]
    max_tokens: int = 32
    expect: str | None = None
    contains: str | None = None
    differs_from_base: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The origin of a revision.

    `source`: what was pushed; `data_hash`: of the training data; `commit`: of the training code; `evaluations`: scores
    by name; `expires`: after which it is not promoted any more; `merged_from`: the revisions that it was merged from.
    """

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionDraft:
    """A revision that is not in the registry yet.

    `base`: the fingerprint of the base model that it was checked against, None where none was known; `targets`: the
    modules that it adapts; `golden`: prompts that it must pass; `signed_by`: the identity of a verified signature;
    `left_out`: what its source held beside it; `changes`: what was changed of its files when it was stored, in words.
    """

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
    left_out: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """The size of all its files together."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A revision in the registry. Only `retired_at` ever changes."""

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
        """The name that clients use: `sql@3`."""
        return revision_name(self.draft.adapter, self.number)

    @property
    def engine_name(self) -> str:
        """The name in the engine: `sql@3-1a2b3c4d5e6f`."""
        return engine_name(self.draft.adapter, self.number, self.draft.digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRecord:
    """A channel of an adapter.

    `number`: the revision that it means, None once cleared; `previous`: the one that a rollback goes to; `version`:
    goes up by one at every move.
    """

    adapter: str
    channel: Channel
    number: int | None
    previous: int | None
    version: int
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One move of a channel, which stays in its history for ever. `before`, `after`: revisions, None for empty."""

    id: int
    adapter: str
    channel: Channel
    kind: MoveKind
    before: int | None
    after: int | None
    actor: str
    why: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelChange:
    """A request to make a channel mean a revision, or nothing (`number` None). `actor`: who asks; `why`: the reason."""

    adapter: str
    number: int | None
    channel: Channel
    actor: str
    why: str | None = None
    kind: MoveKind = "promote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A promotion under way: the revision is staged on every replica and smoke-tested, then the channel moves.

    `expected`: the channel's number when the rollout began; where it is another at the end, the rollout fails.
    """

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

    @property
    def change(self) -> ChannelChange:
        """The move of the channel that it ends with."""
        return ChannelChange(
            adapter=self.adapter,
            number=self.number,
            channel=self.channel,
            actor=self.actor,
            why=self.why,
            kind=self.kind,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSettings:
    """The treatment of an adapter on replicas. `preload`: loaded before its first request; `pin`: evicted last."""

    preload: bool = True
    pin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModelRecord:
    """A base model. `layout`: the shape that adapters must fit, as JSON (adapters.checks.base)."""

    fingerprint: str
    name: str
    source: str
    layout: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RevisionBrief:
    """The part of a revision that routers need, of one that is not retired.

    `expires`: the time after which it is not promoted any more.
    """

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
        """Returns the number of the revision that `channel` means, or None."""
        record = self.channels.get(channel)
        return record.number if record else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRecord:
    """A tenant. `limits`: its own, which override its tier's."""

    name: str
    tier: str
    limits: Limits
    disabled: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The scope of a key: the `routes` and `adapters` that it opens, by name; everything where both are None."""

    routes: tuple[str, ...] | None = None
    adapters: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """An API key without its text: `digest` is the SHA-256 of that."""

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
    """The tenants, and the keys that were not revoked. `keyed`: whether there ever was a key."""

    tenants: tuple[TenantRecord, ...] = ()
    keys: tuple[KeyRecord, ...] = ()
    keyed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """The usage of a model by a tenant over a route, within the hour that begins at `hour`.

    `billionths`: the cost, in billionths of the prices' currency.
    """

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
    """A batch of usage that one router counted, to be added once: its `source` numbers batches from 1 on, in order."""

    source: str
    number: int
    rows: tuple[UsageRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The part of the registry that routers need, at one moment.

    `generation`: goes up at every change of what is in here; `rollouts`: those that are not finished; `recent`: channel
    moves of the last hour, the newest last; `canaries`: those that have not ended, or ended just now; `installation`:
    the registry's own id, made once with it.
    """

    generation: int
    adapters: Mapping[str, AdapterView]
    rollouts: tuple[Rollout, ...] = ()
    recent: tuple[Move, ...] = ()
    access: Access = Access()
    canaries: tuple[CanaryRecord, ...] = ()
    installation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
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
    """A heartbeat of a router. `generation`: of the snapshot that it routes by; `since`: since when it does."""

    name: str
    generation: int
    seen_at: datetime
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaAddress:
    """A replica that routers find in the registry."""

    name: str
    url: str
    added_by: str
    added_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The placement of a revision on a replica, as the reconciler sees it. `state` is `pending` where it is not there
    yet; `detail`: the replica's own state of it."""

    replica: str
    adapter: str
    number: int
    state: Literal["pending", "staged", "resident", "failed"]
    reason: str | None = None
    detail: RevisionState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaReport:
    """A replica as last seen by the reconciler. `usage`: its working set, as JSON (core.replica.RevisionUsage)."""

    name: str
    base: str | None
    ready: bool
    slots: int
    cpu: int
    usage: Mapping[str, Any]
    placements: tuple[Placement, ...]
    seen_at: datetime
