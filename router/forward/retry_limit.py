"""Retry limit of a request whose replica died: how long, and how many replicas, before it is given up."""

from collections.abc import Callable

from patchbay.router.upstream.failure import DEADLY, ReplicaFailure


class RetryLimit:
    """Retry limit of one request.

    `timeout_s`: seconds for which others are asked after the first death or the last progress; `limit`: replicas that
    may fail in a row before they send anything, since such a request may be what kills them; `clock`: seconds,
    monotonic; `queued`: whether the request waited for its turn: it got that for a replica that was there, so it is
    kept waiting too where that one is gone; `deaths`: those that it saw already, before it went on to another model.
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
    def is_waiting(self) -> bool:
        """Whether a replica died under the request, and another may still answer it."""
        return self._until_s is not None and not self.over

    @property
    def left_s(self) -> float:
        """The seconds that the request may still wait."""
        return 0.0 if self._until_s is None else self._until_s - self._clock()

    @property
    def over(self) -> bool:
        """Whether the request is to be given up."""
        return self._deaths >= self._limit or (self._until_s is not None and self._clock() >= self._until_s)

    def failed(self, error: ReplicaFailure) -> None:
        """Notes a failed try.

        The wait begins where a replica took the request and died. It does not where one was never reached, unless the
        request was queued.
        """
        if error.kind in DEADLY or error.kind == "error":
            self._deaths += 1
        if error.kind == "disconnect":
            self._begin()
        else:
            self.none_available()

    def none_available(self) -> None:
        """Notes that no replica can be asked now."""
        if self._queued:
            self._begin()

    def progressed(self) -> None:
        """Notes that the client got more of its answer, which starts the limit anew."""
        self._deaths = 0
        self._until_s = self._clock() + self._timeout_s

    def _begin(self) -> None:
        if self._until_s is None:
            self._until_s = self._clock() + self._timeout_s
