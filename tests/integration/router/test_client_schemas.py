"""Clients' own JSON schemas, on a route whose guard holds answers to them: none holds the router, and what cannot be
checked does not go through."""

import threading
from typing import Any

import httpx
import pytest

from patchbay.core.schema.budget import StepBudget
from patchbay.core.schema.compiled import Schema, compile_schema
from tests.fakes.engine import FakeEngine, revision
from tests.fakes.routers import running_router
from tests.fakes.turns import LIMIT_S, Turns, watched_turns

pytestmark = pytest.mark.anyio
GUARDS: dict[str, Any] = {"form": {"kind": "schema", "action": "block"}}
ROUTES = {"formed": {"model": "sql", "guards": ["form"]}}


def body(schema: Any, **more: Any) -> dict[str, Any]:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    return {"model": "formed", "messages": [{"role": "user", "content": "x"}], "response_format": form, **more}


def doubling() -> dict[str, Any]:
    defs: dict[str, Any] = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, "d30": {"type": "null"}}}


async def asked(words: tuple[str, ...], given: dict[str, Any]) -> tuple[httpx.Response, str, int]:
    """The answer, what the router counted, and how many requests the replica got."""
    engine = FakeEngine(revisions=(revision("sql"),))
    engine.script.words = words
    async with (
        running_router(engine, guards=GUARDS, routes=ROUTES) as router,
        httpx.AsyncClient(base_url=router.url, timeout=30) as client,
    ):
        answer = await client.post("/v1/chat/completions", json=given)
        return answer, router.metrics.render().decode(), len(engine.seen)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_cannot_be_checked_in_time_is_blocked_and_counted(stream: bool) -> None:
    answer, metrics, _ = await asked(('{"a":', " 1}"), body(doubling(), stream=stream))
    assert answer.status_code == 200
    assert "content_filter" in answer.text
    assert '"a"' not in answer.text
    assert "SCHEMA_UNCHECKED" in metrics


async def test_a_pattern_that_backtracks_for_ever_elsewhere_is_matched() -> None:
    schema = {"type": "object", "properties": {"a": {"pattern": "^(a+)+$"}}}
    answer, _, _ = await asked(('{"a": "' + "a" * 60 + '!"}',), body(schema))
    assert answer.json()["choices"][0]["finish_reason"] == "content_filter"
    answer, _, _ = await asked(('{"a": "' + "a" * 60 + '"}',), body(schema))
    assert answer.json()["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"properties": {"a": {"pattern": "(?=x)"}}}, "/properties/a/pattern"),
        ({"$ref": "http://127.0.0.1/x"}, "/$ref"),
        ({"type": "strnig"}, "/type"),
        (["no schema"], "at the top"),
    ],
)
async def test_a_schema_that_cannot_be_used_is_refused_before_anybody_answers(schema: Any, place: str) -> None:
    answer, _, seen = await asked(("{}",), body(schema))
    assert answer.status_code == 400
    assert place in answer.json()["error"]["message"]
    assert answer.json()["error"]["param"] == "response_format.json_schema.schema"
    assert seen == 0


def numbers(count: int) -> tuple[str, ...]:
    """A long answer that is JSON, in pieces of some kilobytes."""
    text = "[" + ",".join(["[1]"] * count) + "]"
    return tuple(text[at : at + 3000] for at in range(0, len(text), 3000))


def threads_of_checks(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The threads that hold values to schemas from now on."""
    seen: set[int] = set()
    faults = Schema.faults

    def noted(self: Schema, value: Any, budget: StepBudget, most: int) -> list[tuple[str, str]]:
        seen.add(threading.get_ident())
        return faults(self, value, budget, most)

    monkeypatch.setattr(Schema, "faults", noted)
    return seen


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("schema", "words"),
    [(doubling(), ('{"a":', " 1}")), ({"items": {"items": {"type": "integer"}}}, numbers(30_000))],
    ids=["short, by a schema that takes long", "long"],
)
async def test_an_answer_is_held_to_its_schema_on_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, schema: Any, words: tuple[str, ...], stream: bool
) -> None:
    threads, turns = threads_of_checks(monkeypatch), Turns(own=False)
    with watched_turns(turns):
        answer, _, _ = await asked(words, body(schema, stream=stream))
    assert answer.status_code == 200
    assert threads
    assert threading.get_ident() not in threads
    assert turns.longest_s < LIMIT_S, str(turns)


async def test_a_clients_schema_is_compiled_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[int] = set()

    def noted(schema: Any) -> Schema:
        threads.add(threading.get_ident())
        return compile_schema(schema)

    monkeypatch.setattr("patchbay.guards.final_checks.compile_schema", noted)
    patterns = [{"pattern": f"^(a|é){{50}}{number}$"} for number in range(10)]
    answer, _, _ = await asked(('"x"',), body({"anyOf": patterns}))
    assert answer.status_code == 200
    assert threads
    assert threading.get_ident() not in threads
