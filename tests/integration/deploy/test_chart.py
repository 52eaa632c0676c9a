"""The chart renders, and what it renders a cluster and Patchbay itself take."""

import shutil
from pathlib import Path

import pytest
from helm_python import Chart, HelmRenderError, HelmValuesError, lint, parse_set_string

from tests.integration.deploy.charts import (
    EVERYTHING,
    MATRIX,
    NAMESPACE,
    RELEASE,
    VERSIONS,
    Object,
    chart,
    check,
    configurations,
    pods,
    put_secrets,
    rendered,
)
from tools.chart import CHART, made_files

_EACH = pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)


@_EACH
def test_helm_finds_nothing_wrong(values: Object) -> None:
    report = lint(CHART, values, strict=True)
    assert report["errors"] == []


@_EACH
def test_a_cluster_would_take_every_object(values: Object) -> None:
    for one in rendered(values):
        for version in VERSIONS:
            check(one, version)


@_EACH
def test_no_two_objects_have_one_name(values: Object) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in rendered(values)]
    assert len(names) == len(set(names))


@_EACH
def test_patchbay_takes_every_configuration(values: Object, tmp_path: Path) -> None:
    objects = rendered(values)
    put_secrets(objects, tmp_path)
    router, servers = configurations(objects, tmp_path)
    assert {replica.pool for replica in router.replicas} == servers.keys()
    assert all(server.token is not None for server in servers.values())


@_EACH
def test_the_notes_name_what_was_installed(values: Object) -> None:
    notes = chart().render(values, name=RELEASE, namespace=NAMESPACE)["patchbay/templates/NOTES.txt"]
    assert "rollout status deploy/pb-patchbay-router" in notes


def test_what_the_values_say_reaches_the_configurations(tmp_path: Path) -> None:
    objects = rendered(EVERYTHING)
    put_secrets(objects, tmp_path)
    router, servers = configurations(objects, tmp_path)
    assert router.canary.reserved_pools == ("canary",)
    assert router.canary.metrics == "prometheus"
    assert (router.counters.when_down, router.counters.redis is not None) == ("allow", True)
    assert len(router.api_keys) == 2
    assert [(token.name, token.role) for token in router.admin_tokens] == [("metrics", "viewer"), ("ci", "operator")]
    assert (router.adapters["sql"].source, router.canaries["sql"].revision) == ("s3://models/sql", 4)
    assert router.drain_timeout_s == 120
    assert {name: server.engine.tensor_parallel_size for name, server in servers.items()} == {
        "stable": 2,
        "canary": 1,
        "small": 1,
        "large": 1,
    }
    assert servers["small"].artifacts.url == "/srv/artifacts"


def test_a_pool_is_added_by_two_settings_and_the_stable_one_stays_as_it_is() -> None:
    canary = parse_set_string("pools.canary.enabled=true,pools.canary.image.tag=0.1.1-gpu")
    before = {(one["kind"], one["metadata"]["name"]): one for one in rendered({})}
    after = {(one["kind"], one["metadata"]["name"]): one for one in rendered(canary)}
    added = after[("StatefulSet", "pb-patchbay-pool-canary")]
    assert added["spec"]["template"]["spec"]["containers"][0]["image"] == "patchbay/server:0.1.1-gpu"
    stable = ("StatefulSet", "pb-patchbay-pool-stable")
    assert after[stable] == before[stable], "its replicas would start anew"
    assert before.keys() < after.keys()


def test_rules_and_dashboards_come_from_files_and_none_is_fine(tmp_path: Path) -> None:
    copy = tmp_path / "patchbay"
    shutil.copytree(CHART, copy)
    shutil.rmtree(copy / "files", ignore_errors=True)
    watched = {"monitoring": {"rules": {"enabled": True}, "dashboards": {"enabled": True}}}
    kinds = [one["kind"] for one in rendered(watched, of=copy)]
    assert "PrometheusRule" not in kinds
    (copy / "files" / "rules").mkdir(parents=True)
    (copy / "files" / "dashboards").mkdir()
    rule = 'groups:\n  - name: a\n    rules: [{alert: A, expr: up == 0, annotations: {said: "{{ $labels.pod }}"}}]\n'
    (copy / "files" / "rules" / "rules.yaml").write_text(rule)
    (copy / "files" / "dashboards" / "a_b.json").write_text('{"title": "{{route}}"}\n')
    again = tmp_path / "again" / "patchbay"
    shutil.copytree(copy, again)
    found = {(one["kind"], one["metadata"]["name"]): one for one in rendered(watched, of=again)}
    rules = found[("PrometheusRule", "pb-patchbay-rules")]
    assert rules["spec"]["groups"][0]["rules"][0]["annotations"]["said"] == "{{ $labels.pod }}"
    board = found[("ConfigMap", "pb-patchbay-dashboard-a-b")]
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert board["data"]["a_b.json"].strip() == '{"title": "{{route}}"}'


def test_the_charts_made_files_are_what_the_script_makes() -> None:
    made = made_files()
    assert {path: path.read_text() for path in made if path.exists()} == made, "run: scripts/chart-files"
    copies = {path for folder in ("rules", "dashboards") for path in (CHART / "files" / folder).glob("*.*")}
    assert copies <= made.keys(), "run: scripts/chart-files"


_WRONG: list[tuple[Object, str]] = [
    ({"routers": {}}, "routers"),
    ({"router": {"replica": 1}}, "replica"),
    ({"router": {"config": {"log_formt": "json"}}}, "log_formt"),
    ({"router": {"config": {"log_format": "xml"}}}, "log_format"),
    ({"router": {"config": {"admin_token": "s3cret"}}}, "admin_token"),
    ({"router": {"config": {"replicas": ["http://a:1"]}}}, "replicas"),
    ({"router": {"config": {"canary": {"webhook": "http://a", "webhook_token": "s3cret"}}}}, "webhook_token"),
    ({"router": {"config": {"guards": {"a": {"kind": "http", "url": "http://a", "token": "s3cret"}}}}}, "guards"),
    ({"router": {"config": {"tracing": {"endpoint": "http://a", "headers": {"k": "s3cret"}}}}}, "headers"),
    ({"artifacts": {"options": {"secret": "s3cret"}}}, "'secret'"),
    ({"poolDefaults": {"config": {"token": "s3cret"}}}, "token"),
    ({"poolDefaults": {"config": {"lora": {"max_rank": 17}}}}, "max_rank"),
    ({"poolDefaults": {"config": {"base": {"modle": "a"}}}}, "modle"),
    ({"poolDefaults": {"device": "tpu"}}, "device"),
    ({"poolDefaults": {"image": {"tag": "latest"}}}, "tag"),
    ({"poolDefaults": {"modelCache": {"kind": "shared"}}}, "existingClaim"),
    ({"pools": {"Not_A_Name": {}}}, "Not_A_Name"),
    ({"pools": {"stable": {"replicas": -1}}}, "replicas"),
    ({"secrets": {"adminToken": {"name": ""}}}, "adminToken"),
    ({"registry": {"enabled": False}}, "apiKeys"),
    ({"httpRoute": {"enabled": True}}, "parentRefs"),
]


@pytest.mark.parametrize(("values", "place"), _WRONG, ids=[str(values) for values, _ in _WRONG])
def test_wrong_values_are_refused_and_the_place_is_named(values: Object, place: str) -> None:
    with pytest.raises(HelmValuesError, match=place):
        chart().validate_schema(values)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"pools": {"stable": {"enabled": False}}}, "nobody would be answered"),
        ({"pools": {"stable": {"reserved": True}}}, "nobody would be answered"),
        (
            {"router": {"autoscaling": {"enabled": True, "minReplicas": 20}}},
            "pb-patchbay-router: autoscaling.minReplicas is above maxReplicas",
        ),
    ],
)
def test_what_no_schema_can_say_is_refused_in_a_sentence(values: Object, reason: str) -> None:
    with pytest.raises(HelmRenderError, match=reason):
        chart().render(values, name=RELEASE, namespace=NAMESPACE)


def test_the_charts_version_is_the_programs() -> None:
    assert Chart.load(CHART).metadata["appVersion"] == "0.1.0"


@_EACH
def test_every_mount_has_its_volume(values: Object) -> None:
    objects = rendered(values)
    claims = {
        f"StatefulSet {one['metadata']['name']}": [
            claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", ())
        ]
        for one in objects
        if one["kind"] == "StatefulSet"
    }
    for name, spec in pods(objects):
        there = [volume["name"] for volume in spec.get("volumes", ())] + claims.get(name, [])
        assert len(there) == len(set(there)), name
        mounts = [mount for container in spec["containers"] for mount in container.get("volumeMounts", ())]
        assert {mount["name"] for mount in mounts} == set(there), name
        assert len({mount["mountPath"] for mount in mounts}) == len(mounts), name
