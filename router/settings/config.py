"""The configuration of the router."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from patchbay.adapters.config import MAX_RANK, DeclaredAdapter, RegistryConfig, with_sources
from patchbay.core.errors import ConfigError
from patchbay.core.names import meant
from patchbay.core.secret import Secret
from patchbay.core.setting_faults import Fault, glued_key, placed, placed_faults
from patchbay.core.settings import REPLICA_NAME, ConfigPath, Settings, check_setting_name, is_loopback, replica_url
from patchbay.guards.config import GuardsConfig
from patchbay.router.admission.config import AdmissionConfig
from patchbay.router.balance import budget, outliers, suspicion
from patchbay.router.balance.pick import Weights
from patchbay.router.canary.config import CanaryConfig, DeclaredCanary
from patchbay.router.canary.metric_coverage import Subject, checked
from patchbay.router.canary.served import Served, served_of
from patchbay.router.responses.config import ResponsesConfig
from patchbay.router.routes.config import RoutesConfig
from patchbay.router.telemetry.answer_metrics import DEFAULT_SERIES
from patchbay.router.telemetry.logs import LogFormat
from patchbay.router.telemetry.tracing import TracingConfig
from patchbay.router.tenants.config import CountersConfig, TenantsConfig
from patchbay.router.tenants.role_keys import Role

REGISTRY = "registry"
# A replica takes minutes to come back, and a client that repeats a request may wait for that.
_DEATH_COUNTS_S = 1800.0
HostName = Annotated[str, Field(pattern=r"^(\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)$", max_length=253)]
Origin = Annotated[str, Field(pattern=r"^(\*|null|[a-z][a-z0-9+.-]*://[^/\s]+)$", max_length=300)]
_DISCOVERED = "dns+http://"
_SCHEMES = ("http", "https", "dns+http")


class ReplicaConfig(Settings):
    """One replica. `token`: what the router shows it as a bearer token; `name`: by default its host and port;
    `pool`: what routes may ask for by that name.

    `dns+http://HOST:PORT` stands for all addresses that HOST has in DNS, as of a headless service: a replica each.
    `registry` stands for those that `patchbay replicas add` put into the registry.
    """

    url: str
    token: Secret | None = None
    name: str | None = Field(default=None, pattern=f"^{REPLICA_NAME.pattern}$")
    pool: str = Field(default="default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")

    @field_validator("url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        if value == REGISTRY:
            return value
        try:
            return replica_url(value, _SCHEMES)
        except ConfigError as error:
            raise ValueError(str(error).rstrip(".")) from error

    @property
    def discovered(self) -> bool:
        """Whether this stands for however many replicas there are: by a name in DNS, or by the registry."""
        return self.url == REGISTRY or self.url.startswith(_DISCOVERED)

    @property
    def label(self) -> str:
        """The replica's name in headers, metrics and logs."""
        return self.name or urlsplit(self.url).netloc


class AdminToken(Settings):
    """A token of the admin port. `name`: what the audit calls who shows it; `role`: what they may do."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@:-]{0,127}$")
    token: Secret
    role: Role = "viewer"


class BalanceConfig(Settings):
    """Weights for picking a replica: that it holds the revision (`residency`), that it likely has the
    prompt's beginning in its cache (`prefix`), that few requests are at it (`queue`), that its KV cache is free (`kv`).
    `bound`: how many requests a replica may have, over the mean of all, before others are preferred to it."""

    residency: float = Field(default=2, ge=0)
    prefix: float = Field(default=1, ge=0)
    queue: float = Field(default=2, ge=0)
    kv: float = Field(default=1, ge=0)
    bound: float = Field(default=1.25, ge=1)

    @property
    def weights(self) -> Weights:
        """These numbers as `pick` takes them."""
        return Weights(residency=self.residency, prefix=self.prefix, queue=self.queue, kv=self.kv, bound=self.bound)


class BreakerConfig(Settings):
    """Ejection of replicas that fail (outlier ejection). One is left alone after `failures` in a row (not reached, hung
    up, silent, 502, 503, 504), or `errors` in a row (those, and a 500 to what another replica could answer), for
    `open_s` seconds, for twice as long each next time, for `max_open_s` at most; then it is asked by one request at a
    time until one is answered.

    Also where it fails more often than its peers: in `interval_s` seconds it gave at least `answers`, and its share of
    good ones is `deviations` standard deviations, and a tenth, below theirs.

    `share`: how much of the fleet may be left alone at a time; one replica always may, but not the last that answers.
    """

    failures: int = Field(default=5, ge=1)
    errors: int = Field(default=5, ge=1)
    open_s: float = Field(default=1, gt=0)
    max_open_s: float = Field(default=30, gt=0)
    share: float = Field(default=0.5, ge=0, le=1)
    interval_s: float = Field(default=10, gt=0)
    answers: int = Field(default=20, ge=2)
    deviations: float = Field(default=3, gt=0)

    @property
    def policy(self) -> outliers.OutlierPolicy:
        """These numbers as the detection of outliers takes them."""
        return outliers.OutlierPolicy(
            failures=self.failures,
            open_s=self.open_s,
            max_open_s=self.max_open_s,
            errors=self.errors,
            share=self.share,
            interval_s=self.interval_s,
            answers=self.answers,
            deviations=self.deviations,
        )


class RetryConfig(Settings):
    """Limits of retries on another replica: `share` of the requests, `per_second` more, `burst` saved up.
    `backoff_s`, `max_backoff_s`: the random wait before a try is at most the first, twice as much each next time, up to
    the second. `deaths`: a request under which so many replicas in a row died, and said nothing, is not tried on
    another; where nothing else explains that, requests like it are held off for `hold_s` seconds, for twice as long
    each next time, for `max_hold_s` at most. `hedge_after_s`: after this long without a first byte a second replica is
    asked as well; off without."""

    share: float = Field(default=0.2, ge=0)
    per_second: float = Field(default=10, ge=0)
    burst: float = Field(default=1000, ge=0)
    backoff_s: float = Field(default=0.025, ge=0)
    max_backoff_s: float = Field(default=1, ge=0)
    deaths: int = Field(default=2, ge=2)
    hold_s: float = Field(default=30, gt=0)
    max_hold_s: float = Field(default=3600, gt=0)
    hedge_after_s: float | None = Field(default=None, gt=0)

    @property
    def policy(self) -> budget.RetryPolicy:
        """The budget's numbers."""
        return budget.RetryPolicy(share=self.share, per_second=self.per_second, burst=self.burst)

    @property
    def suspicion(self) -> suspicion.SuspicionPolicy:
        """The numbers that suspicion of a kind of request goes by."""
        return suspicion.SuspicionPolicy(
            deaths=self.deaths, window_s=_DEATH_COUNTS_S, hold_s=self.hold_s, max_hold_s=self.max_hold_s
        )


class StreamConfig(Settings):
    """Streams to clients. `heartbeat_s`: the silence after which a comment is sent, so that no balancer on the way cuts
    the stream, by default 15; null for none."""

    heartbeat_s: float | None = Field(default=15, gt=0)


class PolicyConfig(RoutesConfig, TenantsConfig, GuardsConfig):
    """The part of the configuration that can be read anew while the router runs. `accept_weaker`: what may protect less
    than before when it is read anew, by the names that the refusal tells, such as `routes.desk.guards`."""

    accept_weaker: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_what_there_is(self) -> Self:
        if faults := [*self._unknown_guards(), *self._unknown_routes()]:
            raise placed_faults(faults)
        return self

    def _unknown_guards(self) -> Iterator[Fault]:
        for name, entry in self.routes.items():
            for place, guard in enumerate(entry.guards):
                if guard not in self.guards:
                    words = f"there is no guard '{guard}' under 'guards' ({meant(guard, self.guards)})"
                    yield Fault(("routes", name, "guards", place), words)

    def _unknown_routes(self) -> Iterator[Fault]:
        named: list[tuple[tuple[str, ...], str | None]] = [
            *((("guards", name, "route"), guard.route) for name, guard in self.guards.items()),
            *(
                (("tiers", name, "degrade", "route"), tier.degrade.route)
                for name, tier in self.tiers.items()
                if tier.degrade
            ),
        ]
        for keys, route in named:
            if route is not None and route not in self.routes:
                yield Fault(keys, f"there is no route '{route}' under 'routes' ({meant(route, self.routes)})")


def check_canaries(declared: Mapping[str, DeclaredCanary], served: Served) -> None:
    """Refuses, for a model's validator, the canaries whose plans name what would see nothing."""
    faults = []
    for name, wish in declared.items():
        try:
            checked(wish.plan, Subject(name), served)
        except ConfigError as error:
            faults.append(Fault(("canaries", name, "plan"), str(error).rstrip(".")))
    if faults:
        raise placed_faults(faults)


class RouterConfig(PolicyConfig):
    """The router. Without `api_keys`, and without a registry that could have keys, the public port is bound only to
    loopback, without `admin_token` the admin port.

    Without `admin_token` and `admin_tokens` the admin port is opened by the token in the user directory (`patchbay
    admin token`), or by nothing with `admin_open`, on loopback only. `hosts`, `admin_hosts`: the names that a port is
    asked by, `*.NAME` for all below one, `*` for any; IP addresses, `localhost` and what it is bound to need not be
    told. `cors_origins`: the web pages that may use the public port from a browser, such as `https://chat.example`,
    `*` for any.

    `read_timeout_s`: how long a replica may be silent, before its answer and within it; `head_timeout_s` and
    `body_timeout_s`: how long a client may take to send a request's head, and its body; `idle_timeout_s`: how long its
    connection may be open without a request, which must be longer than a balancer in front keeps one;
    `poll_timeout_s`: how long a replica may take to tell its state; `carry_timeout_s`: how long a stream whose replica
    died may wait for another to go on with it; `request_timeout_s`: how long any answer may take in all, without it as
    long as its client waits; `dns_interval_s`: how often names of replicas are looked up.

    Asked to end, it finishes what runs for at most `drain_timeout_s` and has ended `end_timeout_s` after that: what
    hangs then is cut off. It is ended, too, where its event loop stands still for `stall_timeout_s`.

    `max_bodies_mib`: what the bodies of all requests that are under way may take together; one over 64 KiB that is too
    much is told to come again (503).
    `max_body_elements`: how many values, keys, lists and objects the JSON of a request may have in all: what it costs
    grows with them.

    `guard_cache`: where the compiled rules of guards are kept, by default in the user's cache; `guard_key`: what the
    marks of their findings, and hashes of prompts in the access log, are made with, by default another one each start.

    `cache_mib`: answers of routes with a `cache` that are kept in memory.

    `reuse_port`: lets a second router listen on the same port (SO_REUSEPORT), which takes over from this one when this
    one drains. `tokenizer_endpoints`: whether clients may use `/tokenize` and `/detokenize`; `feedback_ids`: how many
    answers back votes are taken. `metrics_series`: the sets of labels that metrics of answers have at most; what comes
    beyond is counted together. `tracing`: where traces go, nowhere without it. `log_format`:
    of the log on standard error, `json` for an object a line; `access_log`: whether each request gets a line.

    With a `registry` (`{}` for the default one) names mean what its channels say, the replicas are made to hold that,
    and its tenants and keys count; without one none do. `adapters` are brought into it. `policy_file`: where `routes`,
    `auto`, `guards`, `guard_all`, `tiers` and `prices` are read anew from. `name`: what it is called there, by default
    by its machine and process; `registry_poll_s`: how often it is looked at; `rollout_timeout_s`: how long replicas may
    take to get a revision.
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
    api_keys: tuple[Secret, ...] = ()
    admin_token: Secret | None = None
    admin_tokens: tuple[AdminToken, ...] = ()
    admin_open: bool = False
    hosts: tuple[HostName, ...] = ()
    admin_hosts: tuple[HostName, ...] = ()
    cors_origins: tuple[Origin, ...] = ()
    replicas: tuple[ReplicaConfig, ...] = ()
    max_body_bytes: int = Field(default=10 * 1024 * 1024, ge=1024)
    max_bodies_mib: int = Field(default=256, ge=1)
    max_body_elements: int = Field(default=150_000, ge=1000)
    connect_timeout_s: float = Field(default=5, gt=0)
    read_timeout_s: float = Field(default=600, gt=0)
    head_timeout_s: float = Field(default=30, gt=0)
    body_timeout_s: float = Field(default=60, gt=0)
    idle_timeout_s: float = Field(default=75, gt=0)
    carry_timeout_s: float = Field(default=15, ge=0)
    poll_interval_s: float = Field(default=1.0, gt=0)
    poll_interval_unready_s: float = Field(default=0.2, gt=0)
    poll_timeout_s: float = Field(default=5, gt=0)
    drain_timeout_s: float = Field(default=30, ge=0)
    end_timeout_s: float = Field(default=10, gt=0)
    stall_timeout_s: float = Field(default=60, ge=5)
    dns_interval_s: float = Field(default=5, gt=0)
    request_timeout_s: float | None = Field(default=None, gt=0)
    reuse_port: bool = False
    tokenizer_endpoints: bool = False
    feedback_ids: int = Field(default=50_000, ge=0)
    metrics_series: int = Field(default=DEFAULT_SERIES, ge=1)
    tracing: TracingConfig | None = None
    log_format: LogFormat = "text"
    access_log: bool = False
    balance: BalanceConfig = BalanceConfig()
    breaker: BreakerConfig = BreakerConfig()
    retry: RetryConfig = RetryConfig()
    admission: AdmissionConfig = AdmissionConfig()
    stream: StreamConfig = StreamConfig()
    counters: CountersConfig = CountersConfig()
    responses: ResponsesConfig = ResponsesConfig()
    cache_mib: int = Field(default=64, ge=1)
    canary: CanaryConfig = CanaryConfig()
    canaries: dict[str, DeclaredCanary] = Field(default_factory=dict)
    policy_file: ConfigPath | None = None
    guard_cache: ConfigPath | None = None
    guard_key: Secret | None = None

    @property
    def served(self) -> Served:
        """The routes, guards, votes and pools of this router, which canaries are judged by."""
        pools = {replica.pool for replica in self.replicas}
        return served_of(self, votes=self.feedback_ids > 0, pools=pools, reserved=self.canary.reserved_pools)

    @property
    def own_token(self) -> bool:
        """Whether the admin port is opened by the token in the user directory."""
        return not (self.admin_open or self.admin_tokens or self.admin_token is not None)

    @field_validator("replicas", mode="before")
    @classmethod
    def _url_is_enough(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        plain = (isinstance(entry, str) and glued_key(entry, ReplicaConfig.model_fields) is None for entry in value)
        return [{"url": entry} if bare else entry for entry, bare in zip(value, plain, strict=True)]

    @field_validator("replicas")
    @classmethod
    def _named_differently(cls, value: tuple[ReplicaConfig, ...]) -> tuple[ReplicaConfig, ...]:
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

    @field_validator("adapters", "canaries")
    @classmethod
    def _adapter_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            check_setting_name(name)
        return value

    @model_validator(mode="after")
    def _declared_somewhere(self) -> Self:
        if self.adapters and self.registry is None:
            raise ValueError("adapters are declared, but there is no registry to bring them into: set 'registry'")
        if self.canaries and self.registry is None:
            raise ValueError("canaries are declared, but there is no registry to run them by: set 'registry'")
        if self.registry is None and any(replica.url == REGISTRY for replica in self.replicas):
            raise ValueError("the replicas are to be found in the registry, but there is none: set 'registry'")
        return self

    @model_validator(mode="after")
    def _some_pool_is_open(self) -> Self:
        reserved = self.canary.reserved_pools
        if reserved and all(replica.pool in reserved for replica in self.replicas):
            raise ValueError("every replica is in a pool of canary.reserved_pools, so nobody would be answered")
        return self

    @model_validator(mode="after")
    def _canaries_see_something(self) -> Self:
        check_canaries(self.canaries, self.served)
        return self

    @field_validator("api_keys")
    @classmethod
    def _no_empty_key(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(not key.get_secret_value() for key in value):
            raise ValueError("an empty string is no key")
        return value

    @model_validator(mode="after")
    def _guarded_beyond_loopback(self) -> Self:
        if not self.api_keys and self.registry is None and not is_loopback(self.host):
            raise placed(("host",), f"{self.host} is not loopback, so clients need keys: set 'api_keys' or 'registry'")
        if not self.admin_token and not self.admin_tokens and not is_loopback(self.admin_host):
            raise placed(("admin_host",), f"{self.admin_host} is not loopback, so a token is needed: set 'admin_token'")
        if self.admin_open and not is_loopback(self.admin_host):
            raise ValueError(f"admin_open is for loopback only, and admin_host is {self.admin_host}: set 'admin_token'")
        if self.admin_open and (self.admin_token or self.admin_tokens):
            raise ValueError("admin_open means that there is no token, but one is set: leave one of the two out")
        if self.port == self.admin_port != 0 and self.host == self.admin_host:
            raise ValueError(f"port and admin_port are both {self.port}: set two different ones")
        return self
