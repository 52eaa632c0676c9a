"""Instructor on the demo."""

from typing import Any

import instructor
from checks import KEY, NOWHERE, SHIPPED, SPARING, TICKET, V1, check, filled, holds, refused, run, user
from instructor.core.exceptions import InstructorRetryException
from openai import OpenAI
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


BRIEF: dict[str, Any] = {"temperature": 0, "max_tokens": 128}


def client(mode: instructor.Mode) -> instructor.Instructor:
    return instructor.from_openai(OpenAI(base_url=V1, api_key=KEY), mode=mode)


by_schema, by_tool = client(instructor.Mode.JSON_SCHEMA), client(instructor.Mode.TOOLS)


@check("a model by JSON schema")
def schema() -> str:
    found = by_schema.create(model="json", response_model=Ticket, messages=user(TICKET), **BRIEF)
    return filled(found)


@check("a model by a tool")
def tool() -> str:
    found = by_tool.create(model="json", response_model=Urgency, messages=user(TICKET), **SPARING)
    return holds(isinstance(found.urgent, bool), found)


@check("a model, streamed in parts")
def partial() -> str:
    parts = list(by_schema.create_partial(model="json", response_model=Ticket, messages=user(TICKET), **BRIEF))
    filled(parts[-1])
    return f"{len(parts)} parts, the last {parts[-1]}"


@check("by the provider's name")
def provider() -> str:
    made = instructor.from_provider("openai/json", base_url=V1, api_key=KEY, mode=instructor.Mode.JSON_SCHEMA)
    return filled(made.create(response_model=Ticket, messages=user(TICKET), **BRIEF))


@check("the raw answer beside it")
def raw() -> str:
    asked = {"model": "label", "messages": user(SHIPPED), **BRIEF}
    found, answer = by_schema.create_with_completion(response_model=Urgency, **asked)
    return holds(answer.usage.completion_tokens > 1, f"{found}, {answer.usage.completion_tokens} tokens")


@check("an unknown model")
def unknown_model() -> str:
    asked = {"model": NOWHERE, "response_model": Ticket, "messages": user(TICKET), "max_retries": 1}
    return refused(InstructorRetryException, lambda: by_schema.create(**asked), NOWHERE)


run("instructor", "openai")
