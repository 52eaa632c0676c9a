"""Configuration of admission."""

from pydantic import Field

from patchbay.core.settings import Settings


class AdmissionConfig(Settings):
    """Limits of the wait for a turn. `max_waiting`: requests in all that may wait for their turn; `wait_timeout_s`: how
    long a request may wait; `per_replica`: requests at a time at a replica, by default as many as its engine runs, and
    without limit where it does not tell; `patience_s`: how long a request waits for an adapter slot before it goes
    first, and a slot is freed for it, by default as long as `patience_turns` answers take."""

    max_waiting: int = Field(default=4096, ge=0)
    wait_timeout_s: float = Field(default=120, gt=0)
    per_replica: int | None = Field(default=None, ge=1)
    patience_s: float | None = Field(default=None, gt=0)
    patience_turns: float = Field(default=8, gt=0)
