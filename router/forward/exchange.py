"""A request on its way, and what it asks for."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from patchbay.core.asgi import Headers
from patchbay.core.errors import RequestError
from patchbay.core.tenancy import DEFAULT_TENANT
from patchbay.guards.session import GuardSession
from patchbay.router.canary.assigned_request import AssignedRequest
from patchbay.router.fleet.snapshot import Target
from patchbay.router.forward.relay import Relay
from patchbay.router.forward.suspects import Case
from patchbay.router.http.body import Head, Prompt, parse_head
from patchbay.router.http.body_elements import check_elements
from patchbay.router.http.endpoints import OTHER, Endpoint
from patchbay.router.http.request import Request
from patchbay.router.http.trace_context import TraceSpan
from patchbay.router.routes.table import Choice
from patchbay.router.telemetry.request_record import Outcome
from patchbay.router.tenants.limiter import Need

_NOTHING_USED = Need(0, 0)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request asks for. `model`: the name of what is to answer; `target`: what that means; `route`: the route
    that led to it, or `model`; `arm`: the split's arm; `pool`: the only replicas that may be asked; `deadline_s`: when
    its client stops waiting, by the event loop's clock, None where it did not tell."""

    model: str
    target: Target
    prompt: Prompt
    body: bytes
    stream: bool
    deadline_s: float | None = None
    route: str = ""
    arm: str | None = None
    pool: str | None = None
    priority: int = 0


class HeldTurn(Protocol):
    """A request's turn at a replica."""

    @property
    def first(self) -> str | None:
        """The replica that it was given for."""

    @property
    def queued(self) -> bool:
        """Whether it was waited for, and given while a replica was there."""

    def at(self, replica: str) -> None:
        """Notes that the request is asked of `replica` now."""


@dataclass(slots=True, eq=False)
class Exchange:
    """One request, and how far its answer has come. `extra`: the router's own headers on the answer; `tried`: the
    replicas that were asked; `span`: the router's own in its trace; `on_begin`: told when the answer begins; `turn`:
    its turn, where it was given one; `cached`: whether it was answered with what was kept; `guard_session`: the guards
    that it is under; `entry`: its place in a canary, `bad`: the canary's metrics by which it went wrong;
    `began_s`: when its answer began; `cold`: whether its revision had to be loaded first. Who answers, or is to:
    `route`, empty where the client named no route, `target`, and `replica`; `used` and `cost`: tokens, and what they
    cost, in trillionths; `counted`: the route and the model that its usage is booked under, None before it was asked of
    any. `head`: what was read of it; `tenant`: whose it is; `ask`: what is asked of replicas now; `case`: what is
    known of tries that failed, None before there is any; `sent_before`: how much the client had when a replica died
    last."""

    request: Request
    relay: Relay
    id: bytes
    span: TraceSpan
    started_s: float
    endpoint: Endpoint = OTHER
    label: str = ""
    outcome: Outcome = "ok"
    read_bytes: int = 0
    extra: Headers = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    task: asyncio.Task[None] | None = None
    cause: RequestError | None = None
    on_begin: Callable[[], None] | None = None
    turn: HeldTurn | None = None
    cached: bool = False
    guard_session: GuardSession | None = None
    entry: AssignedRequest | None = None
    bad: set[str] = field(default_factory=set)
    began_s: float | None = None
    cold: bool = False
    head: Head | None = None
    tenant: str = DEFAULT_TENANT
    route: str = ""
    target: Target | None = None
    replica: str = ""
    used: Need = _NOTHING_USED
    cost: int = 0
    counted: tuple[str, str] | None = None
    ask: Ask | None = None
    case: Case | None = None
    sent_before: int = 0

    def read(self, body: bytes, most_elements: int) -> Head:
        """Notes that the whole request was read, and gives what routing needs of it.

        Raises InvalidRequest, and TooManyElements where its JSON has more than `most_elements`.
        """
        self.read_bytes = len(body)
        check_elements(body, most_elements)
        self.head = parse_head(body)
        return self.head

    def goes_to(self, choice: Choice, target: Target) -> None:
        """Notes who is to answer."""
        self.label = target.label
        self.route = choice.route if choice.config is not None else ""
        self.target = target if choice.arm is None else replace(target, arm=choice.arm)
        self.replica = ""

    def comes_from(self, target: Target, replica: str) -> None:
        """Notes who answers. `replica`: its name, or `cache`."""
        self.target, self.replica = target, replica

    def begin(self) -> None:
        """Notes that the answer is about to begin: from here on it cannot be had elsewhere."""
        if self.on_begin is not None:
            self.on_begin()

    def interrupt(self, cause: RequestError) -> None:
        """Ends the work on it: its client is told of `cause`."""
        if self.task is not None and self.cause is None:
            self.cause = cause
            self.task.cancel()
