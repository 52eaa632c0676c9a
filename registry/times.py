"""Times in the registry: aware, UTC, and not led astray by a machine's clock that is set."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def utc_now() -> datetime:
    """The time now, by this machine's clock."""
    return datetime.now(UTC)


class SteadyClock:
    """A clock that starts at `start`, and goes on by what has passed since: setting the machine's clock moves it not.
    `monotonic`: seconds."""

    def __init__(self, start: datetime, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._start = start
        self._monotonic = monotonic
        self._began_s = monotonic()

    def __call__(self) -> datetime:
        """The time now."""
        return self._start + timedelta(seconds=self._monotonic() - self._began_s)


def as_utc(value: object) -> datetime | None:
    """`value`, which a database gave, as an aware time in UTC; None for none."""
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
