"""The generator of the public port's OpenAPI description: `python -m tools.openapi`.

vLLM's own models describe the endpoints that replicas answer; what the router answers by itself is described here.
"""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from patchbay.router.http.endpoints import FORWARDED_PATHS

OUTPUT = Path(__file__).parent.parent / "router" / "http" / "openapi.json"
_ID = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "anthropic": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "azure": {"type": "apiKey", "in": "header", "name": "api-key"},
}
_MODEL = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "model"},
        "created": {"type": "integer", "description": "Unix time, seconds."},
        "owned_by": {"type": "string"},
        "root": {"type": "string", "description": "The exact revision that the name means."},
        "parent": {"type": ["string", "null"], "description": "An adapter's base."},
        "max_model_len": {"type": "integer", "description": "Tokens of a prompt and its answer together."},
    },
}
_VOTE = {
    "type": "object",
    "required": ["completion_id", "vote"],
    "properties": {"completion_id": {"type": "string"}, "vote": {"enum": ["up", "down"]}},
}


def description() -> str:
    """Generates the description as JSON, with each path and each schema on a line of its own."""
    whole = _engine_endpoints()
    paths = {path: item for path, item in whole["paths"].items() if path in FORWARDED_PATHS} | _own_paths()
    schemas = whole["components"]["schemas"] | {"PatchbayModel": _MODEL, "PatchbayVote": _VOTE}
    head = {
        "openapi": "3.1.0",
        "info": {"title": "Patchbay", "version": "1", "description": "One endpoint for a base model and its adapters."},
        "security": [{name: []} for name in _SECURITY],
    }
    lines = [f'"{name}": {json.dumps(value)}' for name, value in head.items()]
    components = f'"components": {{"securitySchemes": {json.dumps(_SECURITY)}, "schemas": {_lines(schemas)}}}'
    return "{\n" + ",\n".join([*lines, f'"paths": {_lines(paths)}', components]) + "\n}\n"


def _lines(values: dict[str, Any]) -> str:
    return "{\n" + ",\n".join(f'"{name}": {json.dumps(value)}' for name, value in sorted(values.items())) + "\n}"


def _engine_endpoints() -> dict[str, Any]:
    # Imported here, since it takes ten seconds.
    from vllm.entrypoints.anthropic.api_router import attach_router as attach_messages
    from vllm.entrypoints.openai.chat_completion.api_router import attach_router as attach_chat
    from vllm.entrypoints.openai.completion.api_router import attach_router as attach_completions
    from vllm.entrypoints.openai.responses.api_router import attach_router as attach_responses
    from vllm.entrypoints.pooling.embed.api_router import router as embeddings
    from vllm.entrypoints.pooling.scoring.api_router import router as scores
    from vllm.entrypoints.serve.tokenize.api_router import attach_router as attach_tokenize

    app = FastAPI()
    app.state.args = Namespace(enable_tokenizer_info_endpoint=False)
    for attach in (attach_messages, attach_chat, attach_completions, attach_responses, attach_tokenize):
        attach(app)
    app.include_router(embeddings)
    app.include_router(scores)
    return app.openapi()


def _own_paths() -> dict[str, Any]:
    return {
        "/v1/models": {"get": _operation("Lists the models that the key may ask for.", {"type": "object"})},
        "/v1/models/{model}": {
            "get": _operation("Returns one model.", {"$ref": "#/components/schemas/PatchbayModel"})
            | {"parameters": [_ID]}
        },
        "/v1/feedback": {
            "post": _operation("Takes a vote on an answer.", {"type": "object"})
            | {"requestBody": {"required": True, "content": _json({"$ref": "#/components/schemas/PatchbayVote"})}}
        },
        "/healthz": {
            "get": _operation("Says whether a request can be answered.", {"type": "object"}) | {"security": []}
        },
    }


def _operation(summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "OK", "content": _json(schema)}}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


if __name__ == "__main__":
    OUTPUT.write_text(description(), encoding="utf-8")
