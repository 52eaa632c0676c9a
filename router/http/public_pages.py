"""Pages of the public port that are the same for everybody: what is here, and its OpenAPI description."""

import json
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

from patchbay.router.http.endpoints import OPENAPI, ROOT, Endpoint

_HERE = {
    "name": "Patchbay",
    "description": "One endpoint for a base model and its adapters, as OpenAI's and Anthropic's clients use it.",
    "base_url": "/v1",
    "endpoints": ["/v1/models", "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"],
    "openapi": "/openapi.json",
    "health": "/healthz",
}


def public_pages() -> Mapping[Endpoint, bytes]:
    """Reads the pages, by their endpoints: JSON, UTF-8 encoded."""
    description = (resources.files("patchbay.router.http") / "openapi.json").read_bytes()
    return MappingProxyType({ROOT: json.dumps(_HERE).encode(), OPENAPI: description})
