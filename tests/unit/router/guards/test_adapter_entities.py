"""A guard of the kind `entities` that asks an adapter on the engine."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from patchbay.core.errors import ContentFiltered, GuardFailed
from patchbay.core.offload import Offload
from patchbay.guards.config import GuardsConfig
from patchbay.guards.judges.judge import JudgeFailed, TextOrigin
from patchbay.guards.judges.judges import Judges
from patchbay.guards.pipeline import compile_guards
from patchbay.guards.session import GuardSession

pytestmark = pytest.mark.anyio
GUARD: dict[str, Any] = {"kind": "entities", "model": "names", "kinds": ["PERSON", "LOCATION"], "action": "redact"}
TEXT = "Ada Ironwood lives at 5 Brook Lane. Ada Ironwood pays."


@pytest.fixture
def offload() -> Iterator[Offload]:
    made = Offload()
    yield made
    made.close()


class Names:
    """An adapter that names what it was told to, or answers something else."""

    def __init__(self, answer: str | None) -> None:
        self._answer = answer
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def __call__(self, model: str, fields: dict[str, Any], near: str) -> bytes:
        self.asked.append((model, fields))
        if self._answer is None:
            raise JudgeFailed("it is away")
        return json.dumps({"choices": [{"message": {"content": self._answer}}]}).encode()


def session(offload: Offload, model: Names, **changes: Any) -> GuardSession:
    guards = compile_guards(GuardsConfig.model_validate({"guards": {"g": GUARD | changes}}), [("g",)], None, None)
    pipeline = guards.pipeline(("g",), "")
    assert pipeline is not None
    return GuardSession(
        pipeline=pipeline,
        endpoint="chat_completions",
        key=b"key",
        judges=Judges(ask=model, again=model, wanted=lambda: guards.judges),
        facts=TextOrigin(request="r"),
        offload=offload,
    )


def body(text: str = TEXT) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()


def named(*persons: str, addresses: tuple[str, ...] = ()) -> str:
    return json.dumps({"persons": persons, "addresses": addresses})


async def test_what_the_adapter_names_is_taken_out_wherever_it_stands(offload: Offload) -> None:
    model = Names(named("Ada Ironwood", addresses=("5 Brook Lane",)))
    filtered = json.loads(await session(offload, model).checked(body()))["messages"][0]["content"]
    assert "Ada" not in filtered
    assert "Brook" not in filtered
    assert filtered.endswith(" pays.")
    assert {name for name, _ in model.asked} == {"names"}
    assert all(fields["temperature"] == 0 for _, fields in model.asked)


async def test_a_name_that_is_not_in_the_text_changes_nothing(offload: Offload) -> None:
    filtered = json.loads(await session(offload, Names(named("Bob", "lives at 6"))).checked(body()))
    assert filtered["messages"][0]["content"] == TEXT


@pytest.mark.parametrize("answer", [None, "I am sorry.", '{"persons": "Ada"}'])
async def test_without_an_answer_in_its_form_nothing_goes_through(offload: Offload, answer: str | None) -> None:
    with pytest.raises(GuardFailed):
        await session(offload, Names(answer)).checked(body())


async def test_it_may_block(offload: Offload) -> None:
    with pytest.raises(ContentFiltered):
        await session(offload, Names(named("Ada Ironwood")), action="block").checked(body())


async def test_an_answer_of_a_model_is_filtered_too(offload: Offload) -> None:
    guarded = session(offload, Names(named("Ada Ironwood")))
    await guarded.checked(body("Who?"))
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}]}
    told = json.loads(await guarded.whole(json.dumps(answer).encode()))
    assert "Ada" not in told["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "http://127.0.0.1:5002"}, "only one"),
        ({"kinds": ["PERSON", "DATE_TIME"]}, "names PERSON and LOCATION alone"),
        ({"model": None}, "say who is asked"),
    ],
)
def test_what_it_cannot_do_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GuardsConfig.model_validate({"guards": {"g": GUARD | changes}})
