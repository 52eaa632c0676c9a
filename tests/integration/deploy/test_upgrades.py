"""An upgrade changes nothing that Kubernetes does not let change."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.deploy.charts import MATRIX, Object, rendered

# What each version's chart rendered of this, so that the next can be held to it. A change here is one that makes every
# installation's upgrade fail: docs/deploy.md would have to say how to go on.
_LAST = Path(__file__).parent / "immutable-0.1.0.json"


def immutable(objects: list[Object]) -> dict[str, Any]:
    """Of each workload and Service, what cannot be changed once it is there."""
    found: dict[str, Any] = {}
    for one in objects:
        spec, name = one.get("spec", {}), f"{one['kind']} {one['metadata']['name']}"
        if one["kind"] == "Deployment":
            found[name] = {"selector": spec["selector"]}
        elif one["kind"] == "StatefulSet":
            kept = ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates")
            found[name] = {key: spec.get(key) for key in kept}
        elif one["kind"] == "Service":
            found[name] = {"clusterIP": spec.get("clusterIP")}
        elif one["kind"] == "RoleBinding":
            found[name] = {"roleRef": one["roleRef"]}
    return found


@pytest.mark.parametrize("name", MATRIX)
def test_an_upgrade_from_the_last_version_changes_nothing_immutable(name: str) -> None:
    last, now = json.loads(_LAST.read_text())[name], immutable(rendered(MATRIX[name]))
    assert {key: now.get(key) for key in last} == last


@pytest.mark.parametrize(
    "changes",
    [
        {"pools": {"stable": {"image": {"tag": "0.2.0-gpu"}, "replicas": 7}}},
        {"commonLabels": {"team": "ml"}, "router": {"podLabels": {"a": "b"}}},
        {"poolDefaults": {"config": {"base": {"model": "another/model"}}, "device": "cpu"}},
        {"pools": {"canary": {"enabled": True}}},
        {"secrets": {"redisUrl": {"name": "redis"}}, "networkPolicy": {"enabled": False}},
    ],
)
def test_no_change_of_these_values_needs_a_workload_to_be_made_anew(changes: Object) -> None:
    before, after = immutable(rendered({})), immutable(rendered(changes))
    assert {key: after[key] for key in before} == before


def test_pods_start_anew_for_their_own_configuration_and_for_nothing_else() -> None:
    def sums(values: Object) -> dict[str, str]:
        workloads = [one for one in rendered(values) if one["kind"] in ("Deployment", "StatefulSet")]
        return {
            one["metadata"]["name"]: one["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            for one in workloads
        }

    before = sums({})
    routes = sums({"router": {"config": {"routes": {"ask": {"model": "sql"}}}}})
    lora = sums({"pools": {"stable": {"config": {"lora": {"max_loras": 9}}}}})
    assert [name for name in before if routes[name] != before[name]] == ["pb-patchbay-router"]
    assert [name for name in before if lora[name] != before[name]] == ["pb-patchbay-pool-stable"]
    assert sums({"monitoring": {"serviceMonitor": {"enabled": True}}}) == before


if __name__ == "__main__":
    _LAST.write_text(
        json.dumps({name: immutable(rendered(values)) for name, values in MATRIX.items()}, indent=1) + "\n"
    )
