"""The wire format of `GET /internal/status`, in which a replica describes itself, shared by server and router."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Phase = Literal["starting", "ready", "draining"]
RevisionState = Literal["staging", "declared", "loading", "resident", "draining", "failed"]
Tier = Literal["disk", "cpu", "slot"]


class _Wire(BaseModel):
    """A part of the wire format. Unknown keys are ignored, so that routers and replicas can differ by a version."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class BaseModelStatus(_Wire):
    """The base model of a replica.

    `name`: its name for clients; `source`: a Hugging Face id or a folder's name; `fingerprint`: of its files, None
    where they cannot be read.
    """

    name: str
    source: str
    quantization: str | None
    max_model_len: int
    fingerprint: str | None = None


class RevisionStatus(_Wire):
    """One revision on a replica.

    `tier`: the nearest memory that holds it; `references`: requests using it now; `reason`: why it failed, where it
    did; `parity`: what was found when it was compared with what its trainer had; `pin`: whether it is evicted last.
    """

    adapter: str
    number: int
    digest: str
    engine_name: str
    state: RevisionState
    tier: Tier
    references: int
    rank: int | None = None
    load_seconds: float | None = None
    reason: str | None = None
    parity: str | None = None
    pin: bool = False


class RevisionUsage(_Wire):
    """The pattern in which requests asked for revisions, as stack distances.

    `first`: requests that were a revision's first; `distances`: by n, the requests that asked for a revision again
    after n others had been asked for; `far`: the same for more others than are counted; `peak`: the most distinct
    revisions that were in use at one time.

    Source: R. L. Mattson et al., "Evaluation techniques for storage hierarchies", IBM Systems Journal 9(2), 1970.
    """

    first: int = 0
    distances: tuple[int, ...] = ()
    far: int = 0
    peak: int = 0


class SlotStatus(_Wire):
    """The revisions that the engine can hold for one batch (`slots`) and in host memory (`cpu`), and those it holds."""

    slots: int
    slots_used: int
    cpu: int
    cpu_used: int


class RequestStatus(_Wire):
    """The requests in the engine, and the share of its KV cache in use, 0 to 1.

    `most`: the number of requests that it runs at a time, None where that is not known.
    """

    running: int
    waiting: int
    kv_cache_use: float
    most: int | None = None


class ReplicaStatus(_Wire):
    """The answer to `GET /internal/status`. `tasks`: what the base can do, in vLLM's words (`generate`, `embed`, …)."""

    replica: str
    phase: Phase
    base: BaseModelStatus
    tasks: tuple[str, ...]
    revisions: tuple[RevisionStatus, ...]
    slots: SlotStatus
    requests: RequestStatus
    usage: RevisionUsage = RevisionUsage()

    @property
    def takes_adapters(self) -> bool:
        """Whether this replica has room for adapters: one whose base embeds or scores has none."""
        return self.slots.cpu > 0
