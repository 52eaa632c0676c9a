"""Link to a replica: its HTTP client and the token for it."""

from dataclasses import dataclass

from patchbay.router.upstream.client import ReplicaClient


@dataclass(frozen=True, slots=True)
class Link:
    """Way to reach one replica. `client`: its connections; `token`: the bearer token that it expects, None for none."""

    client: ReplicaClient
    token: str | None

    @property
    def authorization(self) -> bytes | None:
        """The value of the header `Authorization`, None without a token."""
        return f"Bearer {self.token}".encode() if self.token is not None else None
