"""Result: what came of one request, for its metrics, its record and the evidence on canaries."""

import msgspec

from patchbay.router.telemetry.request_record import Outcome
from patchbay.router.tenants.limiter import NOTHING, Need


class Result(msgspec.Struct, eq=False, kw_only=True):
    """Outcome of one request. It is whole once the request has ended.

    `outcome`: how it ended; `began_s`: when a replica's answer began, by the router's clock; `cold`: whether the
    revision had to be loaded first; `cached`: whether the answer came from the cache; `used` and `cost`: tokens, and
    their cost in trillionths; `counted`: the route and the model that usage is booked under, None before any replica
    was asked; `bad`: the canary's metrics by which it went wrong.
    """

    outcome: Outcome = "ok"
    began_s: float | None = None
    cold: bool = False
    cached: bool = False
    used: Need = NOTHING
    cost: int = 0
    counted: tuple[str, str] | None = None
    bad: set[str] = msgspec.field(default_factory=set)

    def begins(self, began_s: float, status: int, *, cold: bool) -> None:
        """Notes that a replica's answer begins. `status`: the answer's, HTTP's."""
        self.began_s, self.cold = began_s, cold
        if status >= 400:
            self.fails(status)

    def fails(self, status: int, *, broken: bool = False) -> None:
        """Notes that the client gets an error. `status`: HTTP's; `broken`: whether its answer had begun before that."""
        self.outcome = "broken" if broken else "client_error" if status < 500 else "server_error"

    def is_left(self) -> None:
        """Notes that the client went away before its answer was whole."""
        self.outcome = "cancelled"
