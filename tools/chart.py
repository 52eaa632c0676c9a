"""The generator of the Helm chart's generated files, which `scripts/chart-files` runs.

They are the schema of the chart's values, in which Patchbay's own models describe its configuration, and copies of the
alert rules and the dashboards.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from patchbay.adapters.config import DeclaredAdapter
from patchbay.router.canary.config import DeclaredCanary
from patchbay.router.canary.plan import ready_plans
from patchbay.router.settings.config import RouterConfig
from patchbay.server.config import ServerConfig

DEPLOY = Path(__file__).parent.parent / "deploy"
CHART = DEPLOY / "helm" / "patchbay"
# By model, the keys that the chart sets itself.
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
    ServerConfig: frozenset({"name", "adapters", "host", "port", "token", "artifacts", "cache_dir", "drain_timeout_s"}),
    DeclaredAdapter: frozenset(),
    DeclaredCanary: frozenset(),
}
_FROM_ELSEWHERE = ({"$ref": "#/$defs/FromFile"}, {"$ref": "#/$defs/FromEnvironment"})
# Keys of a schema that are only for people, or that no validator checks.
_UNCHECKED_KEYS = frozenset({"title", "description", "default", "discriminator", "format"})


def made_files() -> dict[Path, str]:
    """Generates the text of every file, by its path."""
    return {CHART / "values.schema.json": schema_text(), **dict(_copies())}


def schema_text() -> str:
    """Generates the chart's values.schema.json."""
    source = yaml.safe_load((CHART.parent / "values.schema.yaml").read_text(encoding="utf-8"))
    schema = _expand_closed(source)
    for model, owned in _OWNED.items():
        schema["$defs"] |= _definitions(model, owned)
    return _lines(schema)


def _lines(schema: dict[str, Any]) -> str:
    """Formats the schema as JSON, with each definition and each top-level key on a line of its own."""
    parts = {key: json.dumps(value) for key, value in schema.items()}
    for key in ("properties", "$defs"):
        lines = (f'  "{name}": {json.dumps(definition)}' for name, definition in schema[key].items())
        parts[key] = "{\n" + ",\n".join(lines) + "\n}"
    return "{\n" + ",\n".join(f'"{key}": {text}' for key, text in parts.items()) + "\n}\n"


def _copies() -> Iterator[tuple[Path, str]]:
    observability = DEPLOY / "observability"
    for path in sorted(observability.glob("*.yaml")):
        if path.name == "rules.yaml":
            yield CHART / "files" / "rules" / path.name, path.read_text(encoding="utf-8")
    for path in sorted(observability.glob("dashboards/*.json")):
        yield CHART / "files" / "dashboards" / path.name, path.read_text(encoding="utf-8")


def _expand_closed(value: Any) -> Any:
    """Expands each `closed: {…}` in `value` to an object without further properties."""
    if isinstance(value, list):
        return [_expand_closed(item) for item in value]
    if not isinstance(value, dict):
        return value
    expanded = {key: _expand_closed(member) for key, member in value.items() if key != "closed"}
    if "closed" in value:
        expanded = {
            "type": "object",
            "additionalProperties": False,
            "properties": _expand_closed(value["closed"]),
        } | expanded
    return expanded


def _definitions(model: type[BaseModel], owned: frozenset[str]) -> dict[str, Any]:
    """Makes the definitions of a model and of the models in it.

    They leave out the keys that the chart sets itself (`owned`), and secrets in plain text, because the values end up
    in a ConfigMap.
    """
    schema = _plain(model.model_json_schema())
    definitions: dict[str, Any] = schema.pop("$defs", {})
    schema["properties"] = {key: value for key, value in schema["properties"].items() if key not in owned}
    # The defaults and a pool's values have the required keys only together, so neither has to have them alone.
    schema.pop("required", None)
    definitions[model.__name__] = schema
    if model is ServerConfig:
        definitions["BaseConfig"].pop("required")
    if "PlanConfig" in definitions:
        definitions["DeclaredCanary"]["properties"]["plan"] = {
            "anyOf": [{"enum": sorted(ready_plans())}, {"$ref": "#/$defs/PlanConfig"}]
        }
    if model is RouterConfig:
        del definitions["CanaryConfig"]["properties"]["reserved_pools"]
    return definitions


def _plain(value: Any, *, names: bool = False) -> Any:
    """Copies a schema without the keys that nobody checks, and without secrets in plain text.

    `names`: whether the keys of `value` are names of properties or definitions, not keywords of JSON Schema.
    """
    if isinstance(value, list):
        return [_plain(item) for item in value if item != {"type": "string"} or not _allows_elsewhere(value)]
    if not isinstance(value, dict):
        return value
    inside = ("properties", "$defs", "patternProperties")
    kept = {key: member for key, member in value.items() if names or key not in _UNCHECKED_KEYS}
    return {key: _plain(member, names=not names and key in inside) for key, member in kept.items()}


def _allows_elsewhere(value: list[Any]) -> bool:
    """Says whether the alternatives in `value` include a secret's file and its environment variable."""
    return all(reference in value for reference in _FROM_ELSEWHERE)


def write() -> None:
    """Writes the generated files, and removes files that are no longer generated."""
    generated = made_files()
    for folder in ("rules", "dashboards"):
        for path in (CHART / "files" / folder).glob("*.*"):
            if path not in generated:
                path.unlink()
    for path, text in generated.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
