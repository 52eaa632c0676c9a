"""The verdict on whether the engine stands still: work waits for it, and it gets nothing done. Pure.

An engine's process can live on and do nothing, in a deadlock of its own or of a library's. Nothing ends then: not the
requests, which streams' heartbeats keep open, nor the calls that load adapters.
"""


class StallWatch:
    """A watch over the engine's progress. `limit_s`: how long work may wait without any, in seconds."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._progress: int | None = None
        self._since_s = 0.0

    def observe(self, *, progress: int, pending: int, now_s: float) -> str | None:
        """Takes the engine's state, and returns the reason why it counts as dead, or None.

        `progress`: a count that grows with each step and each call that ends; `pending`: the requests and calls that
        wait for the engine; `now_s`: seconds of a monotonic clock.
        """
        if not pending or progress != self._progress:
            # Counted anew from the first look that finds work, since there may be no look for long while there is none.
            self._progress, self._since_s = progress if pending else None, now_s
            return None
        if now_s - self._since_s < self._limit_s:
            return None
        return f"it has stood still for {self._limit_s:g} s while {pending} requests and calls wait for it"
