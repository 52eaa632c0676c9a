"""Identification of clients: finds the tenant and the scope of the key in a request's headers. Pure, over a
snapshot."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from patchbay.core.errors import Forbidden, Unauthorized, Unavailable
from patchbay.core.tenancy import DEFAULT_TENANT, DEFAULT_TIER, Limits, key_digest, key_id, same_digest
from patchbay.registry.records import Access, Scope, TenantRecord
from patchbay.router.tenants.config import TenantsConfig, TierConfig
from patchbay.router.tenants.role_keys import shown_key

_NOBODY = "0" * 64
# Only an operator can mend this, which takes a while, so clients are told to come again later.
_OPERATOR_S = 30
# Made once, since every request would make them anew.
_TIER, _LIMITS, _SCOPE = TierConfig(), Limits(), Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The client of a request.

    `key`: the key's id, empty where there is none; `tier`, `tier_name`: the tenant's; `limits`: the tenant's own over
    its tier's; `scope`: what the key opens; `tier_known`: whether the configuration has that tier, without which the
    limits are unknown; `configured`: stands for a key of the configuration, which has no id.
    """

    tenant: str = DEFAULT_TENANT
    key: str = ""
    tier: TierConfig = _TIER
    limits: Limits = _LIMITS
    scope: Scope = _SCOPE
    tier_name: str = DEFAULT_TIER
    tier_known: bool = True
    configured: bytes = b""

    def may_call_route(self, name: str) -> bool:
        """Whether the key opens the route `name`."""
        return self.opens_all or name in (self.scope.routes or ())

    def may_use_adapter(self, name: str) -> bool:
        """Whether the key opens that adapter, or base. `name`: its bare name."""
        return self.opens_all or name in (self.scope.adapters or ())

    @property
    def opens_all(self) -> bool:
        """Whether the key opens everything. A key that names routes or adapters opens only those."""
        return self.scope.routes is None and self.scope.adapters is None


@dataclass(frozen=True, slots=True)
class _Known:
    digest: str
    client: Client | None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """The keys and tenants at one moment.

    `is_open`: whether requests without a key are answered, which is so where there are no keys at all; the
    configuration then binds only to loopback; `default`: the client of requests without a key; `fixed`: clients of the
    configuration's keys, by digest; `known`: the registry's keys, by id; `known_yet`: whether the registry's keys have
    been read: before that nobody is let in, whatever they show; `unknown_tiers`: by tenant, the tier that the
    configuration does not have: such a tenant's limits are unknown, so it is refused.
    """

    is_open: bool
    default: Client
    fixed: Mapping[str, Client] = field(repr=False)
    known: Mapping[str, _Known] = field(repr=False)
    utc_now: Callable[[], datetime]
    known_yet: bool = True
    unknown_tiers: Mapping[str, str] = field(default_factory=dict)

    def identify(self, headers: Iterable[tuple[bytes, bytes]]) -> Client:
        """Returns the client whose key is in `headers`, as a bearer token or as Anthropic's `x-api-key`.

        A key is found by its id, which is no secret, and compared in constant time; an unknown one is compared as well.
        Configured keys are all compared. Raises Unauthorized, Forbidden where the tenant is disabled, and Unavailable
        as long as keys, or the tenant's limits, cannot be known.
        """
        if not self.known_yet:
            raise Unavailable("Keys cannot be checked: the registry has not been read since this router started.")
        if self.is_open:
            return _limited(self.default)
        shown = shown_key(headers)
        if not shown:
            raise Unauthorized("You didn't provide an API key.", hint="Send it as 'Authorization: Bearer KEY'.")
        digest = key_digest(shown)
        found = [client for known, client in self.fixed.items() if same_digest(known, digest)]
        if found:
            return _limited(found[0])
        record = self.known.get(key_id(shown) or "") or _Known(_NOBODY, None)
        if not same_digest(record.digest, digest) or self._over(record):
            raise Unauthorized("Incorrect API key provided.")
        if record.client is None:
            raise Forbidden("This key's tenant is disabled.")
        return _limited(record.client)

    def _over(self, record: _Known) -> bool:
        return record.expires_at is not None and record.expires_at <= self.utc_now()


def _limited(client: Client) -> Client:
    """Returns `client`, where its limits are known. Raises Unavailable."""
    if not client.tier_known:
        raise Unavailable(
            "This server does not know your account's limits, so it refuses its requests: please tell its operator.",
            retry_after_s=_OPERATOR_S,
        )
    return client


def clients_of(
    api_keys: Iterable[str],
    access: Access | None,
    config: TenantsConfig,
    *,
    must_show: bool,
    utc_now: Callable[[], datetime],
) -> Clients:
    """Builds the clients of the configuration's own keys, whose tenant is `default`, and of the registry's.

    `access`: the registry's keys and tenants, None where it could not be read yet; `must_show`: whether a key is needed
    even where there is none; `utc_now`: the clock that keys expire by.
    """
    known_yet, access = access is not None, access or Access()
    tenants = {record.name: record for record in access.tenants}
    default = _client(tenants.get(DEFAULT_TENANT), config)
    fixed = {
        key_digest(key.encode()): replace(default, configured=b"configured:%d" % place)
        for place, key in enumerate(api_keys)
    }
    made: dict[str, _Known] = {}
    for key in access.keys:
        tenant = tenants.get(key.tenant)
        if tenant is None:
            continue
        client = replace(_client(tenant, config), key=key.id, scope=key.scope)
        made[key.id] = _Known(key.digest, None if tenant.disabled else client, key.expires_at)
    is_open = known_yet and not must_show and not fixed and not access.keyed
    unknown = {
        record.name: record.tier for record in access.tenants if not (record.disabled or config.knows_tier(record.tier))
    }
    return Clients(
        is_open=is_open,
        default=default,
        fixed=fixed,
        known=made,
        utc_now=utc_now,
        known_yet=known_yet,
        unknown_tiers=unknown,
    )


def _client(tenant: TenantRecord | None, config: TenantsConfig) -> Client:
    """Makes a client of `tenant`, or of the tenant `default` where the registry has none."""
    if tenant is None:
        tier = config.tier(DEFAULT_TIER)
        return Client(tier=tier, limits=tier.limits)
    tier, known = config.tier(tenant.tier), config.knows_tier(tenant.tier)
    limits = tenant.limits.over(tier.limits)
    return Client(tenant=tenant.name, tier=tier, limits=limits, tier_name=tenant.tier, tier_known=known)
