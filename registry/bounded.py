"""Connections to PostgreSQL on which nothing is waited for longer than a bound: a server that is stopped, or behind a
network that is gone, answers nothing and ends nothing, so whoever asks must give up by itself."""

import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.abc import PQGen

_INTERVAL_S = 0.1
_LEAST_S = 0.2


class AnswerTimeout:
    """How long an answer is waited for: `silent_s` seconds, and less once somebody is in a hurry. Thread-safe."""

    def __init__(self, silent_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._silent_s = silent_s
        self._clock = clock
        self._over_at_s = float("inf")

    @property
    def left_s(self) -> float:
        """How long one that is asked for now may take, in seconds."""
        return max(_LEAST_S, min(self._silent_s, self._over_at_s - self._clock()))

    def is_spent(self, since_s: float) -> bool:
        """Whether what has been waited for since `since_s`, by the clock, is to be given up: also where the hurry came
        after it had begun."""
        now = self._clock()
        return now - since_s >= self._silent_s or now >= max(self._over_at_s, since_s + _LEAST_S)

    def hurry(self, within_s: float) -> None:
        """Has all that is asked from now on be over within `within_s` seconds."""
        self._over_at_s = self._clock() + within_s


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed, and raises OperationalError, where its server is silent for too long."""

    timeout: AnswerTimeout | None = None

    def wait(self, gen: PQGen[Any], interval: float = _INTERVAL_S, timeout: float | None = None) -> Any:
        """Waits for what `gen` waits for. `timeout`: seconds, by default what patience allows."""
        if timeout is not None or self.timeout is None:
            return super().wait(gen, interval, timeout)
        bound_s = self.timeout.left_s
        try:
            return super().wait(gen, interval, bound_s)
        except psycopg.errors._WaitTimeout as error:  # noqa: SLF001 - there is no public name of it
            # In the middle of an answer, so nothing else can be asked on it.
            self.pgconn.finish()
            raise psycopg.OperationalError(f"it has said nothing for {bound_s:.0f} s") from error


def connect_bounded(timeout: AnswerTimeout, *arguments: Any, **named: Any) -> BoundedConnection:
    """Connects as psycopg does. Raises psycopg's errors."""
    named["connect_timeout"] = max(2, min(int(named.get("connect_timeout", 5)), int(timeout.left_s)))
    connection = BoundedConnection.connect(*arguments, **named)
    connection.timeout = timeout
    return connection
