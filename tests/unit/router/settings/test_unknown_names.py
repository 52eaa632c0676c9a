from typing import Any

from patchbay.registry.records import Snapshot
from patchbay.router.fleet.snapshot import Target
from patchbay.router.settings.config import PolicyConfig
from patchbay.router.settings.unknown_names import KnownNames, known_names, unknown_names

KNOWN = KnownNames(tenants=frozenset({"default", "acme"}), models=frozenset({"tiny", "sql", "sql@1"}))


def said(known: KnownNames = KNOWN, **config: Any) -> list[str]:
    return list(unknown_names(PolicyConfig.model_validate(config), known))


def test_a_tenant_and_a_model_that_are_nowhere_known_are_said_with_the_nearest() -> None:
    routes = {"a": {"model": "tinyy", "tenants": ["acmee"]}, "b": "sql@1", "c": {"model": "tiny", "fallbacks": ["b"]}}
    tenant, model = said(routes=routes)
    assert tenant == "routes.a.tenants: there is no tenant 'acmee' (did you mean 'acme'?)"
    assert model == "routes.a: nothing is called 'tinyy' (did you mean 'tiny'?)"


def test_a_price_and_a_revision_that_name_nothing_are_said() -> None:
    prices = {"default": {"prompt": 1}, "support": {"prompt": 1}, "sql": {"prompt": 1}}
    revision, price = said(routes={"a": "sql@7"}, prices=prices)
    assert revision == "routes.a: there is no revision 'sql@7'"
    assert price.startswith("prices.support: ")


def test_what_nobody_can_tell_yet_is_not_said() -> None:
    routes = {"a": {"model": "tinyy", "tenants": ["acmee"]}}
    assert not said(KnownNames(tenants=None, models=None), routes=routes)
    assert not said(
        known_names(None, {"tinyy": Target(label="tinyy", engine_name="tinyy", revision=None, replicas=())}, {}),
        routes=routes,
    )
    (tenant,) = said(known_names(Snapshot(generation=1, adapters={}), None, {}), routes=routes)
    assert "acmee" in tenant
