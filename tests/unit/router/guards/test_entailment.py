"""Grounding by a model: it is asked whether the documents say what the answer says."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest

from patchbay.core.offload import Offload
from patchbay.guards.config import GuardsConfig
from patchbay.guards.judges.config import GroundingGuard
from patchbay.guards.judges.judge import JudgeFailed, TextOrigin
from patchbay.guards.judges.judges import Judges
from patchbay.guards.pipeline import compile_guards
from patchbay.guards.session import GuardSession

pytestmark = pytest.mark.anyio
DOCUMENTS = [{"title": "Tea", "text": "Green tea is not oxidized."}, "Bread {text} is baked."]
GUARD: dict[str, Any] = {"kind": "grounding", "model": "entail"}


@pytest.fixture
def offload() -> Iterator[Offload]:
    made = Offload()
    yield made
    made.close()


class Model:
    """A model that answers with `unsupported` at some probability, or not at all."""

    def __init__(self, unsupported: float | None) -> None:
        self._unsupported = unsupported
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, model: str, fields: dict[str, Any], near: str) -> bytes:
        self.asked.append((model, fields["messages"][0]["content"]))
        if self._unsupported is None:
            raise JudgeFailed("it is away")
        tokens = [("un", math.log(self._unsupported)), ("supp", math.log(1 - self._unsupported))]
        top = [{"token": token, "logprob": logprob} for token, logprob in tokens]
        return json.dumps({"choices": [{"logprobs": {"content": [{"top_logprobs": top}]}}]}).encode()


async def found(offload: Offload, guard: dict[str, Any], model: Model, documents: Any = DOCUMENTS) -> str:
    """What is told of an answer under a guard."""
    pipeline = compile_guards(GuardsConfig.model_validate({"guards": {"g": guard}}), [("g",)], None, None)
    of_all = pipeline.pipeline(("g",), "")
    assert of_all is not None
    judges = Judges(ask=model, again=model, wanted=lambda: pipeline.judges)
    session = GuardSession(
        pipeline=of_all,
        endpoint="chat_completions",
        key=b"key",
        judges=judges,
        facts=TextOrigin(request="r"),
        offload=offload,
    )
    body = {"model": "m", "messages": [{"role": "user", "content": "Is it?"}], "documents": documents}
    await session.checked(json.dumps(body).encode())
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Green tea is green."}}
    await session.whole(json.dumps({"choices": [choice]}).encode())
    return session.summary


async def test_the_model_is_sent_the_documents_and_the_answer(offload: Offload) -> None:
    model = Model(0.9)
    assert await found(offload, GUARD, model) == "g=GROUNDING*1 output flag"
    [(name, message)] = model.asked
    assert name == "entail"
    assert "Tea Green tea is not oxidized.\n\nBread {text} is baked." in message
    assert message.endswith("Green tea is green.")
    assert message.count("Green tea is green.") == 1


async def test_what_the_model_finds_supported_is_not_flagged_whatever_its_words(offload: Offload) -> None:
    assert await found(offload, GUARD, Model(0.4)) == ""
    assert await found(offload, {**GUARD, "threshold": 0.3}, Model(0.4)) == "g=GROUNDING*1 output flag"
    assert await found(offload, {"kind": "grounding"}, Model(0.4)) == "g=GROUNDING*1 output flag"


async def test_without_a_model_and_without_documents_nobody_is_asked(offload: Offload) -> None:
    model = Model(0.9)
    assert await found(offload, {"kind": "grounding"}, model) == "g=GROUNDING*1 output flag"
    assert await found(offload, GUARD, model, []) == ""
    assert model.asked == []


async def test_a_model_that_gives_no_verdict_lets_the_answer_go_unless_told_otherwise(offload: Offload) -> None:
    assert await found(offload, GUARD, Model(None)) == "g=JUDGE_FAILED*1 output flag"


async def test_documents_are_cut_to_what_the_model_is_to_read(offload: Offload) -> None:
    model = Model(0.4)
    await found(offload, {**GUARD, "document_chars": 9}, model)
    assert "Documents:\nTea Green\n" in model.asked[0][1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": "{text}"},
        {"prompt": "{documents}{text}{text}"},
        {"supported": "Yes", "unsupported": "yes"},
        {"on": ["input"]},
        {"action": "redact"},
    ],
)
def test_a_guard_that_cannot_be_asked_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"prompt|different words|on: \[output\]|redact"):
        GroundingGuard.model_validate({**GUARD, **wrong})
