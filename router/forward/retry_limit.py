"""How long a request is held whose replica died, while others are asked."""

from collections.abc import Callable

from patchbay.router.upstream.failure import DEADLY, ReplicaFailure


class RetryLimit:
    """One request's: it lasts for `timeout_s` after the first death or the last progress, by `clock`, in seconds.

    `limit`: replicas that may fail in a row before they say anything: such a request may be what kills them. `queued`:
    it has waited for its turn, which it was given for a replica that was there: it is held where that one is gone too.
    `deaths`: those that it has seen already, on the way to another model.
    """

    def __init__(
        self, timeout_s: float, limit: int, clock: Callable[[], float], *, queued: bool = False, deaths: int = 0
    ) -> None:
        self._timeout_s = timeout_s
        self._queued = queued
        self._limit = limit
        self._clock = clock
        self._deaths = deaths
        self._until_s: float | None = None

    @property
    def waits(self) -> bool:
        """Whether a replica has died under the request, and it is still to be answered by another."""
        return self._until_s is not None and not self.over

    @property
    def left_s(self) -> float:
        """For how many seconds it waits at most."""
        return 0.0 if self._until_s is None else self._until_s - self._clock()

    @property
    def over(self) -> bool:
        """Whether it is to be given up."""
        return self._deaths >= self._limit or (self._until_s is not None and self._clock() >= self._until_s)

    def failed(self, error: ReplicaFailure) -> None:
        """Notes a failure. One that took the request and died is waited for; one that was never reached is not, but
        for a request that was queued."""
        if error.kind in DEADLY or error.kind == "error":
            self._deaths += 1
        if error.kind == "disconnect":
            self._begin()
        else:
            self.alone()

    def alone(self) -> None:
        """Notes that nobody can be asked."""
        if self._queued:
            self._begin()

    def progressed(self) -> None:
        """Notes that the client got more of its answer."""
        self._deaths = 0
        self._until_s = self._clock() + self._timeout_s

    def _begin(self) -> None:
        if self._until_s is None:
            self._until_s = self._clock() + self._timeout_s
