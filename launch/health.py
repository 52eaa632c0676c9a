"""What a process says of its health, and when that is reason to end it. Pure."""

from dataclasses import dataclass
from typing import Literal

# It is alive, says that it is not, or says nothing.
Health = Literal["alive", "dead", "silent"]


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """How long a process may be `silent_s` and how long it may say that it is dead (`dead_s`), in seconds."""

    silent_s: float
    dead_s: float


class HealthWatch:
    """One process's health, as it was told. A process that is busy for a while is silent for a while, and lives."""

    def __init__(self, limits: HealthLimits) -> None:
        self._limits = limits
        self._bad_since: float | None = None
        self._dead_since: float | None = None

    def told(self, health: Health, now_s: float) -> str | None:
        """Why it is to be ended, in words that follow its name; None while it is not. `now_s`: a clock's seconds.

        Counted is from the first bad answer on, and not from the last good one: between the two it was not asked. One
        good answer forgets all before it; silence does not forget that it said that it is dead.
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
