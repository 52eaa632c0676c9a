"""DSPy on the demo. Its prompts of fields are nothing that so small a model follows: a schema holds it to them."""

import asyncio
from typing import Any, Literal

import dspy
from checks import KEY, KEYED, LABELS, NOWHERE, QUESTION, SHIPPED, SQL, V1, WRONG_KEY, check, holds, refused, run, same
from dspy.utils.exceptions import LMAuthError, LMUnsupportedModelError


class Held(dspy.LM):
    """A model whose server holds answers to schemas: DSPy believes that of models alone whose names it knows."""

    supports_response_schema = True
    supported_params = frozenset({"response_format"})


def model(name: str, **options: Any) -> dspy.LM:
    usual = {"api_base": V1, "api_key": KEY, "temperature": 0, "cache": False, "num_retries": 0, "max_tokens": 128}
    return Held(f"openai/{name}", **usual | options)


class Sort(dspy.Signature):
    """Sort the ticket."""

    ticket: str = dspy.InputField()
    label: Literal[tuple(LABELS)] = dspy.OutputField()  # type: ignore[valid-type]


@check("a model called")
def called() -> str:
    return same(model("sql")(QUESTION)[0], SQL)


@check("a model called with messages")
def messages() -> str:
    return same(model("sql")(messages=[{"role": "user", "content": QUESTION}])[0], SQL)


@check("Predict, held to its schema")
def predict() -> str:
    with dspy.context(lm=model("label"), adapter=dspy.JSONAdapter()):
        label = dspy.Predict(Sort)(ticket=SHIPPED).label
    return holds(label in LABELS, label)


@check("a stream")
def stream() -> str:
    async def parts() -> list[Any]:
        program = dspy.streamify(dspy.Predict(Sort))
        return [part async for part in program(ticket=SHIPPED)]

    with dspy.context(lm=model("label"), adapter=dspy.JSONAdapter()):
        found = asyncio.run(parts())
    label = found[-1].label
    return holds(label in LABELS and len(found) > 1, f"{label} ({len(found)} parts)")


@check("an unknown model")
def unknown_model() -> str:
    return refused(LMUnsupportedModelError, lambda: model(NOWHERE)(QUESTION), NOWHERE)


if KEYED:

    @check("a wrong key")
    def wrong_key() -> str:
        return refused(LMAuthError, lambda: model("sql", api_key=WRONG_KEY)(QUESTION))


run("dspy")
