"""The HTTP probe of a process's readiness and health."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from patchbay.launch.health import Health

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True)
class Readiness:
    """The readiness that a process reports: whether it is ready, else the phase of its start, and details of that."""

    ready: bool
    phase: str = "starting"
    detail: str = ""


class ReadinessProbe:
    """A probe of processes on this machine over HTTP."""

    def __init__(self, client: "httpx.AsyncClient") -> None:
        self._client = client

    @classmethod
    @asynccontextmanager
    async def open(cls) -> "AsyncIterator[ReadinessProbe]":
        """Opens a probe, whose connections are closed at the end of the block. It never goes through a proxy."""
        import httpx

        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            yield cls(client)

    async def ask_health(self, url: str) -> Health:
        """Asks the process at `url` for its health. Any server error means that it is dead."""
        import httpx

        try:
            response = await self._client.get(url)
        except (httpx.TransportError, httpx.DecodingError):
            return "silent"
        return "dead" if response.is_server_error else "alive"

    async def ask(self, url: str) -> Readiness:
        """Asks the process at `url` whether it is ready. No answer means that it has just started."""
        import httpx

        try:
            response = await self._client.get(url)
        except httpx.TransportError:
            return Readiness(ready=False)
        try:
            body: Any = response.json()
        except ValueError:
            body = None
        fields = body if isinstance(body, dict) else {}
        return Readiness(response.is_success, str(fields.get("phase") or "waiting"), str(fields.get("detail") or ""))
