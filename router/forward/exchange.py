"""A request on its way, and what it asks for."""

import asyncio
from dataclasses import dataclass, field

from adapters.asgi import Headers
from adapters.errors import RequestError
from router.body import Prompt
from router.endpoints import OTHER, Endpoint
from router.metrics import Outcome
from router.relay import Relay
from router.snapshot import Target
from router.wire.request import Request


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request asks for. `model`: the name that it gave; `target`: what that means; `deadline_s`: when its client
    stops waiting, by the event loop's clock, None where it did not tell."""

    model: str
    target: Target
    prompt: Prompt
    body: bytes
    stream: bool
    deadline_s: float | None = None


@dataclass(slots=True, eq=False)
class Exchange:
    """One request, and how far its answer has come. `extra`: the router's own headers on the answer; `tried`: the
    replicas that were asked; `trace`: the trace's id."""

    request: Request
    relay: Relay
    id: bytes
    trace: bytes
    started_s: float
    endpoint: Endpoint = OTHER
    label: str = ""
    outcome: Outcome = "ok"
    read_bytes: int = 0
    extra: Headers = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    task: asyncio.Task[None] | None = None
    cause: RequestError | None = None

    def interrupt(self, cause: RequestError) -> None:
        """Ends the work on it: its client is told of `cause`."""
        if self.task is not None and self.cause is None:
            self.cause = cause
            self.task.cancel()
