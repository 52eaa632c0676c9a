"""A request that ends whatever replica it is given: it gets two, and everybody else goes on."""

import asyncio
import json
import logging
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine, revision
from tests.fakes.mortal import MARK, MortalEngine
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import CHAT, ask, client_of, error_of, events, post

pytestmark = pytest.mark.anyio
SQL = (revision("sql", 1),)
QUESTION = [{"role": "user", "content": f"a {MARK} question"}]
# Ways to say the same that are nothing to an engine, or draw other tokens from the same work.
WAYS: Sequence[dict[str, Any]] = (
    {},
    {"user": "somebody"},
    {"seed": 7, "temperature": 0.3, "top_p": 0.9},
    {"stream": True},
    {"stream": True, "stream_options": {"include_usage": True}},
    {"metadata": {"n": "1"}, "max_tokens": 9, "service_tier": "auto"},
    {"model": "sql@1"},
    {"tools": None, "logprobs": None},
)


def fleet(count: int = 4, **settings: Any) -> list[MortalEngine]:
    return [MortalEngine(name, revisions=SQL, **settings) for name in "abcdef"[:count]]


def deaths(fakes: Sequence[MortalEngine]) -> int:
    return sum(fake.deaths for fake in fakes)


async def poison(router: Router, **fields: Any) -> httpx.Response:
    return await post(router, {"model": "sql", "messages": QUESTION, **fields})


async def all_back(router: Router, count: int) -> None:
    await until(lambda: router.fleet.view.ready == count)


async def test_a_request_that_replicas_die_of_costs_two_of_them_however_often_it_is_repeated() -> None:
    fakes = fleet()
    async with running_router(*fakes) as router:
        first = await poison(router)
        assert deaths(fakes) == 2
        for fields in WAYS:
            await all_back(router, 4)
            again = await poison(router, **fields)
            assert again.status_code == 422, fields
        await all_back(router, 4)
        body = f'{{ "messages" : [ {{"content": "a {MARK} question" , "role":"user"}} ],\n "model":"sql"}}'
        async with client_of(router) as client:
            spaced = await client.post(CHAT, content=body, headers={"content-type": "application/json"})
        bystander = await post(router, ask("sql"))
    assert [answer.status_code for answer in (first, spaced, bystander)] == [422, 422, 200]
    assert error_of(first)["code"] == error_of(spaced)["code"] == "suspected_query_of_death"
    assert int(first.headers["retry-after"]) == 30
    assert 0 < int(spaced.headers["retry-after"]) <= 30
    assert deaths(fakes) == 2


async def test_many_clients_that_send_it_at_once_after_a_first_death_cost_no_more() -> None:
    fakes = fleet()
    async with running_router(*fakes) as router:
        first = asyncio.create_task(poison(router))
        # Once the router knows of it, which is a moment after the replica's end.
        await until(lambda: b"patchbay_router_upstream_failures_total{" in router.metrics.render())
        others = await asyncio.gather(*(poison(router, user=str(number)) for number in range(12)))
        answers = [await first, *others]
    assert {answer.status_code for answer in answers} == {422}
    assert deaths(fakes) == 2


async def test_a_stream_that_replicas_die_of_at_a_certain_token_costs_two_of_them() -> None:
    fakes = fleet(at_token=2)
    for fake in fakes:
        fake.script.chunks = 6
    async with running_router(*fakes) as router:
        answer = await poison(router, stream=True)
        received = events(answer.text)
        await all_back(router, 4)
        again = await poison(router, stream=True)
    assert answer.status_code == 200
    assert received[-1]["error"]["code"] == "suspected_query_of_death"
    assert again.status_code == 422
    assert deaths(fakes) == 2


async def test_a_lone_stream_that_cannot_be_carried_on_is_suspected_when_it_is_sent_again() -> None:
    fakes = fleet(at_token=2)
    tools = [{"type": "function", "function": {"name": "f"}}]
    async with running_router(*fakes) as router:
        for status in (200, 200, 422, 422):
            assert (await poison(router, stream=True, tools=tools)).status_code == status
            await all_back(router, 4)
    assert deaths(fakes) == 2


async def test_fallbacks_and_hedges_give_it_no_third_replica() -> None:
    fakes = fleet()
    routes = {"desk": {"model": "sql", "fallbacks": ["demo-base"]}}
    async with running_router(*fakes, routes=routes, retry={"hedge_after_s": 0.01}) as router:
        answer = await poison(router, model="desk")
        await all_back(router, 4)
        assert (await poison(router, model="desk")).status_code == 422
    assert answer.status_code == 422
    assert deaths(fakes) == 2


async def test_with_one_replica_it_is_asked_twice_and_then_left_to_others() -> None:
    (fake,) = fakes = fleet(1)
    async with running_router(fake) as router:
        assert (await poison(router)).status_code == 422
        await all_back(router, 1)
        assert (await poison(router)).status_code == 422
        assert (await post(router, ask("sql"))).status_code == 200
    assert deaths(fakes) == 2


async def test_after_a_while_it_may_be_tried_once_and_is_held_off_for_twice_as_long() -> None:
    fakes = fleet()
    async with running_router(*fakes, retry={"hold_s": 0.4}) as router:
        await poison(router)
        await all_back(router, 4)
        await asyncio.sleep(0.5)
        again = await asyncio.gather(*(poison(router, user=str(number)) for number in range(5)))
        assert deaths(fakes) == 3
        assert {answer.status_code for answer in again} == {422}
        for fake in fakes:
            fake.cured = True
        await asyncio.sleep(1)
        await all_back(router, 4)
        assert (await poison(router)).status_code == 200, "what kills no more is answered again"
        assert not router.public_app.suspects.watching


async def test_bystanders_of_two_mass_deaths_are_answered_and_nobody_else_is_held_off() -> None:
    fakes = fleet(3)
    for fake in fakes:
        fake.script.chunks, fake.script.delay_s = 30, 0.02

    async def bystand(router: Router, number: int) -> httpx.Response:
        body = ask("sql", stream=True, messages=[{"role": "user", "content": f"question {number}"}])
        return await post(router, body)

    async with running_router(*fakes) as router:
        beside = [asyncio.create_task(bystand(router, number)) for number in range(60)]
        await until(lambda: sum(len(fake.seen) for fake in fakes) == 60, 30)
        killer = await poison(router)
        answers = await asyncio.gather(*beside)
        metrics = router.metrics.render().decode()
    assert killer.status_code == 422
    assert deaths(fakes) == 2
    assert [answer.text[-14:] for answer in answers] == ["data: [DONE]\n\n"] * 60
    assert 'patchbay_router_queries_suspected_total{model="sql"} 1.0' in metrics


async def test_a_suspicion_is_audited_and_counted_without_the_prompt(caplog: pytest.LogCaptureFixture) -> None:
    fakes = fleet()
    with caplog.at_level(logging.INFO, "patchbay.audit"):
        async with running_router(*fakes) as router:
            answer = await poison(router)
            await poison(router)
            metrics = router.metrics.render().decode()
    (record,) = [one for one in caplog.records if one.name == "patchbay.audit"]
    said = json.loads(record.getMessage())
    assert said["event"] == "suspected_query_of_death"
    assert said["request"] == answer.headers["x-request-id"]
    assert said["model"] == "sql"
    assert len(set(said["replicas"])) == 2
    assert MARK not in record.getMessage()
    assert 'patchbay_router_queries_suspected_total{model="sql"} 1.0' in metrics
    assert 'patchbay_router_queries_held_total{model="sql"} 1.0' in metrics


async def test_one_client_whose_connections_break_shuts_nobody_elses_replica() -> None:
    bad = FakeEngine()
    async with running_router(bad, breaker={"failures": 2, "open_s": 60}) as router:
        bad.script.fault = "reset"
        for _ in range(6):
            await post(router)
        bad.script.fault = "none"
        other = ask(messages=[{"role": "user", "content": "another"}])
        assert (await post(router, other)).status_code == 200
    assert len(bad.seen) == 3


async def test_a_request_that_anybody_answers_with_500_is_no_evidence_against_them() -> None:
    fakes = FakeEngine("a"), FakeEngine("b")
    async with running_router(*fakes, breaker={"errors": 1, "failures": 1}) as router:
        for fake in fakes:
            fake.script.fault = "error_500"
        statuses = [(await post(router)).status_code for _ in range(8)]
        assert not any(router.public_app.circuit_open(name) for name in "ab")
    assert statuses == [500] * 8
    assert sum(len(fake.seen) for fake in fakes) == 9, "a second opinion is asked for once"


@pytest.mark.parametrize(("model", "status"), [("sql", 502), ("desk", 503)])
async def test_no_request_sees_a_third_replica_die_whatever_is_known_of_those(model: str, status: int) -> None:
    """They failed at others before, so that no death of theirs suspects anybody; nor does it at a fallback."""
    fakes = [FakeEngine(name, revisions=SQL) for name in "abcdef"]
    routes = {"desk": {"model": "sql", "fallbacks": ["demo-base"]}}
    async with running_router(*fakes, routes=routes, breaker={"failures": 100}) as router:
        for fake in fakes:
            fake.script.fault = "reset"
        for number in range(60):
            await post(router, ask("sql", messages=[{"role": "user", "content": f"another question {number} " * 40}]))
            if all(fake.seen for fake in fakes):
                break
        assert all(fake.seen for fake in fakes)
        before = sum(len(fake.seen) for fake in fakes)
        answer = await post(router, ask(model))
    assert answer.status_code == status
    assert sum(len(fake.seen) for fake in fakes) == before + 2
