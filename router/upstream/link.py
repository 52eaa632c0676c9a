"""A replica as the router reaches it."""

from dataclasses import dataclass

from patchbay.router.upstream.client import ReplicaClient


@dataclass(frozen=True, slots=True)
class Link:
    """A replica's connections and the token it wants to see."""

    client: ReplicaClient
    token: str | None

    @property
    def authorization(self) -> bytes | None:
        """The header's value that shows the token."""
        return f"Bearer {self.token}".encode() if self.token is not None else None
