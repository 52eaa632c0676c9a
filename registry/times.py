"""Times and clocks for the registry: aware, in UTC, and steady where a machine's clock is set."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def utc_now() -> datetime:
    """Returns the time now, by this machine's clock."""
    return datetime.now(UTC)


class SteadyClock:
    """A clock that starts at `start`, and advances by a monotonic clock: setting the machine's clock does not move it.

    `monotonic`: seconds.
    """

    def __init__(self, start: datetime, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._start = start
        self._monotonic = monotonic
        self._began_s = monotonic()

    def __call__(self) -> datetime:
        """Returns the time now."""
        return self._start + timedelta(seconds=self._monotonic() - self._began_s)


def as_utc(value: object) -> datetime | None:
    """Converts a time from a database to an aware one in UTC; anything else to None."""
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
