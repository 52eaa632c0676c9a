"""Pydantic AI on the demo."""

import asyncio
from typing import Any

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
from pydantic import BaseModel
from pydantic_ai import Agent, ModelSettings, NativeOutput, ToolOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider


class Ticket(BaseModel):
    """What the model `json` reads out of a ticket."""

    customer: str
    product: str
    order: str
    priority: str


class Urgency(BaseModel):
    """Whether a ticket is urgent."""

    urgent: bool


def agent(name: str, key: str = KEY, **options: Any) -> Agent[None, Any]:
    model = OpenAIChatModel(name, provider=OpenAIProvider(base_url=V1, api_key=key))
    return Agent(model, model_settings=ModelSettings(temperature=0, max_tokens=128), **options)


@check("an answer")
def answer() -> str:
    done = agent("sql").run_sync(QUESTION)
    holds(done.usage.output_tokens > 1, done.usage)
    return same(done.output, SQL)


@check("a stream")
def stream() -> str:
    async def parts() -> list[str]:
        async with agent("sql").run_stream(QUESTION) as result:
            return [part async for part in result.stream_text(delta=True, debounce_by=None)]

    found = asyncio.run(parts())
    same("".join(found), SQL)
    return f"{SQL} ({len(found)} parts)"


@check("structured output")
def structured() -> str:
    return filled(agent("json", output_type=NativeOutput(Ticket)).run_sync(TICKET).output)


@check("structured output by a tool")
def by_tool() -> str:
    made = agent("json", output_type=ToolOutput(Urgency, strict=True))
    found = made.run_sync(TICKET, model_settings=ModelSettings(**SPARING)).output
    return holds(isinstance(found.urgent, bool), found)


@check("the responses API")
def responses() -> str:
    model = OpenAIResponsesModel("label", provider=OpenAIProvider(base_url=V1, api_key=KEY))
    return same(Agent(model, model_settings=ModelSettings(temperature=0)).run_sync(SHIPPED).output, "shipping")


@check("an unknown model")
def unknown_model() -> str:
    return refused(ModelHTTPError, lambda: agent(NOWHERE).run_sync(QUESTION), "404", NOWHERE)


if KEYED:

    @check("a wrong key")
    def wrong_key() -> str:
        return refused(ModelHTTPError, lambda: agent("sql", WRONG_KEY).run_sync(QUESTION), "401")


run("pydantic-ai-slim", "openai")
