"""From one configuration to one for each process."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from patchbay.core.settings import load_yaml, parse_settings
from patchbay.launch import plan
from patchbay.launch.config import PatchbayConfig
from patchbay.launch.plan import make_plan, port_uses, ready_report, router_config, server_configs
from patchbay.launch.rundir import write_settings
from patchbay.router.settings.config import RouterConfig

_TOKEN = SecretStr("a-token")


def _config(**sections: object) -> PatchbayConfig:
    return PatchbayConfig.model_validate({"base": "org/model", **sections})


@pytest.fixture(autouse=True)
def _four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "available_cores", lambda: [0, 1, 2, 3])


def test_replicas_differ_by_name_port_and_cores() -> None:
    config = _config(replicas={"count": 2, "drain_timeout_s": 7}, router={"max_body_bytes": 2048})
    servers = server_configs(config, _TOKEN)
    assert [(server.name, server.port, server.engine.cpu_cores) for server in servers] == [
        ("replica-0", 9001, "0-1"),
        ("replica-1", 9002, "2-3"),
    ]
    assert all(server.token == _TOKEN and server.host == "127.0.0.1" for server in servers)
    assert all((server.drain_timeout_s, server.max_body_bytes) == (7, 2048) for server in servers)


def test_cores_that_are_set_stay() -> None:
    servers = server_configs(_config(replicas={"count": 2}, engine={"cpu_cores": "1"}), _TOKEN)
    assert [server.engine.cpu_cores for server in servers] == ["1", "1"]


def test_the_router_fronts_every_replica_with_its_token() -> None:
    config = _config(replicas={"count": 2}, router={"port": 8010, "api_keys": ["k"]})
    router = router_config(config, server_configs(config, _TOKEN))
    assert [(one.name, one.url, one.token) for one in router.replicas] == [
        ("replica-0", "http://127.0.0.1:9001", _TOKEN),
        ("replica-1", "http://127.0.0.1:9002", _TOKEN),
    ]
    assert (router.port, router.api_keys) == (8010, (SecretStr("k"),))


POOLS = {"search": {"base": {"model": "org/minilm", "task": "embed"}, "replicas": 2}, "rank": {"base": "org/plain"}}


def test_pools_have_replicas_of_their_own_behind_the_others_and_take_no_adapters() -> None:
    config = _config(replicas={"count": 1}, pools=POOLS, adapters={"sql": "./sql"})
    servers = server_configs(config, _TOKEN)
    assert [(one.port, one.base.served_name, one.takes_adapters, one.engine.cpu_cores) for one in servers] == [
        (9001, "model", True, "0"),
        (9002, "minilm", False, "1"),
        (9003, "minilm", False, "2"),
        (9004, "plain", False, "3"),
    ]
    assert [one.expected_adapters for one in servers] == [1, 0, 0, 0]
    router = router_config(config, servers)
    assert [one.pool for one in router.replicas] == ["default", "search", "search", "rank"]
    assert [use.port for use in port_uses(config)] == [8080, 8081, 9001, 9002, 9003, 9004]
    report = ready_report(config)
    assert (report.replicas, report.pools) == (4, {"minilm": "embed", "plain": "generate"})


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"pools": {"default": {"base": "org/x"}}}, "'default' is the pool of the replicas with adapters"),
        ({"pools": {"a": {"base": "other/model"}}}, "there is another model 'model'"),
        ({"pools": {"a": {"base": "x/sql"}}, "adapters": {"sql": "./sql"}}, "there is another model 'sql'"),
        ({"pools": POOLS, "routes": {"r": {"model": "minilm", "pool": "serch"}}}, "the pools default, search, rank"),
        ({"pools": POOLS, "replicas": {"first_port": 65533}}, "4 replicas need ports above 65535"),
        ({"pools": POOLS, "router": {"port": 9003}}, "port 9003"),
        ({"base": {"model": "x", "task": "embed"}, "adapters": {"a": "./a"}}, "takes no adapters"),
        ({"base": {"model": "x", "task": "embedding"}}, "'generate', 'embed' or 'score'"),
    ],
)
def test_pools_that_cannot_be_are_refused(sections: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _config(**sections)
    assert words in str(refused.value)


def test_the_router_is_told_how_to_log_and_where_traces_go(tmp_path: Path) -> None:
    tracing = {"endpoint": "http://otel:4318", "sample": 0.1, "headers": {"x-key": "collector-key"}}
    config = _config(router={"log_format": "json", "access_log": True, "tracing": tracing, "metrics_series": 9})
    file = write_settings(router_config(config, server_configs(config, _TOKEN)), tmp_path / "router.yaml")
    router = parse_settings(RouterConfig, load_yaml(file), source="router")
    assert (router.log_format, router.access_log, router.metrics_series) == ("json", True, 9)
    assert router.tracing is not None
    assert (router.tracing.endpoint, router.tracing.sample) == ("http://otel:4318/v1/traces", 0.1)
    assert router.tracing.headers["x-key"].get_secret_value() == "collector-key"


def test_tokens_are_made_anew_and_never_in_a_command(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plans = [make_plan(_config(), tmp_path / name) for name in "ab"]
    written = [(tmp_path / name / "replica-0.yaml").read_text() for name in "ab"]
    tokens = [next(line for line in text.splitlines() if line.startswith("token:")).split()[1] for text in written]
    assert tokens[0] != tokens[1]
    assert all(len(token) > 30 for token in tokens)
    assert not any(token in str(plans) for token in tokens)


def test_more_replicas_than_cores_are_remarked_upon(tmp_path: Path) -> None:
    notes = make_plan(_config(replicas={"count": 5}), tmp_path).notes
    assert notes == (
        "model with 0 adapters, on 5 replicas",
        "5 replicas share 4 CPU cores: on a CPU, fewer replicas would be faster",
    )


def test_an_adapter_with_the_bases_name_is_refused_before_anything_starts() -> None:
    with pytest.raises(ValidationError, match="the base model is called 'model', too"):
        _config(adapters={"model": "/x"})


def test_replicas_get_the_store_and_the_router_gets_the_registry_and_what_is_declared() -> None:
    config = _config(adapters={"sql": "/x"}, registry={"artifacts": {"url": "s3://bucket/a"}})
    (server,) = server_configs(config, SecretStr("t"))
    assert (server.artifacts.url, server.expected_adapters) == ("s3://bucket/a", 1)
    router = router_config(config, [server])
    assert (router.registry, set(router.adapters), router.max_rank) == (config.registry, {"sql"}, 16)


def test_every_port_is_checked() -> None:
    uses = [(use.port, use.setting) for use in port_uses(_config(replicas={"count": 2}))]
    assert uses == [
        (8080, "router.port (or --port)"),
        (8081, "router.admin_port (or --admin-port)"),
        (9001, "replicas.first_port"),
        (9002, "replicas.first_port"),
    ]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8080/v1"),
        ("::", "http://[::1]:8080/v1"),
        ("localhost", "http://localhost:8080/v1"),
    ],
)
def test_the_url_can_be_called_from_here(host: str, url: str) -> None:
    report = ready_report(_config(router={"host": host, "api_keys": ["k"]}, adapters={"sql": "/sql"}))
    assert report.url == url
    assert (report.base, report.adapters, report.needs_key) == ("model", ("sql",), True)
