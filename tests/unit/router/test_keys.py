from datetime import UTC, datetime, timedelta

import pytest

from patchbay.core.errors import Forbidden, Unauthorized, Unavailable
from patchbay.core.tenancy import Limits, NewKey, new_key
from patchbay.registry.records import Access, KeyRecord, Scope, TenantRecord
from patchbay.router.tenants.clients import Clients, clients_of
from patchbay.router.tenants.config import TenantsConfig, TierConfig

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TIERS = TenantsConfig(tiers={"pro": TierConfig(weight=3, limits=Limits(requests_per_minute=9, concurrent=2))})


def record(key: NewKey, *, expires_at: datetime | None = None, scope: Scope | None = None) -> KeyRecord:
    return KeyRecord(
        id=key.id,
        tenant="acme",
        digest=key.digest,
        note="",
        scope=scope or Scope(),
        created_by="me",
        created_at=NOW,
        expires_at=expires_at,
    )


def tenant(*, disabled: bool = False) -> TenantRecord:
    return TenantRecord(
        name="acme", tier="pro", limits=Limits(requests_per_minute=5), disabled=disabled, created_at=NOW
    )


def clients(*api_keys: str, access: Access | None = None, must_show: bool = False) -> Clients:
    return clients_of(api_keys, access or Access(), TIERS, must_show=must_show, utc_now=lambda: NOW)


RING = clients("sk-one", "sk-two")


def bearer(key: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {key}".encode())]


@pytest.mark.parametrize("name", [b"Bearer sk-one", b"bearer sk-two", b"Bearer  sk-one "])
def test_any_of_the_keys_opens(name: bytes) -> None:
    assert RING.identify([(b"authorization", name)]).tenant == "default"


def test_anthropics_header_opens_too() -> None:
    assert RING.identify([(b"x-api-key", b"sk-two")]).tenant == "default"


@pytest.mark.parametrize("value", [b"Bearer sk-three", b"Bearer sk-on", b"Bearer ", b"Basic sk-one", b"sk-one", b""])
def test_anything_else_is_refused(value: bytes) -> None:
    with pytest.raises(Unauthorized):
        RING.identify([(b"authorization", value)])


def test_no_header_is_refused_with_a_hint() -> None:
    with pytest.raises(Unauthorized, match="Authorization: Bearer"):
        RING.identify([])


def test_no_keys_at_all_are_an_open_door_on_loopback_and_a_closed_one_elsewhere() -> None:
    assert clients().identify([]).tenant == "default"
    with pytest.raises(Unauthorized):
        clients(must_show=True).identify([])


def test_a_door_that_ever_had_a_key_does_not_open_when_the_last_one_is_revoked() -> None:
    with pytest.raises(Unauthorized):
        clients(access=Access(keyed=True)).identify([])


def test_a_registrys_key_is_its_tenants_with_its_limits_over_its_tiers() -> None:
    key = new_key()
    found = clients(access=Access((tenant(),), (record(key),), keyed=True)).identify(bearer(key.text))
    assert (found.tenant, found.key, found.tier.weight) == ("acme", key.id, 3)
    assert found.limits == Limits(requests_per_minute=5, concurrent=2)


def test_a_right_id_with_a_wrong_secret_is_refused() -> None:
    key, other = new_key(), new_key()
    wrong = f"pb-{key.id}-{other.text.split('-', 2)[2]}"
    with pytest.raises(Unauthorized):
        clients(access=Access((tenant(),), (record(key),), keyed=True)).identify(bearer(wrong))


def test_a_key_that_has_expired_is_refused_and_one_that_will_is_not() -> None:
    old, fresh = new_key(), new_key()
    records = (record(old, expires_at=NOW), record(fresh, expires_at=NOW + timedelta(seconds=1)))
    ring = clients(access=Access((tenant(),), records, keyed=True))
    assert ring.identify(bearer(fresh.text)).key == fresh.id
    with pytest.raises(Unauthorized):
        ring.identify(bearer(old.text))


def test_a_tenant_whose_tier_is_unknown_is_refused_and_not_unlimited() -> None:
    key, own = new_key(), TenantRecord(name="default", tier="gold", limits=Limits(), disabled=False, created_at=NOW)
    lost = TenantRecord(name="acme", tier="gold", limits=Limits(), disabled=False, created_at=NOW)
    ring = clients("sk-one", access=Access((lost, own), (record(key),), keyed=True))
    for shown in (key.text, "sk-one"):
        with pytest.raises(Unavailable, match="operator") as refused:
            ring.identify(bearer(shown))
        assert "gold" not in str(refused.value)
    assert ring.unknown_tiers == {"acme": "gold", "default": "gold"}
    with pytest.raises(Unavailable):
        clients(access=Access((own,))).identify([])
    with pytest.raises(Unauthorized):
        ring.identify(bearer("sk-none"))


def test_a_disabled_tenants_key_is_forbidden() -> None:
    key = new_key()
    with pytest.raises(Forbidden, match="disabled"):
        clients(access=Access((tenant(disabled=True),), (record(key),), keyed=True)).identify(bearer(key.text))


def test_a_key_with_a_scope_opens_what_it_names_and_nothing_else() -> None:
    key = new_key()
    ring = clients(access=Access((tenant(),), (record(key, scope=Scope(routes=("help",))),), keyed=True))
    found = ring.identify(bearer(key.text))
    assert found.may_call_route("help")
    assert not found.may_call_route("other")
    assert not found.may_use_adapter("sql")
