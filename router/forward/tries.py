"""Tries: what one request asks of replicas, and which of them it has asked."""

from dataclasses import replace
from typing import Protocol

import msgspec

from patchbay.router.fleet.snapshot import Target
from patchbay.router.forward.suspects import Case
from patchbay.router.http.body import Prompt


class Ask(msgspec.Struct, frozen=True, kw_only=True):
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

    @property
    def answerer(self) -> Target:
        """The target that answers, in its split's arm."""
        return self.target if self.arm is None else replace(self.target, arm=self.arm)


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


class Tries(msgspec.Struct, eq=False, kw_only=True):
    """State of one request on its way to replicas. Each field is written by one module only.

    `ask`: what is asked of replicas now, by the forwarder; `turn`: its turn, where it was given one, by the handler;
    `tried`: the replicas that were asked; `case`: what is known of tries that failed, None before the first, and
    `sent_before`: bytes that the client had when a replica died last, both by `Upstreams`.
    """

    ask: Ask | None = None
    turn: HeldTurn | None = None
    tried: set[str] = msgspec.field(default_factory=set)
    case: Case | None = None
    sent_before: int = 0
