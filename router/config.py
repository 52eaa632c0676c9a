"""The configuration of the router."""

from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from adapters.config import MAX_RANK, DeclaredAdapter, RegistryConfig, with_sources
from adapters.settings import Settings, check_setting_name, is_loopback
from router.keys import Role


class ReplicaConfig(Settings):
    """One replica. `token`: what the router shows it as a bearer token; `name`: by default its host and port."""

    url: str
    token: SecretStr | None = None
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:\[\]-]{0,127}$")

    @field_validator("url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or not _port_is_valid(value):
            raise ValueError(f"'{value}' is no replica's address; write it as http://HOST:PORT")
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("a replica's address has no user, no '?' and no '#'")
        return value.rstrip("/").removesuffix("/v1")

    @property
    def label(self) -> str:
        """What headers, metrics and logs call it."""
        return self.name or urlsplit(self.url).netloc


class AdminToken(Settings):
    """A token of the admin port. `name`: what the audit calls who shows it; `role`: what they may do."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@:-]{0,127}$")
    token: SecretStr
    role: Role = "viewer"


class RouterConfig(Settings):
    """The router. Without `api_keys` the public port is bound only to loopback, without `admin_token` the admin port.

    `read_timeout_s`: how long a replica may be silent, before its answer and within it; `head_timeout_s` and
    `body_timeout_s`: how long a client may take to send a request's head, and its body; `poll_timeout_s`: how long a
    replica may take to tell its state; `carry_timeout_s`: how long a stream whose replica died may wait for another to
    go on with it.

    With a `registry` names mean what its channels say, and the replicas are made to hold that; `adapters` are brought
    into it. `name`: what it is called there, by default by its machine and process; `registry_poll_s`: how often it is
    looked at; `rollout_timeout_s`: how long replicas may take to get a revision.
    """

    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")
    registry: RegistryConfig | None = None
    adapters: dict[str, DeclaredAdapter] = Field(default_factory=dict)
    max_rank: int = Field(default=MAX_RANK, ge=1)
    registry_poll_s: float = Field(default=0.25, gt=0)
    rollout_timeout_s: float = Field(default=600, gt=0)

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    admin_host: str = "127.0.0.1"
    admin_port: int = Field(default=8081, ge=0, le=65535)
    api_keys: tuple[SecretStr, ...] = ()
    admin_token: SecretStr | None = None
    admin_tokens: tuple[AdminToken, ...] = ()
    replicas: tuple[ReplicaConfig, ...] = ()
    max_body_bytes: int = Field(default=10 * 1024 * 1024, ge=1024)
    connect_timeout_s: float = Field(default=5, gt=0)
    read_timeout_s: float = Field(default=600, gt=0)
    head_timeout_s: float = Field(default=30, gt=0)
    body_timeout_s: float = Field(default=60, gt=0)
    carry_timeout_s: float = Field(default=15, ge=0)
    poll_interval_s: float = Field(default=1.0, gt=0)
    poll_interval_unready_s: float = Field(default=0.2, gt=0)
    poll_timeout_s: float = Field(default=5, gt=0)
    drain_timeout_s: float = Field(default=30, ge=0)

    @field_validator("replicas", mode="before")
    @classmethod
    def _url_is_enough(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return [{"url": entry} if isinstance(entry, str) else entry for entry in value]

    @field_validator("replicas")
    @classmethod
    def _named_apart(cls, value: tuple[ReplicaConfig, ...]) -> tuple[ReplicaConfig, ...]:
        if not value:
            raise ValueError("there is no replica: name at least one (--replica http://HOST:PORT)")
        labels = [replica.label for replica in value]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"two replicas are both called {', '.join(twice)}")
        return value

    @field_validator("adapters", mode="before")
    @classmethod
    def _source_is_enough(cls, value: Any) -> Any:
        return with_sources(value)

    @field_validator("adapters")
    @classmethod
    def _adapter_names(cls, value: dict[str, DeclaredAdapter]) -> dict[str, DeclaredAdapter]:
        for name in value:
            check_setting_name(name)
        return value

    @model_validator(mode="after")
    def _declared_somewhere(self) -> Self:
        if self.adapters and self.registry is None:
            raise ValueError("adapters are declared, but there is no registry to bring them into: set 'registry'")
        return self

    @field_validator("api_keys")
    @classmethod
    def _no_empty_key(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(not key.get_secret_value() for key in value):
            raise ValueError("an empty string is no key")
        return value

    @model_validator(mode="after")
    def _guarded_beyond_loopback(self) -> Self:
        if not self.api_keys and not is_loopback(self.host):
            raise ValueError(f"host {self.host} is not loopback, so clients need keys: set 'api_keys'")
        if not self.admin_token and not self.admin_tokens and not is_loopback(self.admin_host):
            raise ValueError(f"admin_host {self.admin_host} is not loopback, so a token is needed: set 'admin_token'")
        if self.port == self.admin_port != 0 and self.host == self.admin_host:
            raise ValueError(f"port and admin_port are both {self.port}: set two different ones")
        return self


def _port_is_valid(url: str) -> bool:
    try:
        port = urlsplit(url).port
    except ValueError:
        return False
    return port is None or port > 0
