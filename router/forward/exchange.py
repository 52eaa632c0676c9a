"""Exchange: the state of one request on its way to its answer, and what it asks of replicas."""

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
_DEADLINE_NEAR_S = 0.05


@dataclass(frozen=True, slots=True)
class Ask:
    """Query of one request to replicas, after routing.

    `model`: the name of what is to answer; `target`: what that means; `prompt`: for prefix affinity; `body`: as it goes
    to the replica; `stream`: whether a stream is asked for; `deadline_s`: when its client stops waiting, by the event
    loop's clock, None where it did not say; `route`: the route that led to it, or `model`; `arm`: the split's arm;
    `pool`: the only replicas that may be asked; `priority`: at the replica, 0 is the default.
    """

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
    """Turn of a request at a replica, given by admission."""

    @property
    def first(self) -> str | None:
        """The replica that the turn was given for, None for none."""

    @property
    def queued(self) -> bool:
        """Whether the request waited for the turn, and got it while a replica was there."""

    def at(self, replica: str) -> None:
        """Notes that the request is asked of `replica` now."""


@dataclass(slots=True, eq=False)
class Exchange:
    """State of one request, from its arrival to the end of its answer.

    The request: `span`: the router's own in its trace; `head`: the fields that were read; `tenant`: whose it is;
    `read_bytes`: size of its body; `client_deadline_s`: when its client said that it stops waiting, by the event loop's
    clock, None where it did not or this router's limit comes first.
    Who answers, or is to: `route`: empty where the client named no route; `target`; `replica`; `label`: the target's,
    for metrics.
    The answer: `extra`: the router's own headers on it; `on_begin`: called when it begins; `began_s`: when it began;
    `cached`: whether it came from the cache; `cold`: whether its revision had to be loaded first; `cause`: the error
    that interrupted it; `guard_session`: the guards that apply.
    Tries: `ask`: what is asked of replicas now; `tried`: the replicas that were asked; `turn`: its turn, where it was
    given one; `case`: what is known of tries that failed, None before the first; `sent_before`: bytes that the client
    had when a replica died last.
    Accounts: `used` and `cost`: tokens, and their cost in trillionths; `counted`: the route and the model that usage is
    booked under, None before any replica was asked.
    Canary: `entry`: its assignment; `bad`: the canary's metrics by which it went wrong.
    """

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
    client_deadline_s: float | None = None

    @property
    def deadline_is_near(self) -> bool:
        """Whether the time that its client gave is over, or so nearly that a replica, which is told of it, may have
        ended for that."""
        deadline_s = self.client_deadline_s
        return deadline_s is not None and asyncio.get_running_loop().time() >= deadline_s - _DEADLINE_NEAR_S

    def read(self, body: bytes, most_elements: int) -> Head:
        """Notes that the whole request was read, and returns the fields that routing needs.

        Raises InvalidRequest, and TooManyElements where its JSON has more than `most_elements`.
        """
        self.read_bytes = len(body)
        check_elements(body, most_elements)
        self.head = parse_head(body)
        return self.head

    def goes_to(self, choice: Choice, target: Target) -> None:
        """Notes who is to answer: the `target` that `choice` led to."""
        self.label = target.label
        self.route = choice.route if choice.config is not None else ""
        self.target = target if choice.arm is None else replace(target, arm=choice.arm)
        self.replica = ""

    def comes_from(self, target: Target, replica: str) -> None:
        """Notes who answers. `replica`: the replica's name, or `cache`."""
        self.target, self.replica = target, replica

    def begin(self) -> None:
        """Notes that the answer is about to begin: from here on it cannot come from elsewhere."""
        if self.on_begin is not None:
            self.on_begin()

    def interrupt(self, cause: RequestError) -> None:
        """Cancels the work on the request. Its client gets `cause` as the error."""
        if self.task is not None and self.cause is None:
            self.cause = cause
            self.task.cancel()
