"""Whose key it is: from a request's headers to the tenant and what the key opens. Pure, over a snapshot."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from patchbay.core.errors import Forbidden, Unauthorized, Unavailable
from patchbay.core.tenancy import DEFAULT_TENANT, Limits, key_digest, key_id, same_digest
from patchbay.registry.records import Access, Scope
from patchbay.router.tenants.config import DEFAULT_TIER, TenantsConfig, TierConfig
from patchbay.router.tenants.role_keys import shown_key

_NOBODY = "0" * 64
# Made once, since each request makes a client of these.
_TIER, _LIMITS, _SCOPE = TierConfig(), Limits(), Scope()


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks. `key`: the key's id, empty where there is none; `limits`: the tenant's own over its tier's;
    `configured`: what stands for a key of the configuration, which has no id."""

    tenant: str = DEFAULT_TENANT
    key: str = ""
    tier: TierConfig = _TIER
    limits: Limits = _LIMITS
    scope: Scope = _SCOPE
    tier_name: str = DEFAULT_TIER
    configured: bytes = b""

    def may_call_route(self, name: str) -> bool:
        """Whether the key opens that route."""
        return self.opens_all or name in (self.scope.routes or ())

    def may_use_adapter(self, name: str) -> bool:
        """Whether the key opens that adapter, or base, by its bare name."""
        return self.opens_all or name in (self.scope.adapters or ())

    @property
    def opens_all(self) -> bool:
        """A key that names routes or adapters opens those and nothing else."""
        return self.scope.routes is None and self.scope.adapters is None


@dataclass(frozen=True, slots=True)
class _Known:
    digest: str
    client: Client | None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Clients:
    """The keys at one moment. `is_open`: whether requests without a key are answered, which is so where there are none
    at all; the configuration then binds only to loopback. `known_yet`: whether the registry's keys have been
    read: before that nobody is let in, whatever they show."""

    is_open: bool
    default: Client
    fixed: Mapping[str, Client] = field(repr=False)
    known: Mapping[str, _Known] = field(repr=False)
    utc_now: Callable[[], datetime]
    known_yet: bool = True

    def identify(self, headers: Iterable[tuple[bytes, bytes]]) -> Client:
        """Whose key `headers` show, as a bearer token or as Anthropic's `x-api-key`. Raises Unauthorized, Forbidden
        where the tenant is disabled, and Unavailable as long as keys cannot be known.

        A key is found by its id, which is no secret, and compared in constant time; one that nobody has is compared as
        well. Configured keys are all compared.
        """
        if not self.known_yet:
            raise Unavailable("Keys cannot be checked: the registry has not been read since this router started.")
        if self.is_open:
            return self.default
        shown = shown_key(headers)
        if not shown:
            raise Unauthorized("You didn't provide an API key.", hint="Send it as 'Authorization: Bearer KEY'.")
        digest = key_digest(shown)
        found = [client for known, client in self.fixed.items() if same_digest(known, digest)]
        if found:
            return found[0]
        record = self.known.get(key_id(shown) or "") or _Known(_NOBODY, None)
        if not same_digest(record.digest, digest) or self._over(record):
            raise Unauthorized("Incorrect API key provided.")
        if record.client is None:
            raise Forbidden("This key's tenant is disabled.")
        return record.client

    def _over(self, record: _Known) -> bool:
        return record.expires_at is not None and record.expires_at <= self.utc_now()


def clients_of(
    api_keys: Iterable[str],
    access: Access | None,
    config: TenantsConfig,
    *,
    must_show: bool,
    utc_now: Callable[[], datetime],
) -> Clients:
    """The clients by the configuration's own keys, whose tenant is `default`, and by the registry's. `must_show`:
    whether a key is asked for even where there is none; `access`: None where the registry could not be read yet."""
    known_yet, access = access is not None, access or Access()
    tenants = {one.name: one for one in access.tenants}
    own = tenants.get(DEFAULT_TENANT)
    name = own.tier if own else DEFAULT_TIER
    tier = config.tier(name)
    default = Client(tier=tier, limits=own.limits.over(tier.limits) if own else tier.limits, tier_name=name)
    fixed = {
        key_digest(key.encode()): replace(default, configured=b"configured:%d" % place)
        for place, key in enumerate(api_keys)
    }
    made: dict[str, _Known] = {}
    for key in access.keys:
        tenant = tenants.get(key.tenant)
        if tenant is None:
            continue
        tier = config.tier(tenant.tier)
        client = Client(tenant.name, key.id, tier, tenant.limits.over(tier.limits), key.scope, tenant.tier)
        made[key.id] = _Known(key.digest, None if tenant.disabled else client, key.expires_at)
    is_open = known_yet and not must_show and not fixed and not access.keyed
    return Clients(is_open, default, fixed, made, utc_now, known_yet)
