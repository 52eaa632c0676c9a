from typing import Any

import pytest

from patchbay.core.errors import ConfigError
from patchbay.core.settings import parse_settings
from patchbay.router.settings.config import RouterConfig


def parse(**settings: Any) -> RouterConfig:
    return parse_settings(RouterConfig, {"replicas": ["http://127.0.0.1:9001"], **settings}, source="test")


def test_a_bare_address_is_enough_for_a_replica() -> None:
    replica = parse(replicas=["http://host:9001/v1/"]).replicas[0]
    assert (replica.url, replica.label) == ("http://host:9001", "host:9001")


def test_defaults_bind_only_loopback() -> None:
    config = parse()
    assert (config.host, config.port, config.admin_host, config.admin_port) == ("127.0.0.1", 8080, "127.0.0.1", 8081)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"host": "0.0.0.0"}, "set 'api_keys'"),
        ({"admin_host": "10.0.0.1"}, "set 'admin_token'"),
        ({"replicas": []}, "there is no replica"),
        ({"replicas": ["http://a:1", "http://a:1"]}, "both called a:1"),
        ({"replicas": ["a:1"]}, "http://HOST:PORT"),
        ({"replicas": ["http://a:99999"]}, "http://HOST:PORT"),
        ({"replicas": ["http://user:pw@a:1"]}, "no user"),
        ({"replicas": ["http://a:1?x=1"]}, r"no '\?'"),
        ({"port": 8081}, "two different ones"),
        ({"api_keys": [""]}, "no key"),
        ({"prot": 1}, "did you mean 'port'"),
        ({"drain_timeout_s": -1}, "drain_timeout_s"),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_do(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse(**settings)


def test_with_keys_and_a_token_any_address_may_be_bound() -> None:
    config = parse(host="::", api_keys=["sk-1"], admin_host="::", admin_token="t")
    assert config.host == "::"


def test_secrets_do_not_show_in_the_configurations_text() -> None:
    config = parse(api_keys=["sk-secret"], admin_token="t-secret", replicas=[{"url": "http://a", "token": "r-secret"}])
    assert "secret" not in repr(config).replace("SecretStr", "")


@pytest.mark.parametrize("schema", [{"pattern": "(?=a)b"}, {"$ref": "http://127.0.0.1/x"}, {"type": "strnig"}])
def test_a_guards_own_schema_is_looked_at_before_the_router_starts(schema: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="no JSON schema that can be used"):
        parse(guards={"form": {"kind": "schema", "schema": schema}})
