"""LangChain, by langchain-openai, on the demo."""

from typing import Any

import openai
from checks import (
    KEY,
    KEYED,
    NOWHERE,
    QUESTION,
    SHIPPED,
    SPARING,
    SQL,
    TICKET,
    V1,
    WRONG_KEY,
    check,
    filled,
    holds,
    refused,
    run,
    same,
)
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel


class Ticket(BaseModel):
    """What the model `json` reads out of a ticket."""

    customer: str
    product: str
    order: str
    priority: str


class Urgency(BaseModel):
    """Whether a ticket is urgent."""

    urgent: bool


@tool
def file_ticket(urgent: bool) -> str:
    """Files a ticket."""
    return f"filed, urgent: {urgent}"


def model(name: str, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": name, "base_url": V1, "api_key": KEY, "temperature": 0} | options)


@check("invoke")
def invoke() -> str:
    answer = model("sql").invoke(QUESTION)
    holds(answer.usage_metadata["output_tokens"] > 1, answer.usage_metadata)
    return same(answer.content, SQL)


@check("stream")
def stream() -> str:
    chunks = list(model("sql").stream(QUESTION))
    same("".join(chunk.content for chunk in chunks), SQL)
    return f"{SQL} ({len(chunks)} chunks)"


@check("batch")
def batch() -> str:
    answers = model("sql").batch([QUESTION, QUESTION])
    return same([answer.content for answer in answers], [SQL, SQL])


@check("a chain")
def chain() -> str:
    asked = ChatPromptTemplate.from_messages([("user", "Give me the numbers of all orders in {city}")]) | model("sql")
    return same(asked.invoke({"city": "Berlin"}).content, SQL)


@check("tools")
def tools() -> str:
    bound = model("json", **SPARING).bind_tools([file_ticket], tool_choice="file_ticket", strict=True)
    call = bound.invoke(TICKET).tool_calls[0]
    holds(isinstance(call["args"]["urgent"], bool), call)
    return f"{call['name']}({call['args']})"


@check("tools, streamed")
def tools_streamed() -> str:
    bound = model("json", **SPARING).bind_tools([file_ticket], tool_choice="any", strict=True)
    first, *rest = bound.stream(TICKET)
    call = sum(rest, first).tool_calls[0]
    holds(isinstance(call["args"]["urgent"], bool), call)
    return f"{call['name']}({call['args']})"


@check("structured output")
def structured() -> str:
    return filled(model("json", max_tokens=128).with_structured_output(Ticket).invoke(TICKET))


@check("structured output by a tool")
def structured_by_tool() -> str:
    asked = model("json", **SPARING).with_structured_output(Urgency, method="function_calling", strict=True)
    found = asked.invoke(TICKET)
    return holds(isinstance(found, Urgency), found)


@check("the responses API")
def responses() -> str:
    return same(model("label", use_responses_api=True).invoke(SHIPPED).text, "shipping")


@check("embeddings are refused")
def embeddings() -> str:
    embedder = OpenAIEmbeddings(model="demo-base", base_url=V1, api_key=KEY, check_embedding_ctx_length=False)
    return refused(openai.BadRequestError, lambda: embedder.embed_query("Hello"))


@check("an unknown model")
def unknown_model() -> str:
    return refused(openai.NotFoundError, lambda: model(NOWHERE).invoke(QUESTION), NOWHERE)


if KEYED:

    @check("a wrong key")
    def wrong_key() -> str:
        return refused(openai.AuthenticationError, lambda: model("sql", api_key=WRONG_KEY).invoke(QUESTION))


run("langchain-openai", "langchain-core")
