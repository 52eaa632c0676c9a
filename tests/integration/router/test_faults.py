import asyncio

import httpx
import pytest

from tests.fakes.engine import FakeEngine, Fault, revision
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import ask, client_of, content, error_of, events, post, streaming

pytestmark = pytest.mark.anyio


async def test_a_dead_replica_is_passed_over_before_the_poller_knows() -> None:
    dead, alive = FakeEngine("dead"), FakeEngine("alive")
    async with running_router(dead, alive, poll_interval_s=60, balance={"prefix": 0}) as router:
        await dead.stop()
        answers = [await post(router) for _ in range(4)]
        assert [answer.headers["x-patchbay-replica"] for answer in answers] == ["alive"] * 4
        assert router.fleet.get("dead").state == "unready"


async def test_a_replica_that_comes_back_gets_work_again() -> None:
    fake = FakeEngine()
    async with running_router(fake) as router:
        await fake.stop()
        assert (await post(router)).status_code == 503
        await fake.start()
        try:
            await until(lambda: router.fleet.view.ready == 1)
            assert (await post(router)).status_code == 200
        finally:
            await fake.stop()


@pytest.mark.parametrize("fault", ["reset", "busy_503", "refuse_401"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_replica_that_fails_before_its_first_byte_is_replaced(fault: Fault, stream: bool) -> None:
    bad, good = FakeEngine("bad"), FakeEngine("good")
    bad.script.fault = fault
    async with running_router(bad, good) as router:
        answers = [await post(router, ask(stream=stream)) for _ in range(4)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["x-patchbay-replica"] for answer in answers} == {"good"}
    assert bad.seen


async def test_a_stream_that_dies_between_its_head_and_its_first_byte_is_made_again_elsewhere() -> None:
    bad, good = FakeEngine("bad"), FakeEngine("good")
    bad.script.fault, bad.script.die_after = "die", 0
    async with running_router(bad, good) as router:
        answers = [await post(router, ask(stream=True)) for _ in range(4)]
    assert {answer.headers["x-patchbay-replica"] for answer in answers} == {"good"}
    assert bad.seen


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("reset", 422, "suspected_query_of_death"), ("refuse_401", 502, "upstream_failed")],
)
async def test_when_every_replica_fails_each_was_tried_a_few_times_at_most_and_the_client_is_told(
    fault: Fault, status: int, code: str
) -> None:
    fakes = [FakeEngine("a"), FakeEngine("b"), FakeEngine("c")]
    for fake in fakes:
        fake.script.fault = fault
    async with running_router(*fakes) as router:
        response = await post(router)
    assert (response.status_code, error_of(response)["code"]) == (status, code)
    assert max(len(fake.seen) for fake in fakes) == 1
    asked = sum(len(fake.seen) for fake in fakes)
    assert asked == (2 if fault == "reset" else 3), "who dies on a request may be what it kills"


async def test_when_every_replica_is_busy_the_last_ones_own_words_reach_the_client() -> None:
    fakes = [FakeEngine("a"), FakeEngine("b")]
    for fake in fakes:
        fake.script.fault = "busy_503"
    async with running_router(*fakes) as router:
        response = await post(router)
    assert response.status_code == 503
    assert response.json()["error"]["message"] == "fake trouble"
    assert [len(fake.seen) for fake in fakes] == [1, 1]


async def test_a_silent_replica_is_given_up_and_not_asked_twice() -> None:
    fakes = [FakeEngine("a"), FakeEngine("b")]
    for fake in fakes:
        fake.script.fault = "hang"
    async with running_router(*fakes, read_timeout_s=0.1) as router:
        response = await post(router)
    assert response.status_code == 502
    assert "in time" in error_of(response)["message"]
    assert sum(len(fake.seen) for fake in fakes) == 1


async def test_a_replicas_own_error_about_the_request_passes_unchanged() -> None:
    fake = FakeEngine()
    fake.script.fault = "error_500"
    async with running_router(fake) as router:
        response = await post(router)
    assert response.status_code == 500
    assert response.json()["error"]["message"] == "fake trouble"


@pytest.mark.parametrize("fault", ["die", "die_in_event", "end_early"])
async def test_a_stream_cut_short_ends_with_an_error_that_clients_can_read_and_never_with_done(fault: Fault) -> None:
    fake = FakeEngine(plain=True, token=None)
    fake.script.fault, fake.script.die_after = fault, 2
    async with running_router(fake) as router, streaming(router) as response:
        received = events((await response.aread()).decode())
        await until(lambda: router.public_app.in_flight == 0)
        assert b'outcome="broken"' in router.metrics.render()
    assert [next(iter(chunk)) for chunk in received] == ["id", "id", "error"]
    assert received[-1]["error"]["code"] == "upstream_failed"
    assert "[DONE]" not in received


async def test_a_whole_answer_cut_short_is_had_from_another_replica() -> None:
    bad, good = FakeEngine("bad"), FakeEngine("good")
    bad.script.fault = "die"
    async with running_router(bad, good, balance={"prefix": 0}) as router:
        answers = [await post(router) for _ in range(4)]
    assert {answer.headers["x-patchbay-replica"] for answer in answers} == {"good"}
    assert len({content(answer) for answer in answers}) == 1
    assert bad.seen


async def test_a_whole_answer_that_nobody_ends_is_an_error_and_cannot_pass_for_a_whole_one() -> None:
    fake = FakeEngine()
    fake.script.fault = "die"
    async with running_router(fake) as router:
        answer = await post(router)
    assert (answer.status_code, error_of(answer)["code"]) == (422, "suspected_query_of_death")


async def test_a_large_answer_cut_short_after_its_beginning_was_sent_cannot_pass_for_a_whole_one() -> None:
    fake = FakeEngine()
    fake.script.fault, fake.script.padding = "die", 2_000_000
    async with running_router(fake) as router:
        with pytest.raises(httpx.RemoteProtocolError):
            await post(router)


async def test_a_model_of_a_replica_that_is_down_is_unavailable_and_not_unknown() -> None:
    gone, here = FakeEngine("gone", revisions=(revision("sql"),)), FakeEngine("here")
    async with running_router(gone, here) as router:
        await gone.stop()
        await until(lambda: router.fleet.view.ready == 1)
        response = await post(router, ask("sql"))
        unknown = await post(router, ask("nope"))
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert error_of(response)["code"] == "unavailable"
    assert unknown.status_code == 404


@pytest.mark.parametrize("phase", ["starting", "draining"])
async def test_a_replica_that_is_not_ready_gets_no_work(phase: str) -> None:
    busy, ready = FakeEngine("busy"), FakeEngine("ready")
    busy.phase = phase  # type: ignore[assignment]
    async with running_router(busy, ready) as router:
        answers = [await post(router) for _ in range(4)]
    assert {answer.headers["x-patchbay-replica"] for answer in answers} == {"ready"}
    assert not busy.seen


async def test_a_replica_that_refuses_the_routers_token_is_not_ready_and_says_why() -> None:
    fake = FakeEngine()
    await fake.start()
    try:
        async with running_router(fake) as router:
            fake.token = "another"
            await until(lambda: router.fleet.view.ready == 0)
            assert "token" in (router.fleet.get("replica-0").reason or "")
    finally:
        await fake.stop()


async def test_the_router_starts_before_its_replicas() -> None:
    fake = FakeEngine()
    await fake.start()
    await fake.stop()
    async with running_router(fake) as router, client_of(router) as client:
        assert (await client.get("/healthz")).status_code == 503
        assert (await post(router)).status_code == 503
        await fake.start()
        try:
            await until(lambda: router.fleet.view.ready == 1)
            assert content(await post(router)).startswith("demo-base")
            assert (await client.get("/healthz")).status_code == 200
        finally:
            await fake.stop()


async def test_replicas_killed_again_and_again_fail_no_request_while_one_is_up() -> None:
    fakes = [FakeEngine("a"), FakeEngine("b")]
    async with running_router(*fakes) as router:
        for turn in range(6):
            victim = fakes[turn % 2]
            await victim.stop()
            answers = await asyncio.gather(*(post(router) for _ in range(5)))
            assert {answer.status_code for answer in answers} == {200}
            await victim.start()
            await until(lambda: router.fleet.view.ready == 2)
        for fake in fakes:
            await fake.stop()
