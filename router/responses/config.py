"""Configuration of kept responses."""

from datetime import timedelta

from pydantic import Field

from patchbay.core.settings import Settings
from patchbay.registry.responses import KeepTerms


class ResponsesConfig(Settings):
    """Responses of `/v1/responses` that are kept in the registry, for clients that do not say `store: false`; nothing
    is without a registry. `store`: whether anything is kept; `retention_days`: how long; `max_bytes`: of a response
    with its input: a larger one is answered and not kept; `max_bytes_per_tenant`: of all that a tenant has kept: what
    would be over it is answered and not kept; `max_turns`: how many responses a conversation may have. `wait_s`: how
    long the end of an answer waits for the registry, before it says that it was not kept."""

    store: bool = True
    retention_days: float = Field(default=30, gt=0, le=3650)
    max_bytes: int = Field(default=4 * 1024 * 1024, ge=1024)
    max_bytes_per_tenant: int = Field(default=1024**3, ge=1024)
    max_turns: int = Field(default=500, ge=1)
    wait_s: float = Field(default=2, gt=0, le=60)

    @property
    def terms(self) -> KeepTerms:
        """The terms on which responses are kept."""
        return KeepTerms(keep_for=timedelta(days=self.retention_days), most_bytes=self.max_bytes_per_tenant)
