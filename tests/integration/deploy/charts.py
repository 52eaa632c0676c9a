"""The chart as Helm's own engine renders it, and what Kubernetes would say of that."""

import json
from collections.abc import Hashable, Iterator, Mapping
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart, values_from_yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from patchbay.core.settings import parse_settings
from patchbay.router.settings.config import RouterConfig
from patchbay.server.config import ServerConfig
from tools.chart import CHART

Object = dict[str, Any]
RELEASE, NAMESPACE = "pb", "serve"
# The oldest that Chart.yaml allows, and the newest whose schemas there are.
VERSIONS = ("1.30.0", "1.37.0")
SECRETS = "/etc/patchbay/secrets"
_EXAMPLES = sorted(CHART.glob("values-*.yaml"))
# Of what is no part of Kubernetes: the keys that `spec` may have, those that it must have first.
_FOREIGN: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "monitoring.coreos.com/v1 ServiceMonitor": (frozenset({"selector", "endpoints"}), frozenset()),
    "monitoring.coreos.com/v1 PodMonitor": (
        frozenset({"selector", "podMetricsEndpoints"}),
        frozenset({"podTargetLabels"}),
    ),
    "monitoring.coreos.com/v1 PrometheusRule": (frozenset({"groups"}), frozenset()),
    "keda.sh/v1alpha1 ScaledObject": (
        frozenset({"scaleTargetRef", "triggers", "minReplicaCount", "maxReplicaCount"}),
        frozenset(),
    ),
    "gateway.networking.k8s.io/v1 HTTPRoute": (frozenset({"parentRefs", "rules"}), frozenset({"hostnames"})),
    "inference.networking.k8s.io/v1 InferencePool": (
        frozenset({"selector", "targetPorts", "endpointPickerRef"}),
        frozenset(),
    ),
}


class _Strict(yaml.CSafeLoader):
    """Refuses a key that is there twice, as Kubernetes does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key is there twice: {keys}"
        return super().construct_mapping(node, deep)


@cache
def chart(folder: Path = CHART) -> Chart:
    """The chart, loaded once."""
    return Chart.load(folder)


def example(name: str) -> Object:
    """The values of an example: `one-gpu`."""
    return values_from_yaml((CHART / f"values-{name}.yaml").read_text())


EVERYTHING: Object = {
    "secrets": {
        "redisUrl": {"name": "redis", "key": "url"},
        "guardKey": {"name": "patchbay", "key": "guard-key"},
        "apiKeys": [{"name": "clients", "key": "a"}, {"name": "clients", "key": "b"}],
        "adminTokens": {"ci": {"role": "operator", "name": "ci", "key": "token"}},
        "extra": {"x-judge": {"name": "judge", "key": "token"}},
    },
    "commonLabels": {"team": "ml", "app.kubernetes.io/name": "not-this"},
    "imagePullSecrets": [{"name": "pull"}],
    "artifacts": {"url": "/srv/artifacts", "existingClaim": "artifacts", "existingSecret": "store"},
    "adapters": {"sql": "s3://models/sql", "label": {"source": "hf://team/label", "pin": True}},
    "canaries": {"sql": {"revision": 4, "plan": "careful"}},
    "router": {
        "config": {
            "guards": {
                "ours": {"kind": "http", "url": "http://judge:1", "token": {"file": f"{SECRETS}/x-judge"}},
            },
            "routes": {"ask": {"model": "sql", "guards": ["ours"]}},
            "canary": {"metrics": "prometheus", "prometheus_url": "http://prometheus:9090"},
            "counters": {"when_down": "allow"},
        },
        "incidentsClaim": "incidents",
        "podLabels": {"app.kubernetes.io/component": "not-this", "extra": "yes"},
        "podAnnotations": {"checksum/config": "not-this"},
        "extraEnv": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "extraVolumes": [{"name": "x-ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "x-ca", "mountPath": "/etc/ca", "readOnly": True}],
        "autoscaling": {"enabled": True, "queueDepth": {"enabled": True, "via": "adapter", "target": 3}},
    },
    "pools": {
        "stable": {"modelCache": {"kind": "shared", "existingClaim": "models"}, "tensorParallelSize": 2},
        "canary": {"enabled": True, "image": {"digest": "sha256:" + "a" * 64}},
        "small": {
            "device": "cpu",
            "adapterCache": {"kind": "claim"},
            "autoscaling": {"enabled": True, "cpu": {"enabled": True}, "queueDepth": {"via": "adapter"}},
            "podDisruptionBudget": {"enabled": False},
        },
        "large": {"autoscaling": {"enabled": True, "cpu": {"enabled": True}}},
    },
    "tuning": {
        "claim": "tuning",
        "queue": "training",
        "runs": {
            "tickets": {"recipe": {"name": "tickets", "base": "/srv/tuning/bases/smollm2"}},
            "sql": {"recipe": {"name": "sql"}},
        },
    },
    "networkPolicy": {"clientsFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "adminFrom": [{"podSelector": {}}]},
    "ingress": {"enabled": True, "className": "nginx", "hosts": ["a.example"], "tls": [{"secretName": "t"}]},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "gw"}], "hostnames": ["a.example"], "requestTimeout": "1h"},
    "inferencePool": {"enabled": True, "endpointPicker": {"name": "picker"}},
    "monitoring": {
        "labels": {"release": "prometheus"},
        "serviceMonitor": {"enabled": True},
        "podMonitor": {"enabled": True},
        "rules": {"enabled": True},
        "dashboards": {"enabled": True},
    },
}
BARE: Object = {
    "registry": {"enabled": False},
    "secrets": {"apiKeys": [{"name": "clients", "key": "a"}], "metricsToken": {"name": ""}},
    "router": {"canaryEvents": False, "preStopSeconds": 0, "podDisruptionBudget": {"enabled": False}},
    "poolDefaults": {"preStopSeconds": 0, "topologySpread": {"zones": False, "nodes": False}},
    "serviceAccounts": {"router": {"create": False}, "replicas": {"create": False, "name": "theirs"}},
    "networkPolicy": {"enabled": False},
}
MATRIX: Mapping[str, Object] = {
    "defaults": {},
    "everything": EVERYTHING,
    "bare": BARE,
    **{path.stem: values_from_yaml(path.read_text()) for path in _EXAMPLES},
}


def rendered(values: Object, *, of: Path = CHART) -> list[Object]:
    """Every object that the chart makes of `values`, which its schema accepts."""
    return _rendered(json.dumps(values), of)


@lru_cache(maxsize=32)
def _rendered(told: str, of: Path) -> list[Object]:
    values, found = json.loads(told), chart(of)
    found.validate_schema(values)
    texts = found.render(values, name=RELEASE, namespace=NAMESPACE)
    loaded = (yaml.load_all(text, _Strict) for name, text in texts.items() if name.endswith(".yaml"))
    return [one for documents in loaded for one in documents if one is not None]


def check(one: Object, version: str = VERSIONS[-1]) -> None:
    """Raises where a cluster of that version would refuse the object."""
    kind = f"{one['apiVersion']} {one['kind']}"
    assert len(one["metadata"]["name"]) <= 63, one["metadata"]["name"]
    if kind in _FOREIGN:
        needed, known = _FOREIGN[kind]
        assert needed <= one["spec"].keys() <= needed | known, kind
        assert all(one["spec"][key] for key in needed), kind
        return
    error = next(iter(_validator(one["kind"], one["apiVersion"], version).iter_errors(one)), None)
    assert error is None, f"{kind} {one['metadata']['name']}: {error.json_path if error else ''}: {error}"


@cache
def _validator(kind: str, api: str, version: str) -> Draft202012Validator:
    group = api.replace("/", "-") if "." not in api else f"{api.partition('.')[0]}-{api.partition('/')[2]}"
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}-local-strict"
    schema = json.loads((folder / f"{kind.lower()}-{group}.json").read_text())
    return Draft202012Validator(schema, registry=_definitions(version))


@cache
def _definitions(version: str) -> Registry[Any]:
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}-local-strict"
    resource: Resource[Any] = Resource.from_contents(json.loads((folder / "_definitions.json").read_text()))
    return resource @ Registry()


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Every pod's specification, with what it belongs to."""
    for one in objects:
        if one["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield f"{one['kind']} {one['metadata']['name']}", one["spec"]["template"]["spec"]
        elif one["kind"] == "Pod":
            yield f"Pod {one['metadata']['name']}", one["spec"]


def configurations(objects: list[Object], folder: Path) -> tuple[RouterConfig, dict[str, ServerConfig]]:
    """The router's configuration and each pool's, as they read them where the secrets are files in `folder`."""
    router: RouterConfig | None = None
    servers = {}
    for one in objects:
        for file, text in (one.get("data") or {}).items() if one["kind"] == "ConfigMap" else ():
            data = yaml.safe_load(text.replace(SECRETS, str(folder)))
            if file == "patchbay.yaml":
                router = parse_settings(RouterConfig, data, source=file)
            elif file == "server.yaml":
                servers[one["metadata"]["labels"]["patchbay/pool"]] = parse_settings(ServerConfig, data, source=file)
    assert router is not None
    return router, servers


def put_secrets(objects: list[Object], folder: Path) -> None:
    """Puts a file for each secret that is mounted into `folder`."""
    for _, spec in pods(objects):
        for volume in spec.get("volumes", ()):
            sources = [one["secret"] for one in volume.get("projected", {}).get("sources", ())]
            sources += [volume["secret"]] if "secret" in volume and "items" in volume["secret"] else []
            for source in sources:
                for item in source["items"]:
                    (folder / item["path"]).write_text("s3cret")
