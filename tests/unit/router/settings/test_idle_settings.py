from typing import Any

from patchbay.router.settings.config import RouterConfig
from patchbay.router.settings.idle_settings import idle_settings, open_to_all

TENANTED: dict[str, Any] = {
    "replicas": ["http://127.0.0.1:9001"],
    "routes": {
        "all": "base",
        "ours": {"model": "base", "tenants": ["default"]},
        "acmes": {"model": "b", "tenants": ["acme"]},
    },
    "tiers": {"default": {}, "pro": {}},
    "guards": {"pii": {"kind": "rules", "sets": ["pii"], "tenants": {"acme": {"off": True}}}},
}


def test_without_a_registry_what_names_tenants_is_said_to_be_idle() -> None:
    said = list(idle_settings(RouterConfig.model_validate(TENANTED)))
    assert [one.partition(":")[0] for one in said] == ["tiers pro", "routes.acmes.tenants", "guards.pii.tenants"]
    assert all("registry: {}" in one for one in said)


def test_an_open_port_says_how_it_is_closed_as_things_are() -> None:
    assert "registry" not in open_to_all("http://x", has_registry=True)
    assert "registry: {}" in open_to_all("http://x", has_registry=False)
