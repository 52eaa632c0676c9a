"""Times in the registry: aware, UTC."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The time now."""
    return datetime.now(UTC)


def as_utc(value: object) -> datetime | None:
    """`value`, which a database gave, as an aware time in UTC; None for none."""
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
