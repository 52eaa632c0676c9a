"""Failures of replicas, by kind."""

from typing import Literal

from patchbay.core.errors import PatchbayError

FailureKind = Literal["connect", "disconnect", "timeout", "protocol", "refused", "gateway", "error", "busy", "limited"]
# Kinds that a request can cause: a replica that dies looks like this. A request is suspected where it happens again.
DEADLY: frozenset[FailureKind] = frozenset({"disconnect", "timeout", "protocol"})


class ReplicaFailure(PatchbayError):
    """Error of a replica that did not answer as it should.

    `kind`: `connect` (it was not reached), `disconnect` (it closed the connection), `timeout` (it was silent for too
    long), `protocol` (not HTTP), `refused` (the router's token), `gateway` (502, 503 or 504, as of a proxy before it),
    `error` (500, or an answer larger than the router reads), `busy` (its own 503, with the time after which to ask
    again), `limited` (429).
    """

    def __init__(self, message: str, *, kind: FailureKind) -> None:
        super().__init__(message)
        self.kind = kind
