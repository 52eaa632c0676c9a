"""Exchange: one request from its arrival to the end of its answer, as all who work on it share it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import msgspec

from patchbay.core.asgi import Headers
from patchbay.core.errors import RequestError
from patchbay.guards.session import GuardSession
from patchbay.router.canary.assigned_request import AssignedRequest
from patchbay.router.fleet.snapshot import Target
from patchbay.router.forward.arrival import NOT_LET_IN, Arrival, Asked
from patchbay.router.forward.relay import Relay
from patchbay.router.forward.result import Result
from patchbay.router.forward.tries import Tries
from patchbay.router.http.body import Head, parse_head
from patchbay.router.http.body_elements import check_elements
from patchbay.router.routes.table import Choice

_DEADLINE_NEAR_S = 0.05


class Answerer(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """The answerer of a request, or who is to be. `label`: the target's, for metrics; `route`: empty where the client
    named no route; `replica`: empty before one begins to answer, `cache` for a cached answer."""

    label: str = ""
    route: str = ""
    target: Target | None = None
    replica: str = ""


_NOBODY = Answerer()


class Exchange(msgspec.Struct, eq=False, kw_only=True):
    """State of one request. Each field is written by one module only.

    What came in: `arrival`; `asked`: known once the client was let in; `head`: the fields that were read; `read_bytes`:
    size of the body; `client_deadline_s`: when its client said that it stops waiting, by the event loop's clock, None
    where it did not or this router's limit comes first.
    Where it is now: `answerer`; `tries`: its way to replicas; `task`: the work that an interruption ends; `on_begin`:
    called when the answer begins; `guard_session`: the guards that apply; `entry`: its assignment to a canary's arm;
    `is_last_choice`: whether nobody else is left to answer it.
    What its client gets: `relay`, and `extra`: the router's own headers on the answer.
    What came of it: `result`; `cause`: the error that interrupted it.
    """

    arrival: Arrival
    relay: Relay
    asked: Asked = NOT_LET_IN
    head: Head | None = None
    read_bytes: int = 0
    client_deadline_s: float | None = None
    answerer: Answerer = _NOBODY
    tries: Tries = msgspec.field(default_factory=Tries)
    task: asyncio.Task[None] | None = None
    on_begin: Callable[[], None] | None = None
    guard_session: GuardSession | None = None
    entry: AssignedRequest | None = None
    is_last_choice: bool = False
    extra: Headers = msgspec.field(default_factory=list)
    result: Result = msgspec.field(default_factory=Result)
    cause: RequestError | None = None

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
        route = choice.route if choice.config is not None else ""
        meant = target if choice.arm is None else replace(target, arm=choice.arm)
        self.answerer = Answerer(label=target.label, route=route, target=meant)

    def comes_from(self, target: Target, replica: str) -> None:
        """Notes who answers. `replica`: the replica's name, or `cache`."""
        self.answerer = Answerer(label=self.answerer.label, route=self.answerer.route, target=target, replica=replica)

    def drop_headers(self, *beginnings: bytes) -> None:
        """Takes the router's own headers whose names begin so off the answer."""
        self.extra = [pair for pair in self.extra if not pair[0].startswith(beginnings)]

    def tell_of(self, guard_session: GuardSession) -> None:
        """Puts what guards have found so far into the answer's headers."""
        self.extra = guard_session.headers(self.extra)

    def begin(self) -> None:
        """Notes that the answer is about to begin: from here on it cannot come from elsewhere."""
        if self.on_begin is not None:
            self.on_begin()

    def interrupt(self, cause: RequestError) -> None:
        """Cancels the work on the request. Its client gets `cause` as the error."""
        if self.task is not None and self.cause is None:
            self.cause = cause
            self.task.cancel()
