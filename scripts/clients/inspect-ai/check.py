"""Inspect on the demo: a tiny evaluation of the model `sql`, and its errors."""

import os
from typing import Any

from checks import KEY, NOWHERE, QUESTION, SPARING, SQL, TICKET, V1, check, filled, holds, run, same
from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig, ResponseSchema, get_model
from inspect_ai.scorer import exact
from inspect_ai.solver import generate
from inspect_ai.tool import ToolFunction, tool
from inspect_ai.util import json_schema
from pydantic import BaseModel

os.environ |= {"PATCHBAY_BASE_URL": V1, "PATCHBAY_API_KEY": KEY}


class Ticket(BaseModel):
    """What the model `json` reads out of a ticket."""

    customer: str
    product: str
    order: str
    priority: str


@tool
def file_ticket() -> Any:
    """A tool that files tickets."""

    async def execute(urgent: bool) -> str:
        """Files a ticket.

        Args:
            urgent: Whether it is urgent.
        """
        return f"filed, urgent: {urgent}"

    return execute


def evaluated(name: str, samples: list[Sample], **options: Any) -> Any:
    task = Task(dataset=samples, solver=[generate(tool_calls="none")], scorer=exact())
    model = get_model(
        f"openai-api/patchbay/{name}", config=GenerateConfig(temperature=0, max_tokens=128, max_retries=0, **options)
    )
    return evaluate(task, model=model, display="none", log_dir="logs")[0]


@check("a tiny evaluation")
def tiny() -> str:
    done = evaluated("sql", [Sample(input=QUESTION, target=SQL), Sample(input=QUESTION, target="something else")])
    holds(done.status == "success", done.error)
    marks = [sample.scores["exact"].value for sample in done.samples]
    return f"marks {same(marks, ['C', 'I'])}, {done.stats.model_usage}"


@check("a schema")
def schema() -> str:
    wanted = ResponseSchema(name="ticket", json_schema=json_schema(Ticket), strict=True)
    done = evaluated("json", [Sample(input=TICKET, target="")], response_schema=wanted)
    holds(done.status == "success", done.error)
    return filled(Ticket.model_validate_json(done.samples[0].output.completion))


@check("tools")
def tools() -> str:
    import asyncio

    model = get_model("openai-api/patchbay/json", config=GenerateConfig(**SPARING))
    asked = model.generate(TICKET, tools=[file_ticket()], tool_choice=ToolFunction(name="file_ticket"))
    call = asyncio.run(asked).message.tool_calls[0]
    holds(isinstance(call.arguments["urgent"], bool), call)
    return f"{call.function}({call.arguments})"


@check("an unknown model")
def unknown_model() -> str:
    done = evaluated(NOWHERE, [Sample(input=QUESTION, target=SQL)])
    same(done.status, "error")
    return holds("NotFoundError" in done.error.traceback and NOWHERE in done.error.message, done.error.message)


run("inspect-ai", "openai")
