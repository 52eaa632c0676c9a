"""Asking a process whether it is ready, and whether it is alive."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from patchbay.launch.health import Health

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a process said of itself: whether it is ready, else the phase of its start, and details of that."""

    ready: bool
    phase: str = "starting"
    detail: str = ""


class ReadinessProbe:
    """Asks processes on this machine by HTTP."""

    def __init__(self, client: "httpx.AsyncClient") -> None:
        self._client = client

    @classmethod
    @asynccontextmanager
    async def open(cls) -> "AsyncIterator[ReadinessProbe]":
        """A probe whose connections are closed in the end. It never goes through a proxy."""
        import httpx

        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            yield cls(client)

    async def ask_health(self, url: str) -> Health:
        """What the process at `url` says of its health: any error of a server's is that it is dead."""
        import httpx

        try:
            response = await self._client.get(url)
        except (httpx.TransportError, httpx.DecodingError):
            return "silent"
        return "dead" if response.is_server_error else "alive"

    async def ask(self, url: str) -> Readiness:
        """What the process at `url` says. No answer is an answer, too: it has just started."""
        import httpx

        try:
            response = await self._client.get(url)
        except httpx.TransportError:
            return Readiness(ready=False)
        try:
            said: Any = response.json()
        except ValueError:
            said = None
        told = said if isinstance(said, dict) else {}
        return Readiness(response.is_success, str(told.get("phase") or "waiting"), str(told.get("detail") or ""))
