"""LlamaIndex, by llama-index-llms-openai-like, on the demo."""

from typing import Any

import openai
from checks import KEY, KEYED, NOWHERE, QUESTION, SQL, TICKET, V1, WRONG_KEY, check, filled, holds, refused, run, same
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel


class Ticket(BaseModel):
    """What the model `json` reads out of a ticket."""

    customer: str
    product: str
    order: str
    priority: str


def file_ticket(urgent: bool) -> str:
    """Files a ticket."""
    return f"filed, urgent: {urgent}"


def model(name: str, **options: Any) -> OpenAILike:
    usual = {"model": name, "api_base": V1, "api_key": KEY, "temperature": 0, "is_chat_model": True}
    usual |= {"context_window": 2048, "is_function_calling_model": True, "max_retries": 0}
    return OpenAILike(**usual | options)


@check("chat")
def chat() -> str:
    return same(model("sql").chat([ChatMessage(role="user", content=QUESTION)]).message.content, SQL)


@check("chat, streamed")
def chat_streamed() -> str:
    parts = list(model("sql").stream_chat([ChatMessage(role="user", content=QUESTION)]))
    same("".join(part.delta or "" for part in parts), SQL)
    return f"{SQL} ({len(parts)} parts)"


@check("complete")
def complete() -> str:
    return same(model("sql").complete(QUESTION).text, SQL)


@check("complete, not a chat model")
def complete_plainly() -> str:
    text = model("demo-base", is_chat_model=False, max_tokens=8).complete("Hello").text
    return holds(text, repr(text))


@check("tools")
def tools() -> str:
    llm = model("json", strict=True, max_tokens=80)
    tool = FunctionTool.from_defaults(file_ticket)
    answer = llm.chat_with_tools([tool], user_msg=TICKET, tool_required=True)
    call = llm.get_tool_calls_from_response(answer)[0]
    holds(isinstance(call.tool_kwargs["urgent"], bool), call)
    return f"{call.tool_name}({call.tool_kwargs})"


@check("structured output")
def structured() -> str:
    llm = model("json", max_tokens=128, should_use_structured_outputs=True).as_structured_llm(Ticket)
    return filled(llm.chat([ChatMessage(role="user", content=TICKET)]).raw)


@check("an unknown model")
def unknown_model() -> str:
    return refused(openai.NotFoundError, lambda: model(NOWHERE).complete(QUESTION), NOWHERE)


if KEYED:

    @check("a wrong key")
    def wrong_key() -> str:
        return refused(openai.AuthenticationError, lambda: model("sql", api_key=WRONG_KEY).complete(QUESTION))


run("llama-index-llms-openai-like", "llama-index-core")
