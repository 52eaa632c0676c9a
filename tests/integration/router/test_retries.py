"""What is tried again, how often, and for how long."""

import asyncio
import json
import time
from typing import Any

import pytest

from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine, revision
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import CHAT, ask, client_of, error_of, events, post, streaming

pytestmark = pytest.mark.anyio
ANYWHERE: dict[str, Any] = {"balance": {"prefix": 0}}
NOTHING: dict[str, Any] = {"share": 0, "per_second": 0, "burst": 2}


def count(router: Router, name: str) -> float:
    """A counter's value, 0 where it was never counted."""
    lines = [line for line in router.metrics.render().decode().splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def asking(number: int) -> dict[str, Any]:
    """A request like no other."""
    return ask(messages=[{"role": "user", "content": f"question {number}"}])


async def test_a_replica_that_fails_in_a_row_is_left_alone_and_asked_again_later() -> None:
    bad, good = FakeEngine("bad"), FakeEngine("good")
    bad.script.fault = "reset"
    breaker = {"failures": 3, "open_s": 0.8}
    async with running_router(bad, good, breaker=breaker, **ANYWHERE) as router:
        for _ in range(20):
            assert (await post(router)).status_code == 200
        assert 3 <= len(bad.seen) <= 6
        listed = router.public_app.circuit_open("bad")
        bad.script.fault = "none"
        await until(lambda: not router.public_app.circuit_open("bad"))
        served = {(await post(router)).headers["x-patchbay-replica"] for _ in range(6)}
        assert listed
        assert count(router, "patchbay_router_circuits_opened_total") >= 1
        assert "bad" in served


async def test_when_the_only_replicas_circuit_is_open_clients_are_told_at_once() -> None:
    bad = FakeEngine()
    bad.script.fault = "reset"
    async with running_router(bad, breaker={"failures": 2, "open_s": 60}) as router:
        statuses = [(await post(router, asking(number))).status_code for number in range(4)]
    assert statuses == [422, 502, 503, 503], "whom a replica failed first may be its cause; the others are not"
    assert len(bad.seen) == 3


async def test_a_request_that_the_client_left_does_not_hold_a_half_open_circuit_shut() -> None:
    fake = FakeEngine()
    fake.script.fault = "reset"
    async with running_router(fake, breaker={"failures": 1, "open_s": 0.05}) as router, client_of(router) as client:
        await post(router, asking(1))
        fake.script.fault = "hang"
        await until(lambda: not router.public_app.circuit_open("replica-0"))
        leaving = asyncio.create_task(client.post("/v1/chat/completions", json=ask()))
        await fake.request(1)
        leaving.cancel()
        await until(lambda: router.public_app.in_flight == 0)
        fake.script.fault = "none"
        assert (await post(router)).status_code == 200


async def test_once_the_budget_is_spent_failures_are_told_and_not_tried_again() -> None:
    bad, good = FakeEngine("bad"), FakeEngine("good")
    bad.script.fault = "reset"
    async with running_router(bad, good, retry=NOTHING, breaker={"failures": 99}, **ANYWHERE) as router:
        statuses = [(await post(router, asking(number))).status_code for number in range(12)]
        assert count(router, "patchbay_router_retries_refused_total") == statuses.count(502)
    assert len(bad.seen) == 2 + statuses.count(502)
    assert statuses.count(502) >= 2


async def test_a_slow_replica_is_hedged_by_another_and_the_loser_is_let_go() -> None:
    slow, fast = FakeEngine("slow"), FakeEngine("fast")
    slow.script.fault = "hang"
    async with running_router(slow, fast, retry={"hedge_after_s": 0.05}, **ANYWHERE) as router:
        answers = [await post(router, ask(stream=stream)) for stream in (False, True) * 3]
        assert {answer.headers["x-patchbay-replica"] for answer in answers} == {"fast"}
        assert slow.seen
        for seen in slow.seen:
            await asyncio.wait_for(seen.cancelled.wait(), 5)
        assert router.public_app.at_replica("slow") == 0
        assert count(router, "patchbay_router_hedges_total") == len(slow.seen)


async def test_without_hedging_a_slow_replica_is_waited_for() -> None:
    slow, fast = FakeEngine("slow"), FakeEngine("fast")
    slow.script.delay_s = 0.1
    async with running_router(slow, fast, **ANYWHERE) as router:
        for _ in range(4):
            await post(router)
    assert len(slow.seen) + len(fast.seen) == 4


async def test_a_hedged_request_whose_client_leaves_is_ended_on_both_replicas() -> None:
    fakes = FakeEngine("a"), FakeEngine("b")
    for fake in fakes:
        fake.script.fault = "hang"
    async with running_router(*fakes, retry={"hedge_after_s": 0.05}) as router, client_of(router) as client:
        asking = asyncio.create_task(client.post("/v1/chat/completions", json=ask()))
        for fake in fakes:
            await fake.request()
        asking.cancel()
        for fake in fakes:
            await asyncio.wait_for(fake.seen[0].cancelled.wait(), 5)
        await until(lambda: router.public_app.in_flight == 0)
        assert router.public_app.at_replica("a") == router.public_app.at_replica("b") == 0


async def test_a_clients_deadline_is_passed_on_and_kept() -> None:
    fake = FakeEngine()
    fake.script.fault = "hang"
    async with running_router(fake) as router:
        began = time.monotonic()
        answer = await post(router, ask(), CHAT, **{"x-patchbay-timeout-ms": "200"})
        took = time.monotonic() - began
        await asyncio.wait_for(fake.seen[0].cancelled.wait(), 5)
    assert answer.status_code == 504
    assert error_of(answer)["code"] == "deadline_exceeded"
    assert 0 < int(fake.seen[0].headers["x-patchbay-timeout-ms"]) <= 200
    assert took >= 0.2


async def test_a_deadline_amid_a_stream_ends_it_with_an_error() -> None:
    fake = FakeEngine()
    fake.script.gate = asyncio.Semaphore(1)
    async with running_router(fake, request_timeout_s=0.3) as router, streaming(router) as response:
        received = events((await response.aread()).decode())
    assert received[0]["choices"]
    assert received[-1]["error"]["code"] == "deadline_exceeded"


@pytest.mark.parametrize("value", ["0", "-1", "soon", "1.5", ""])
async def test_a_deadline_that_is_no_number_is_refused(value: str) -> None:
    async with running_router(FakeEngine()) as router:
        answer = await post(router, ask(), CHAT, **{"x-patchbay-timeout-ms": value})
    assert answer.status_code == 400
    assert "x-patchbay-timeout-ms" in error_of(answer)["message"]


async def test_a_revision_that_its_replica_has_no_more_is_asked_for_by_what_the_name_means_now() -> None:
    fake = FakeEngine(revisions=(revision("sql", 1),))
    async with running_router(fake, poll_interval_s=60) as router:
        fake.revisions = (revision("sql", 2),)
        answer = await post(router, ask("sql"))
        assert answer.headers["x-patchbay-adapter"] == "sql@2"
        gone = await post(router, ask("sql@1"))
    assert answer.status_code == 200
    assert gone.status_code in (404, 503)


async def test_what_an_answer_came_from_is_told_on_it() -> None:
    fake = FakeEngine(revisions=(revision("sql", 1), revision("sql", 2)))
    fake.fingerprint = "f" * 64
    async with running_router(fake) as router:
        named, pinned, base = [await post(router, ask(model)) for model in ("sql", "sql@1", "demo-base")]
    said = {name: value for name, value in named.headers.items() if name.startswith("x-patchbay-")}
    assert said == {
        "x-patchbay-route": "sql",
        "x-patchbay-arm": "stable",
        "x-patchbay-replica": "replica-0",
        "x-patchbay-adapter": "sql@2",
        "x-patchbay-digest": revision("sql", 2).digest,
    }
    assert (pinned.headers["x-patchbay-arm"], pinned.headers["x-patchbay-adapter"]) == ("pinned", "sql@1")
    assert (base.headers["x-patchbay-arm"], base.headers["x-patchbay-digest"]) == ("base", "f" * 64)


async def test_a_trace_goes_through_with_a_span_of_the_routers_own() -> None:
    fake = FakeEngine()
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with running_router(fake) as router:
        given = await post(router, traceparent=f"00-{trace}-00f067aa0ba902b7-01")
        broken = await post(router, traceparent="00-nonsense-01")
    sent = fake.seen[0].headers.getall("traceparent")
    assert len(sent) == 1
    parts = [value.split("-") for value in (given.headers["traceparent"], sent[0])]
    assert [(part[1], part[3]) for part in parts] == [(trace, "01")] * 2
    assert parts[0][2] == parts[1][2] != "00f067aa0ba902b7"
    assert broken.headers["traceparent"].split("-")[1] not in ("nonsense", trace)


async def test_a_vote_counts_once_for_the_revision_that_answered() -> None:
    fake = FakeEngine(revisions=(revision("sql", 2),))
    async with running_router(fake) as router:
        answer = await post(router, ask("sql"))
        given = {"completion_id": f"chatcmpl-{answer.headers['x-request-id']}", "vote": "up"}
        first = await post(router, given, "/v1/feedback")
        again = await post(router, given, "/v1/feedback")
        other = await post(router, given | {"vote": "down"}, "/v1/feedback")
        unknown = await post(router, {"completion_id": "chatcmpl-x", "vote": "up"}, "/v1/feedback")
        wrong = await post(router, given | {"vote": "maybe"}, "/v1/feedback")
        metrics = router.metrics.render().decode()
    assert first.json() == again.json() == {"object": "feedback", "model": "sql@2", "vote": "up"}
    assert [r.status_code for r in (other, unknown, wrong)] == [409, 404, 400]
    assert 'patchbay_router_feedback_total{arm="stable",model="sql",revision="sql@2",vote="up"} 1.0' in metrics


async def test_answers_that_failed_take_no_votes_and_old_ones_are_forgotten() -> None:
    fake = FakeEngine()
    async with running_router(fake, feedback_ids=2) as router:
        ids = [(await post(router)).headers["x-request-id"] for _ in range(3)]
        fake.script.fault = "error_500"
        ids.append((await post(router)).headers["x-request-id"])
        votes = [await post(router, {"completion_id": one, "vote": "up"}, "/v1/feedback") for one in ids]
    assert [vote.status_code for vote in votes] == [404, 200, 200, 404]


async def test_tokenizing_is_there_only_where_the_configuration_says_so() -> None:
    async with running_router(FakeEngine()) as router:
        assert (await post(router, {"model": "demo-base", "prompt": "x"}, "/tokenize")).status_code == 404
    async with running_router(FakeEngine(), tokenizer_endpoints=True, api_keys=["k"]) as router:
        refused = await post(router, {"model": "demo-base", "prompt": "x"}, "/tokenize")
        told = await post(router, {"model": "demo-base", "prompt": "x"}, "/tokenize", authorization="Bearer k")
    assert (refused.status_code, told.status_code) == (401, 200)


async def test_errors_on_anthropics_endpoint_have_anthropics_shape() -> None:
    fake = FakeEngine(plain=True, token=None)
    async with running_router(fake, api_keys=["k"]) as router, client_of(router) as client:
        refused = await client.post("/v1/messages", json=ask())
        unknown = await client.post("/v1/messages", json=ask("nope"), headers={"x-api-key": "k"})
        fake.script.fault = "die"
        broken = await client.post("/v1/messages", json=ask(stream=True), headers={"x-api-key": "k"})
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
    assert unknown.json()["type"] == "error"
    assert unknown.json()["error"]["type"] == "not_found_error"
    last = broken.text.strip().rpartition("\n\n")[2]
    assert last.startswith("event: error\ndata: ")
    assert json.loads(last.partition("data: ")[2])["error"]["type"] == "api_error"
