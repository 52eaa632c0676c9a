"""The delay before a process that died is started again: it doubles, up to a limit."""

import time
from collections.abc import Callable
from typing import Self

from pydantic import Field, model_validator

from patchbay.core.settings import Settings


class RestartConfig(Settings):
    """Waits between restarts, in seconds: they double from `first_delay_s` to `longest_delay_s`, and start over once
    the process has been ready for `reset_after_s`. `start_attempts`: how often a process that a signal ended before
    it was ever ready is tried in all. One that was ready is killed and started again where it gives no answer about its
    health for `silent_s`, or says for `dead_s` that it is dead, longer than it needs to end by itself."""

    first_delay_s: float = Field(default=1, gt=0)
    longest_delay_s: float = Field(default=30, gt=0)
    reset_after_s: float = Field(default=60, ge=0)
    start_attempts: int = Field(default=3, ge=1)
    silent_s: float = Field(default=60, gt=0)
    dead_s: float = Field(default=20, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.longest_delay_s < self.first_delay_s:
            raise ValueError("longest_delay_s must be at least first_delay_s")
        return self


class Backoff:
    """The restart delays of one process. `policy`: the limits; `clock`: seconds, monotonic."""

    def __init__(self, policy: RestartConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self._clock = clock
        self._next_delay = policy.first_delay_s
        self._ready_since: float | None = None

    def became_ready(self) -> None:
        """Records that the process is ready from now on."""
        self._ready_since = self._clock()

    def delay_after_exit(self) -> float:
        """Returns the seconds to wait now that the process has died."""
        if self._was_healthy():
            self._next_delay = self._policy.first_delay_s
        self._ready_since = None
        delay = self._next_delay
        self._next_delay = min(delay * 2, self._policy.longest_delay_s)
        return delay

    def _was_healthy(self) -> bool:
        return self._ready_since is not None and self._clock() - self._ready_since >= self._policy.reset_after_s
