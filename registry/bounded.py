"""Connections to PostgreSQL with a limit on the time to wait for an answer.

A server that is stopped, or behind a dead network, neither answers nor closes connections, so the client must give up.
"""

import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.abc import PQGen

_INTERVAL_S = 0.1
_MIN_TIMEOUT_S = 0.2


class AnswerTimeout:
    """The time limit for answers of a server: `silent_s` seconds, and less after `hurry`. Thread-safe.

    `clock`: seconds, monotonic.
    """

    def __init__(self, silent_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._silent_s = silent_s
        self._clock = clock
        self._deadline_s = float("inf")

    @property
    def left_s(self) -> float:
        """The time limit for an answer that is asked for now, in seconds."""
        return max(_MIN_TIMEOUT_S, min(self._silent_s, self._deadline_s - self._clock()))

    def is_spent(self, since_s: float) -> bool:
        """Says whether to give up a wait that began at `since_s`, by the clock, even where `hurry` came later."""
        now = self._clock()
        return now - since_s >= self._silent_s or now >= max(self._deadline_s, since_s + _MIN_TIMEOUT_S)

    def hurry(self, within_s: float) -> None:
        """Makes all waits end within `within_s` seconds from now, for a process that is about to end."""
        self._deadline_s = self._clock() + within_s


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed, and raises OperationalError, where its server is silent for too long."""

    timeout: AnswerTimeout | None = None

    def wait(self, gen: PQGen[Any], interval: float = _INTERVAL_S, timeout: float | None = None) -> Any:
        """Waits for what `gen` waits for. `timeout`: seconds, by default those that `AnswerTimeout` allows."""
        if timeout is not None or self.timeout is None:
            return super().wait(gen, interval, timeout)
        bound_s = self.timeout.left_s
        try:
            return super().wait(gen, interval, bound_s)
        except psycopg.errors._WaitTimeout as error:  # noqa: SLF001 - there is no public name of it
            # The connection is in the middle of an answer, so it cannot be used any more.
            self.pgconn.finish()
            raise psycopg.OperationalError(f"it has said nothing for {bound_s:.0f} s") from error


def connect_bounded(timeout: AnswerTimeout, *arguments: Any, **named: Any) -> BoundedConnection:
    """Connects as psycopg does, with `timeout` as the limit for answers. Raises psycopg's errors."""
    named["connect_timeout"] = max(2, min(int(named.get("connect_timeout", 5)), int(timeout.left_s)))
    connection = BoundedConnection.connect(*arguments, **named)
    connection.timeout = timeout
    return connection
