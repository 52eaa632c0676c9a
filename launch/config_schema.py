"""JSON schema of a configuration file, by which editors complete keys and mark what is wrong."""

from typing import Any, Literal

from pydantic import BaseModel

from patchbay.launch.config import PatchbayConfig
from patchbay.router.settings.config import RouterConfig

Kind = Literal["patchbay", "router"]
_MODELS: dict[Kind, type[BaseModel]] = {"patchbay": PatchbayConfig, "router": RouterConfig}
_TEXT = {"type": "string"}


def config_schema(kind: Kind) -> dict[str, Any]:
    """Makes the schema of `patchbay.yaml`, or of a router's own file.

    It has the short forms, too, which the models take for the long ones: a text for a base model, an adapter or a
    replica.
    """
    schema = _MODELS[kind].model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    properties = schema["properties"]
    if "base" in properties:
        properties["base"] = {"anyOf": [_TEXT, properties["base"]]}
    pool_base = schema["$defs"].get("PoolConfig", {"properties": {"base": {}}})["properties"]
    pool_base["base"] = {"anyOf": [_TEXT, pool_base["base"]]}
    adapters = properties["adapters"]
    adapters["additionalProperties"] = {"anyOf": [_TEXT, adapters["additionalProperties"]]}
    if kind == "router":
        replicas = properties["replicas"]
        replicas["items"] = {"anyOf": [_TEXT, replicas["items"]]}
    registry = schema["$defs"]["RegistryConfig"]["properties"]
    registry["artifacts"] = {"anyOf": [_TEXT, registry["artifacts"]]}
    return schema
