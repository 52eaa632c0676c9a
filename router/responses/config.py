"""Configuration of kept responses."""

from datetime import timedelta

from pydantic import Field

from patchbay.core.settings import Settings


class ResponsesConfig(Settings):
    """Responses of `/v1/responses` that are kept in the registry, for clients that do not say `store: false`; nothing
    is without a registry. `store`: whether anything is kept; `retention_days`: how long; `max_bytes`: of a response
    with its input: a larger one is answered and not kept; `max_turns`: how many responses a conversation may have.
    `wait_s`: how long the end of an answer waits for the registry, before it says that it was not kept."""

    store: bool = True
    retention_days: float = Field(default=30, gt=0, le=3650)
    max_bytes: int = Field(default=4 * 1024 * 1024, ge=1024)
    max_turns: int = Field(default=500, ge=1)
    wait_s: float = Field(default=2, gt=0, le=60)

    @property
    def keep_for(self) -> timedelta:
        """The time for which a response is kept."""
        return timedelta(days=self.retention_days)
