"""How a replica can fail."""

from typing import Literal

from adapters.errors import PatchbayError

FailureKind = Literal["connect", "disconnect", "timeout", "protocol", "refused", "busy"]


class ReplicaFailure(PatchbayError):
    """A replica did not answer as it should. `kind`: `connect` (it was not reached), `disconnect` (it hung up),
    `timeout` (it was silent for too long), `protocol` (not HTTP), `refused` (the router's token), `busy` (its 503)."""

    def __init__(self, message: str, *, kind: FailureKind) -> None:
        super().__init__(message)
        self.kind = kind
