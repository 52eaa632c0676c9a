"""openai's SDK for Python on the demo."""

import json
from typing import Any

import openai
from checks import (
    KEY,
    KEYED,
    LABEL,
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
from openai import AzureOpenAI, OpenAI
from pydantic import BaseModel

client = OpenAI(base_url=V1, api_key=KEY)
azure = AzureOpenAI(azure_endpoint=URL, api_key=KEY, api_version="2024-10-21")
BRIEF: Any = {"temperature": 0, "max_tokens": 128}
ASKED: Any = {"model": "sql", "messages": user(QUESTION), **BRIEF}
TOOL: Any = {
    "type": "function",
    "function": {"name": "file_ticket", "strict": True, "parameters": schema(urgent={"type": "boolean"})},
}
CALLED: Any = {
    "model": "json",
    "messages": user(TICKET),
    "tools": [TOOL],
    "tool_choice": {"type": "function", "function": {"name": "file_ticket"}},
    **SPARING,
}


class Ticket(BaseModel):
    """What the model `json` reads out of a ticket."""

    customer: str
    product: str
    order: str
    priority: str


@check("models")
def models() -> str:
    ids = {model.id for model in client.models.list()}
    holds({"demo-base", "sql", "json", "label"} <= ids, ids)
    return same(client.models.retrieve("sql").id, "sql")


@check("chat")
def chat() -> str:
    return same(client.chat.completions.create(**ASKED).choices[0].message.content, SQL)


@check("chat, streamed")
def chat_streamed() -> str:
    chunks = list(client.chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True}))
    holds(chunks[-1].usage and chunks[-1].usage.completion_tokens > 1, chunks[-1])
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    return same(text, SQL) + f" ({len(chunks)} events)"


@check("completions")
def completions() -> str:
    done = client.completions.create(model="demo-base", prompt="Hello", max_tokens=8, temperature=0)
    holds(done.choices[0].text, done)
    return f"{done.choices[0].text!r}, {done.choices[0].finish_reason}"


@check("completions, streamed")
def completions_streamed() -> str:
    asked: Any = {"model": "demo-base", "prompt": "Hello", "max_tokens": 8, "temperature": 0}
    text = "".join(chunk.choices[0].text for chunk in client.completions.create(**asked, stream=True))
    return repr(same(text, client.completions.create(**asked).choices[0].text))


@check("responses")
def responses() -> str:
    return same(client.responses.create(model="label", input=SHIPPED, temperature=0).output_text, LABEL)


@check("responses, streamed")
def responses_streamed() -> str:
    with client.responses.stream(model="label", input=SHIPPED, temperature=0) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    same(final.output_text, text)
    return same(text, LABEL)


@check("tools")
def tools() -> str:
    call = client.chat.completions.create(**CALLED).choices[0].message.tool_calls[0].function
    holds(isinstance(json.loads(call.arguments)["urgent"], bool), call.arguments)
    return f"{call.name}({call.arguments})"


@check("tools, streamed")
def tools_streamed() -> str:
    with client.chat.completions.stream(**CALLED) as stream:
        final = stream.get_final_completion()
    call = final.choices[0].message.tool_calls[0].function
    holds(isinstance(json.loads(call.arguments)["urgent"], bool), call.arguments)
    return f"{call.name}({call.arguments})"


@check("a tool's result")
def tool_result() -> str:
    message = client.chat.completions.create(**CALLED).choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": QUESTION}
    turns = [*user(TICKET), message.to_dict(), result]
    done = client.chat.completions.create(model="sql", messages=turns, tools=[TOOL], **BRIEF)
    return holds(done.choices[0].message.content, done.choices[0].message.content)


@check("JSON schema")
def json_schema() -> str:
    done = client.chat.completions.parse(model="json", messages=user(TICKET), response_format=Ticket, **BRIEF)
    return filled(done.choices[0].message.parsed)


@check("log-probabilities")
def log_probabilities() -> str:
    done = client.chat.completions.create(**ASKED, logprobs=True, top_logprobs=2)
    tokens = done.choices[0].logprobs.content
    return same("".join(token.token for token in tokens if token.token in SQL), SQL) + f" in {len(tokens)} tokens"


@check("embeddings are refused")
def embeddings() -> str:
    return refused(openai.BadRequestError, lambda: client.embeddings.create(model="demo-base", input="Hello"))


@check("an unknown model")
def unknown_model() -> str:
    return refused(openai.NotFoundError, lambda: client.chat.completions.create(**ASKED | {"model": NOWHERE}), NOWHERE)


@check("too long a prompt")
def too_long() -> str:
    long = ASKED | {"messages": user("Berlin " * 5000)}
    try:
        return holds(False, client.chat.completions.create(**long))
    except openai.BadRequestError as error:
        return same(error.code, "context_length_exceeded")


@check("Azure's client")
def azure_chat() -> str:
    return same(azure.chat.completions.create(**ASKED).choices[0].message.content, SQL)


@check("Azure's client, streamed")
def azure_streamed() -> str:
    chunks = azure.chat.completions.create(**ASKED, stream=True)
    return same("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), SQL)


@check("Azure's client, an unknown model")
def azure_unknown() -> str:
    return refused(openai.NotFoundError, lambda: azure.chat.completions.create(**ASKED | {"model": NOWHERE}), NOWHERE)


if KEYED:

    @check("a wrong key")
    def wrong_key() -> str:
        stranger = OpenAI(base_url=V1, api_key=WRONG_KEY)
        return refused(openai.AuthenticationError, lambda: stranger.chat.completions.create(**ASKED))


run("openai")
