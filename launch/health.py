"""The verdict on a process's health from its answers to probes. Pure."""

from dataclasses import dataclass
from typing import Literal

# The process answers that it is alive, answers that it is not, or does not answer.
Health = Literal["alive", "dead", "silent"]


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """The limits for a process, in seconds: `silent_s` without an answer, `dead_s` of answers that it is dead."""

    silent_s: float
    dead_s: float


class HealthWatch:
    """The health of one process over time. A process that is busy may be silent for a while without being dead."""

    def __init__(self, limits: HealthLimits) -> None:
        self._limits = limits
        self._bad_since: float | None = None
        self._dead_since: float | None = None

    def observe(self, health: Health, now_s: float) -> str | None:
        """Takes the result of a probe, and returns why the process must be ended, or None while it need not be.

        The reason is in words that follow the process's name. `now_s`: seconds of a monotonic clock. Time counts from
        the first bad result, not from the last good one: between the two there was no probe. A good result forgets all
        before it; silence does not forget that the process said it is dead.
        """
        if health == "alive":
            self._bad_since = self._dead_since = None
            return None
        self._bad_since = now_s if self._bad_since is None else self._bad_since
        if health == "dead" and self._dead_since is None:
            self._dead_since = now_s
        if self._dead_since is not None and now_s - self._dead_since >= self._limits.dead_s:
            return f"said for {self._limits.dead_s:g} s that it is dead"
        if now_s - self._bad_since >= self._limits.silent_s:
            return f"said nothing of its health for {self._limits.silent_s:g} s"
        return None
