"""Makes the Helm chart's files that are made: `scripts/chart-files`. Its schema of values, in which Patchbay's own
configuration is described by its own models, and copies of the alert rules and the dashboards."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from patchbay.adapters.config import DeclaredAdapter
from patchbay.router.canary.config import DeclaredCanary
from patchbay.router.canary.plan import ready_plans
from patchbay.router.config import RouterConfig
from patchbay.server.config import ServerConfig

DEPLOY = Path(__file__).parent.parent / "deploy"
CHART = DEPLOY / "helm" / "patchbay"
# What the chart sets itself, by model.
_OWNED: Mapping[type[BaseModel], frozenset[str]] = {
    RouterConfig: frozenset(
        {"name", "registry", "adapters", "canaries", "replicas", "max_rank", "host", "port", "admin_host"}
        | {
            "admin_port",
            "api_keys",
            "admin_token",
            "admin_tokens",
            "admin_open",
            "drain_timeout_s",
            "reuse_port",
            "policy_file",
        }
        | {"guard_cache", "guard_key"}
    ),
    ServerConfig: frozenset({"name", "host", "port", "token", "artifacts", "cache_dir", "drain_timeout_s"}),
    DeclaredAdapter: frozenset(),
    DeclaredCanary: frozenset(),
}
_FROM_ELSEWHERE = ({"$ref": "#/$defs/FromFile"}, {"$ref": "#/$defs/FromEnvironment"})
# Only what people read, or what no validator of schemas knows.
_DROPPED = frozenset({"title", "description", "default", "discriminator", "format"})


def made_files() -> dict[Path, str]:
    """Every file that is made, by its path, with its text."""
    return {CHART / "values.schema.json": schema_text(), **dict(_copies())}


def schema_text() -> str:
    """The chart's values.schema.json."""
    source = yaml.safe_load((CHART.parent / "values.schema.yaml").read_text(encoding="utf-8"))
    schema = _closed(source)
    for model, owned in _OWNED.items():
        schema["$defs"] |= _definitions(model, owned)
    return _lines(schema)


def _lines(schema: dict[str, Any]) -> str:
    """As JSON, each definition and each top-level key on a line of its own."""
    parts = {key: json.dumps(one) for key, one in schema.items()}
    for key in ("properties", "$defs"):
        lines = (f'  "{name}": {json.dumps(one)}' for name, one in schema[key].items())
        parts[key] = "{\n" + ",\n".join(lines) + "\n}"
    return "{\n" + ",\n".join(f'"{key}": {text}' for key, text in parts.items()) + "\n}\n"


def _copies() -> Iterator[tuple[Path, str]]:
    observability = DEPLOY / "observability"
    for path in sorted(observability.glob("*.yaml")):
        if path.name == "rules.yaml":
            yield CHART / "files" / "rules" / path.name, path.read_text(encoding="utf-8")
    for path in sorted(observability.glob("dashboards/*.json")):
        yield CHART / "files" / "dashboards" / path.name, path.read_text(encoding="utf-8")


def _closed(value: Any) -> Any:
    """`value` with each `closed: {…}` written out."""
    if isinstance(value, list):
        return [_closed(one) for one in value]
    if not isinstance(value, dict):
        return value
    told = {key: _closed(one) for key, one in value.items() if key != "closed"}
    if "closed" in value:
        told = {"type": "object", "additionalProperties": False, "properties": _closed(value["closed"])} | told
    return told


def _definitions(model: type[BaseModel], owned: frozenset[str]) -> dict[str, Any]:
    """The definitions of a model and of what is in it, without the keys that are the chart's, and without a place for
    a secret in plain text: what has these values is a ConfigMap."""
    whole = _plain(model.model_json_schema())
    found: dict[str, Any] = whole.pop("$defs", {})
    whole["properties"] = {key: one for key, one in whole["properties"].items() if key not in owned}
    # Required is what the defaults and a pool's values have together: neither has to have it alone.
    whole.pop("required", None)
    found[model.__name__] = whole
    if model is ServerConfig:
        found["BaseConfig"].pop("required")
    if "PlanConfig" in found:
        found["DeclaredCanary"]["properties"]["plan"] = {
            "anyOf": [{"enum": sorted(ready_plans())}, {"$ref": "#/$defs/PlanConfig"}]
        }
    if model is RouterConfig:
        del found["CanaryConfig"]["properties"]["reserved_pools"]
    return found


def _plain(value: Any, *, names: bool = False) -> Any:
    """A schema without what nobody checks. `names`: whether keys are names, and no words of a schema."""
    if isinstance(value, list):
        return [_plain(one) for one in value if one != {"type": "string"} or not _tells_places(value)]
    if not isinstance(value, dict):
        return value
    inside = ("properties", "$defs", "patternProperties")
    kept = {key: one for key, one in value.items() if names or key not in _DROPPED}
    return {key: _plain(one, names=not names and key in inside) for key, one in kept.items()}


def _tells_places(value: list[Any]) -> bool:
    return all(one in value for one in _FROM_ELSEWHERE)


def write() -> None:
    """Writes them, and removes what is no longer made."""
    made = made_files()
    for folder in ("rules", "dashboards"):
        for path in (CHART / "files" / folder).glob("*.*"):
            if path not in made:
                path.unlink()
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
