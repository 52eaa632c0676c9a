"""LiteLLM as a client on the demo."""

import json
from typing import Any

import litellm
from checks import (
    FIELDS,
    KEY,
    KEYED,
    NOWHERE,
    QUESTION,
    SHIPPED,
    SPARING,
    SQL,
    TICKET,
    URL,
    V1,
    WRONG_KEY,
    check,
    filled,
    holds,
    refused,
    run,
    same,
    schema,
    user,
)

HERE: Any = {"api_base": V1, "api_key": KEY, "temperature": 0, "num_retries": 0}
ASKED: Any = {"model": "openai/sql", "messages": user(QUESTION), **HERE}
TOOL: Any = {
    "type": "function",
    "function": {"name": "file_ticket", "strict": True, "parameters": schema(urgent={"type": "boolean"})},
}
FORMAT: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "ticket",
        "strict": True,
        "schema": schema(**{name: {"type": "string"} for name in FIELDS}),
    },
}


@check("completion")
def completion() -> str:
    return same(litellm.completion(**ASKED).choices[0].message.content, SQL)


@check("completion, streamed")
def streamed() -> str:
    chunks = list(litellm.completion(**ASKED, stream=True, stream_options={"include_usage": True}))
    same("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), SQL)
    return f"{SQL} ({len(chunks)} chunks)"


@check("as a server of vLLM's kind")
def hosted_vllm() -> str:
    return same(litellm.completion(**ASKED | {"model": "hosted_vllm/sql"}).choices[0].message.content, SQL)


@check("as Anthropic's API")
def anthropic() -> str:
    asked = ASKED | {"model": "anthropic/sql", "api_base": URL, "max_tokens": 128}
    return same(litellm.completion(**asked).choices[0].message.content, SQL)


@check("text_completion")
def text_completion() -> str:
    done = litellm.text_completion(model="text-completion-openai/demo-base", prompt="Hello", max_tokens=8, **HERE)
    return holds(done.choices[0].text, repr(done.choices[0].text))


@check("responses")
def responses() -> str:
    done = litellm.responses(model="openai/label", input=SHIPPED, **HERE)
    return same(done.output[0].content[0].text, "shipping")


@check("tools")
def tools() -> str:
    choice = {"type": "function", "function": {"name": "file_ticket"}}
    asked = HERE | {"model": "openai/json", "messages": user(TICKET), "tools": [TOOL], "tool_choice": choice, **SPARING}
    call = litellm.completion(**asked).choices[0].message.tool_calls[0].function
    holds(isinstance(json.loads(call.arguments)["urgent"], bool), call.arguments)
    return f"{call.name}({call.arguments})"


@check("JSON schema")
def json_schema() -> str:
    done = litellm.completion(
        model="openai/json", messages=user(TICKET), response_format=FORMAT, max_tokens=128, **HERE
    )
    return filled(json.loads(done.choices[0].message.content))


@check("an unknown model")
def unknown_model() -> str:
    asked = ASKED | {"model": f"openai/{NOWHERE}"}
    return refused(litellm.NotFoundError, lambda: litellm.completion(**asked), NOWHERE)


@check("too long a prompt")
def too_long() -> str:
    asked = ASKED | {"messages": user("Berlin " * 5000)}
    return refused(litellm.ContextWindowExceededError, lambda: litellm.completion(**asked))


if KEYED:

    @check("a wrong key")
    def wrong_key() -> str:
        return refused(litellm.AuthenticationError, lambda: litellm.completion(**ASKED | {"api_key": WRONG_KEY}))


run("litellm")
