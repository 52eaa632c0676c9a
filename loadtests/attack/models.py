"""The fields of vLLM's own request models, and the endpoints that take them. Imports vLLM when it is called."""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtests.attack.hostile import HOSTILE
from loadtests.attack.values import values_of

_CHAT = {"messages": [{"role": "user", "content": "hi"}]}
_AT = "vllm.entrypoints"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One of a replica's endpoints.

    `models`: vLLM's models of its requests; `least`: the smallest body that it takes, without the `model`; `streams`:
    whether it can stream.
    """

    path: str
    models: tuple[str, ...]
    least: Mapping[str, Any]
    streams: bool = True


ENDPOINTS = (
    Endpoint(
        "/v1/chat/completions",
        (f"{_AT}.openai.chat_completion.protocol:ChatCompletionRequest",),
        {**_CHAT, "max_tokens": 4},
    ),
    Endpoint(
        "/v1/completions", (f"{_AT}.openai.completion.protocol:CompletionRequest",), {"prompt": "hi", "max_tokens": 4}
    ),
    Endpoint(
        "/v1/responses", (f"{_AT}.openai.responses.protocol:ResponsesRequest",), {"input": "hi", "max_output_tokens": 4}
    ),
    Endpoint("/v1/messages", (f"{_AT}.anthropic.protocol:AnthropicMessagesRequest",), {**_CHAT, "max_tokens": 4}),
    Endpoint(
        "/v1/messages/count_tokens",
        (f"{_AT}.anthropic.protocol:AnthropicCountTokensRequest",),
        _CHAT,
        streams=False,
    ),
    Endpoint(
        "/v1/embeddings",
        (f"{_AT}.pooling.embed.protocol:EmbeddingCompletionRequest",),
        {"input": "hi"},
        streams=False,
    ),
    Endpoint(
        "/v1/score",
        tuple(f"{_AT}.pooling.scoring.protocol:Score{kind}Request" for kind in ("QueriesDocuments", "Data", "Text")),
        {"queries": "hi", "documents": ["you"]},
        streams=False,
    ),
    Endpoint(
        "/v1/rerank",
        (f"{_AT}.pooling.scoring.protocol:RerankRequest",),
        {"query": "hi", "documents": ["you"]},
        streams=False,
    ),
    Endpoint(
        "/tokenize",
        (
            f"{_AT}.serve.tokenize.protocol:TokenizeCompletionRequest",
            f"{_AT}.serve.tokenize.protocol:TokenizeChatRequest",
        ),
        {"prompt": "hi"},
        streams=False,
    ),
    Endpoint("/detokenize", (f"{_AT}.serve.tokenize.protocol:DetokenizeRequest",), {"tokens": [1]}, streams=False),
)


@dataclass(frozen=True, slots=True)
class Surface:
    """An endpoint with the values to try in each of its fields."""

    endpoint: Endpoint
    fields: Mapping[str, tuple[Any, ...]] = field(repr=False)


def surfaces() -> tuple[Surface, ...]:
    """All endpoints, with every field of vLLM's models of them but `model`, which says whom a request is for."""
    return tuple(Surface(endpoint, dict(_fields(endpoint))) for endpoint in ENDPOINTS)


def _fields(endpoint: Endpoint) -> Iterator[tuple[str, tuple[Any, ...]]]:
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticInvalidForJsonSchema

    for name in endpoint.models:
        module, model = name.split(":")
        for field_name, info in getattr(importlib.import_module(module), model).model_fields.items():
            if field_name == "model":
                continue
            try:
                schema = TypeAdapter(info.annotation).json_schema()
            except PydanticInvalidForJsonSchema:
                schema = {}
            made = values_of(schema | _limits(info), schema.get("$defs", {}))
            yield info.alias or field_name, (*made, *HOSTILE.get(field_name, ()))


def _limits(info: Any) -> dict[str, Any]:
    """A field's own bounds, in the words of a JSON schema; its type has none."""
    words = {"ge": "minimum", "le": "maximum"}
    return {words[key]: getattr(part, key) for part in info.metadata for key in words if hasattr(part, key)}
